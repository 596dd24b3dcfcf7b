"""In which precision a device computes: where it is fast, and what a choice of the user means."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    import torch

Precision: TypeAlias = Literal["auto", "float32", "bfloat16"]
"""Of a network's arithmetic, as a user chooses it."""

_X86_BFLOAT16 = {"avx512_bf16", "amx_bf16"}
_ARM_BFLOAT16 = {"bf16"}


def use_reduced_precision(device: torch.device, precision: Precision) -> bool:
    """Whether to compute in bfloat16: when told so, or left to decide (``auto``) where it is the faster."""
    return precision == "bfloat16" or (precision == "auto" and fast_reduced_precision(device) is not None)


def fast_reduced_precision(device: torch.device) -> torch.dtype | None:
    """Return bfloat16 where `device` has instructions for it, None where only float32 pays.

    Every recent PyTorch computes in bfloat16 everywhere, but emulates it where the hardware has none, which
    is slower than float32; so the hardware is asked, not PyTorch. CUDA has it from compute capability 8.0
    (Ampere) on, x86 with AVX512-BF16 or AMX, 64-bit ARM under Linux with the BF16 extension. On MPS it depends
    on chip and system: float32 there. Cached per device.
    """
    return _probe(device.type, device.index)


@functools.cache
def _probe(kind: str, index: int | None) -> torch.dtype | None:
    import torch

    if kind == "cuda":
        fast = torch.cuda.get_device_capability(index) >= (8, 0)
    elif kind == "cpu":
        fast = bool(torch.backends.mkldnn.is_available()) and cpu_has_bfloat16()  # type: ignore[no-untyped-call,unused-ignore]
    else:
        fast = False
    return torch.bfloat16 if fast else None


def cpu_has_bfloat16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the processor multiplies bfloat16 numbers natively; False where that cannot be found out."""
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() in ("flags", "Features"):
                wanted = _X86_BFLOAT16 if key.strip() == "flags" else _ARM_BFLOAT16
                return not wanted.isdisjoint(value.split())
        return False
    import torch

    # Windows and Intel Macs; the function is not part of torch's stable interface.
    probe = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(probe()) if probe is not None else False
