"""Reduced precision is used where the hardware has it, not where torch merely emulates it."""

from __future__ import annotations

import pytest
import torch

from blushcore.devices import fast_reduced_precision, precision, use_reduced_precision
from blushcore.devices.precision import cpu_has_bfloat16

X86 = "processor\t: 0\nmodel name\t: Some CPU\nflags\t\t: fpu sse2 avx2 avx512f {}\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd {}\nCPU part\t: 0xd40\n"


@pytest.fixture(autouse=True)
def forget():
    precision._probe.cache_clear()
    yield
    precision._probe.cache_clear()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (X86.format(""), False),
        (X86.format("avx512_bf16"), True),
        (X86.format("amx_bf16 amx_tile"), True),
        (X86.format("avx512_bf16_not"), False),
        (ARM.format("asimddp"), False),
        (ARM.format("i8mm bf16"), True),
        ("nothing of the kind\n", False),
    ],
)
def test_processors(tmp_path, text, expected):
    (tmp_path / "cpuinfo").write_text(text)
    assert cpu_has_bfloat16(tmp_path / "cpuinfo") is expected


@pytest.mark.parametrize("supported", [True, False])
def test_processors_without_cpuinfo_are_asked_through_torch(tmp_path, monkeypatch, supported):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: supported, raising=False)
    assert cpu_has_bfloat16(tmp_path / "none") is supported
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported")
    assert cpu_has_bfloat16(tmp_path / "none") is False


def test_the_processor_needs_the_library_too(monkeypatch):
    monkeypatch.setattr(precision, "cpu_has_bfloat16", lambda: True)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    assert fast_reduced_precision(torch.device("cpu")) == torch.bfloat16
    precision._probe.cache_clear()
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert fast_reduced_precision(torch.device("cpu")) is None


@pytest.mark.parametrize(
    ("capability", "expected"),
    [((7, 5), None), ((8, 0), torch.bfloat16), ((8, 9), torch.bfloat16), ((12, 0), torch.bfloat16)],
)
def test_gpus(monkeypatch, capability, expected):
    asked = []
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda index: asked.append(index) or capability)
    for _ in range(3):
        assert fast_reduced_precision(torch.device("cuda:1")) == expected
    assert asked == [1]  # cached


def test_mps_stays_in_float32():
    assert fast_reduced_precision(torch.device("mps")) is None


def test_what_is_fast_here_computes():
    dtype = fast_reduced_precision(torch.device("cpu"))
    if dtype is None:
        pytest.skip("this processor has no bfloat16 instructions")
    with torch.autocast("cpu", dtype):
        product = torch.ones(64, 64) @ torch.ones(64, 64)
    assert product.dtype == torch.bfloat16
    assert product.unique().tolist() == [64]


@pytest.mark.parametrize("fast", [True, False])
def test_what_a_choice_means_on_a_device(monkeypatch, fast):
    monkeypatch.setattr(precision, "fast_reduced_precision", lambda _: torch.bfloat16 if fast else None)
    device = torch.device("cpu")
    assert use_reduced_precision(device, "auto") is fast
    assert use_reduced_precision(device, "bfloat16")
    assert not use_reduced_precision(device, "float32")
