"""On a CUDA device: the CPU's results within stated bounds, memory used where it is, never another device."""

from __future__ import annotations

import copy

import pytest
import torch

from blushcore.denoiser import Denoiser, MapDenoising, denoise_map, local_standard_deviation, placement
from blushcore.denoiser.denoiser import OutOfDeviceMemoryError
from blushcore.devices import DeviceDescription, Memory

pytestmark = pytest.mark.cuda

CUDA = torch.device("cuda", 0)


def relative(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a.double().cpu() - b.double().cpu()).square().mean().sqrt() / b.double().cpu().std())


@pytest.fixture
def on_cuda(network):
    return lambda precision="float32": Denoiser(copy.deepcopy(network), None, CUDA, precision)


@pytest.fixture
def data(blob):
    return blob.repeat(2, 1, 1)[:90] * 3e-4 + 2


def small_gpu(_device):
    return DeviceDescription("cuda:0", "a small GPU", Memory(1 << 30, 1 << 20))


@pytest.mark.parametrize(("precision", "bound"), [("float32", 1e-4), ("bfloat16", 0.02)])
def test_blocks_are_those_of_float64(network, blob, on_cuda, precision, bound):
    """Also float32: PyTorch would let CUDA's convolutions compute in TF32."""
    std = local_standard_deviation(blob)
    with torch.inference_mode():
        expected = copy.deepcopy(network).double()(blob[None].double(), std[None].double())
    out = on_cuda(precision)(blob[None], std[None])
    assert out.blocks.device == CUDA
    assert relative(out.blocks, expected.blocks) < bound


def test_a_map_is_that_of_the_cpu(network, on_cuda, data):
    expected = denoise_map(
        Denoiser(copy.deepcopy(network), None, torch.device("cpu"), "float32"), data, (1.5,) * 3
    )
    denoising = MapDenoising(on_cuda(), data, (1.5,) * 3)
    assert denoising.volumes_device == CUDA
    for _ in denoising.run():
        pass
    result = denoising.result()
    assert result.map.device.type == result.mask.device.type == "cpu"
    assert relative(result.map, expected.map) < 1e-4
    assert float((result.mask - expected.mask).abs().max()) < 1e-3


def test_volumes_stay_on_the_host_of_a_small_device(on_cuda, data, monkeypatch):
    expected = denoise_map(on_cuda(), data, (1.5,) * 3)
    monkeypatch.setattr(placement, "describe_device", small_gpu)
    denoising = MapDenoising(on_cuda(), data, (1.5,) * 3)
    assert denoising.volumes_device.type == "cpu"
    for _ in denoising.run():
        pass
    assert relative(denoising.result().map, expected.map) < 1e-5


class Full:
    """A network on a device that is full as long as the volumes are there too."""

    def __init__(self, denoiser):
        self.denoiser, self.device, self.batch_size = denoiser, denoiser.device, 2
        self.denoising: MapDenoising | None = None

    def __call__(self, blocks, local_std):
        if self.denoising is None or self.denoising.volumes_device.type == "cuda":
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self.denoiser(blocks, local_std)


def test_volumes_move_to_the_host_when_not_one_block_fits_beside_them(on_cuda, data):
    expected = denoise_map(on_cuda(), data, (1.5,) * 3)
    full = Full(on_cuda())
    full.denoising = denoising = MapDenoising(full, data, (1.5,) * 3)
    for _ in denoising.run():
        pass
    assert denoising.volumes_device.type == "cpu"
    assert full.batch_size == 1
    assert relative(denoising.result().map, expected.map) < 1e-5


def test_a_device_that_is_really_full_is_an_error_with_its_name(on_cuda, data):
    denoiser = on_cuda()
    denoiser.batch_size = 4
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(CUDA).total_memory
    torch.cuda.set_per_process_memory_fraction(
        min(1.0, (torch.cuda.memory_reserved(CUDA) + 60e6) / total), CUDA
    )
    try:
        with pytest.raises(OutOfDeviceMemoryError, match=r"single 64³ block on .+ \(cuda:0\)"):
            denoise_map(denoiser, data, (1.5,) * 3)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, CUDA)
    assert denoiser.batch_size == 1
    assert denoise_map(denoiser, data, (1.5,) * 3).blocks > 1


def test_the_batch_is_sized_by_the_free_memory(on_cuda, monkeypatch):
    assert on_cuda().batch_size > 1
    monkeypatch.setattr("blushcore.denoiser.denoiser.describe_device", small_gpu)
    assert on_cuda().batch_size == 1
