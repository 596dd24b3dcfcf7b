"""Out of memory: smaller batches, then a clear error; never another device."""

from __future__ import annotations

import pytest
import torch
from block_denoisers import Scaling, Small

from blushcore.denoiser import MapDenoising, denoise_map
from blushcore.denoiser.denoiser import OutOfDeviceMemoryError, call_within_memory, is_out_of_memory
from blushcore.devices import Memory
from blushcore.protocol import BlushError

ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    RuntimeError("MPS backend out of memory (MPS allocated: 1.00 GB)"),
    RuntimeError(
        "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: you tried "
        "to allocate 4398046511104 bytes. Error code 12 (Cannot allocate memory)"
    ),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    RuntimeError("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`"),
    MemoryError(),
]


def blocks(count: int) -> torch.Tensor:
    return torch.arange(float(count)).view(-1, 1, 1, 1).expand(count, 2, 2, 2)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: f"{type(error).__name__} {str(error)[:20]}")
@pytest.mark.parametrize(("size", "fitting"), [(4, 2), (7, 1), (5, 4), (8, 3)])
def test_a_batch_is_halved_until_it_fits_and_its_order_kept(error, size, fitting):
    denoiser = Small(fitting, error, batch_size=size)
    out = call_within_memory(denoiser, blocks(size), blocks(size))
    assert torch.equal(out.blocks, 0.5 * blocks(size))
    assert out.mask_logits.shape == (size, 2, 2, 2)
    assert 1 <= denoiser.batch_size <= fitting
    assert max(denoiser.batches) <= fitting


def test_the_smaller_batch_is_kept_for_the_rest_of_the_map():
    data = torch.randn((100, 100, 100), generator=torch.Generator().manual_seed(0))
    denoiser = Small(1, ERRORS[0])
    result = denoise_map(denoiser, data, (1.5,) * 3)
    assert denoiser.batch_size == 1
    assert [size for size in denoiser.batches if size < 0] == [-4, -2]
    assert denoiser.batches.count(1) == result.blocks
    assert torch.equal(result.map, denoise_map(Scaling(0.5, batch_size=1), data, (1.5,) * 3).map)


def test_when_not_one_block_fits_the_error_names_the_device():
    denoiser = Small(0, ERRORS[0])
    with pytest.raises(OutOfDeviceMemoryError, match=r"single 64³ block on .+ \(cpu\)") as caught:
        call_within_memory(denoiser, blocks(4), blocks(4))
    assert denoiser.batches == [-4, -2, -1]
    assert "choose another device" in caught.value.remedy
    assert isinstance(caught.value, BlushError)


def test_a_map_that_does_not_get_through_is_an_error_not_a_move():
    denoising = MapDenoising(Small(0, ERRORS[0]), torch.randn((20, 20, 20)), (1.5,) * 3)
    with pytest.raises(OutOfDeviceMemoryError, match="single 64³ block"):
        list(denoising.run())


def test_other_errors_pass_as_they_are():
    denoiser = Small(0, RuntimeError("expected scalar type Float but found Half"))
    with pytest.raises(RuntimeError, match="scalar type"):
        call_within_memory(denoiser, blocks(4), blocks(4))
    assert denoiser.batches == [-4]
    assert not is_out_of_memory(RuntimeError("cuDNN error: CUDNN_STATUS_BAD_PARAM"))


def test_the_cpu_allocators_own_error_is_recognised():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)


def test_a_map_too_large_for_the_host_is_refused_before_it_is_begun(monkeypatch):
    monkeypatch.setattr("blushcore.denoiser.placement.host_memory", lambda: Memory(1 << 30, 1 << 20))
    with pytest.raises(BlushError, match=r"takes about 0\.0 GiB of memory; 0\.0 GiB are free") as caught:
        MapDenoising(Scaling(), torch.randn((40, 40, 40)), (1.5,) * 3)
    assert "more memory" in caught.value.remedy
