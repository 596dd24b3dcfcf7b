"""Devices by the names that users give them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from blushcore.devices.memory import Memory, host_memory
from blushcore.protocol import BlushError, UsageError

if TYPE_CHECKING:
    import torch

DEVICE_NAMES = "auto, cpu, cuda, cuda:N or mps"

_CPU_REMEDY = "Choose another device; the processor (cpu) is slower but always there."


@dataclass(frozen=True)
class DeviceDescription:
    """What a user wants to know about the device in use.

    Attributes
    ----------
    device
        torch's name for it, ``"cuda:0"``.
    name
        The maker's name, ``"NVIDIA H200"``.
    memory
        Bytes on the device; on the CPU and on Apple's shared memory, what this process may use.
    note
        A sentence where something better is in the machine and cannot be used; mostly empty.
    """

    device: str
    name: str
    memory: Memory
    note: str = ""

    def __str__(self) -> str:
        gib = 2**30
        return (
            f"{self.name} ({self.device}), {self.memory.available / gib:.1f} of "
            f"{self.memory.total / gib:.1f} GiB memory free"
        )


def resolve_device(name: str = "auto") -> torch.device:
    """Turn a name into a device that is there.

    ``auto`` takes CUDA, then MPS, then the CPU. A device asked for by name is never replaced by another.

    Parameters
    ----------
    name
        ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``. A plain ``cuda`` is the current CUDA device,
        ``cuda:0`` unless the caller changed it; the device returned has its index.

    Raises
    ------
    BlushError
        If the name is none of these, or the device is missing.
    """
    import torch

    name = name.strip().lower()
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    if name == "cpu":
        return torch.device("cpu")
    if name == "mps":
        if not torch.backends.mps.is_available():
            raise BlushError("There is no MPS device (Apple GPU) on this machine.", _CPU_REMEDY)
        return torch.device("mps")
    match = re.fullmatch(r"cuda(?::(\d+))?", name)
    if match is None:
        raise UsageError(f"There is no device called {name!r}.", f"Give {DEVICE_NAMES}.")
    if not torch.cuda.is_available():
        raise BlushError(f"The device {name} cannot be used: {_why_no_cuda()}.", _CPU_REMEDY)
    index = torch.cuda.current_device() if match[1] is None else int(match[1])
    count = torch.cuda.device_count()
    if index >= count:
        raise BlushError(
            f"There is no device cuda:{index}; the CUDA devices to be seen are numbered 0 to {count - 1}.",
            "Give another number; CUDA_VISIBLE_DEVICES may hide devices.",
        )
    return torch.device("cuda", index)


def describe_device(device: torch.device) -> DeviceDescription:
    """Say what `device` is and how much of its memory is free now."""
    import torch

    match device.type:
        case "cuda":
            free, total = torch.cuda.mem_get_info(device)
            return DeviceDescription(str(device), torch.cuda.get_device_name(device), Memory(total, free))
        case "mps":
            total = torch.mps.recommended_max_memory()
            free = max(0, total - torch.mps.driver_allocated_memory())
            return DeviceDescription(str(device), "Apple GPU", Memory(total, free))
        case _:
            note = ""
            if _has_nvidia_gpu() and not torch.cuda.is_available():
                note = f"There is an NVIDIA GPU in this machine that is not used: {_why_no_cuda()}."
            return DeviceDescription(str(device), _cpu_name(), host_memory(), note)


def _has_nvidia_gpu(dev: Path = Path("/dev")) -> bool:
    return (dev / "nvidia0").exists()


def _why_no_cuda() -> str:
    import torch

    if torch.version.cuda is None and torch.version.hip is None:
        return f"this build of PyTorch ({torch.__version__}) has no CUDA"
    if torch.cuda.device_count() == 0:
        return "no CUDA device is visible (see nvidia-smi and CUDA_VISIBLE_DEVICES)"
    return "PyTorch cannot start CUDA (is the driver too old for it?)"


def _cpu_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    import platform

    if cpuinfo.exists():
        match = re.search(r"^model name\s*:\s*(.+)$", cpuinfo.read_text(), re.MULTILINE)
        if match:
            return match[1].strip()
    return platform.processor() or platform.machine() or "CPU"
