"""A device asked for is the device used, or an error says why not."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from blushcore.devices import describe_device, names, resolve_device
from blushcore.protocol import BlushError


@pytest.fixture
def cuda_devices(monkeypatch):
    """``cuda_devices(n)`` makes torch see n CUDA devices; the current one is the last."""

    def pretend(count):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.setattr(torch.cuda, "current_device", lambda: count - 1)

    return pretend


@pytest.fixture
def mps(monkeypatch):
    """``mps(True)`` makes torch see an Apple GPU."""
    return lambda there: monkeypatch.setattr(torch.backends.mps, "is_available", lambda: there)


@pytest.mark.parametrize(
    ("cuda", "apple", "expected"),
    [(2, True, "cuda:1"), (1, False, "cuda:0"), (0, True, "mps"), (0, False, "cpu")],
)
def test_auto_takes_the_best(cuda_devices, mps, cuda, apple, expected):
    cuda_devices(cuda)
    mps(apple)
    assert resolve_device() == resolve_device("auto") == torch.device(expected)


def test_named_devices_that_are_there(cuda_devices, mps):
    cuda_devices(2)
    mps(True)
    assert resolve_device("cpu") == torch.device("cpu")
    assert resolve_device("cuda") == torch.device("cuda:1")
    assert resolve_device("cuda:0") == torch.device("cuda:0")
    assert resolve_device(" CUDA:1 ") == torch.device("cuda:1")
    assert resolve_device("mps") == torch.device("mps")


@pytest.mark.parametrize("name", ["cuda", "cuda:0", "cuda:1"])
def test_a_missing_cuda_is_never_replaced(cuda_devices, mps, name):
    cuda_devices(0)
    mps(True)
    with pytest.raises(BlushError, match=f"The device {name} cannot be used: ") as caught:
        resolve_device(name)
    assert "(cpu)" in caught.value.remedy


def test_why_cuda_is_missing(cuda_devices, monkeypatch):
    cuda_devices(0)
    monkeypatch.setattr(torch.version, "cuda", None)
    monkeypatch.setattr(torch.version, "hip", None)
    with pytest.raises(BlushError, match=r"this build of PyTorch .* has no CUDA"):
        resolve_device("cuda")
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    with pytest.raises(BlushError, match="no CUDA device is visible"):
        resolve_device("cuda")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(BlushError, match="PyTorch cannot start CUDA"):
        resolve_device("cuda")


def test_a_number_too_high(cuda_devices):
    cuda_devices(2)
    with pytest.raises(BlushError, match="no device cuda:2; the CUDA devices to be seen are numbered 0 to 1"):
        resolve_device("cuda:2")


def test_a_missing_mps_is_never_replaced(cuda_devices, mps):
    cuda_devices(1)
    mps(False)
    with pytest.raises(BlushError, match="no MPS device"):
        resolve_device("mps")


@pytest.mark.parametrize("name", ["gpu", "", "cuda:", "cuda:-1", "cuda:a", "cuda:0,1", "cpu:0"])
def test_unknown_names(cuda_devices, name):
    cuda_devices(2)
    with pytest.raises(BlushError, match="There is no device called") as caught:
        resolve_device(name)
    assert "auto, cpu, cuda, cuda:N or mps" in caught.value.remedy


def test_the_processor_is_described():
    described = describe_device(torch.device("cpu"))
    assert described.device == "cpu"
    assert described.name
    assert 0 < described.memory.available <= described.memory.total
    assert "GiB memory free" in str(described)


def test_an_unused_gpu_is_pointed_out(cuda_devices, monkeypatch):
    cuda_devices(0)
    monkeypatch.setattr(names, "_has_nvidia_gpu", lambda: True)
    assert "NVIDIA GPU in this machine that is not used: " in describe_device(torch.device("cpu")).note
    monkeypatch.setattr(names, "_has_nvidia_gpu", lambda: False)
    assert describe_device(torch.device("cpu")).note == ""


def test_gpus_are_described(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (3 << 30, 8 << 30))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "Some GPU")
    assert str(describe_device(torch.device("cuda:1"))) == "Some GPU (cuda:1), 3.0 of 8.0 GiB memory free"
    monkeypatch.setattr(torch.mps, "recommended_max_memory", lambda: 10 << 30, raising=False)
    monkeypatch.setattr(torch.mps, "driver_allocated_memory", lambda: 4 << 30, raising=False)
    assert str(describe_device(torch.device("mps"))) == "Apple GPU (mps), 6.0 of 10.0 GiB memory free"


@pytest.mark.cuda
def test_a_real_gpu():
    device = resolve_device("cuda")
    described = describe_device(device)
    assert described.name == torch.cuda.get_device_name(device)
    assert 0 < described.memory.available <= described.memory.total
    with pytest.raises(BlushError, match="no device cuda:99"):
        resolve_device("cuda:99")


def test_importing_devices_imports_no_torch():
    code = "import sys, blushcore.devices; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
