"""How much memory the host has, and how much of it can still be had."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from blushcore.devices.cgroups import CGROUPS, PROC, control_groups


@dataclass(frozen=True)
class Memory:
    """Bytes in all, and bytes that can still be had."""

    total: int
    available: int


def host_memory(*, proc: Path = PROC, cgroups: Path = CGROUPS) -> Memory:
    """Return the memory this process may use: the machine's, or its container's or job's where that is less.

    Parameters
    ----------
    proc, cgroups
        Where the kernel's files are; other places are for tests.
    """
    system = _system_memory(proc)
    total, available = system.total, system.available
    for folder, version in control_groups("memory", proc, cgroups):
        limits = _limit_and_use(folder, version)
        if limits is not None:
            limit, used = limits
            total = min(total, limit)
            available = min(available, max(0, limit - used))
    return Memory(total, available)


def _system_memory(proc: Path) -> Memory:
    if (proc / "meminfo").exists():
        lines = (proc / "meminfo").read_text().splitlines()
        kib = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
        return Memory(kib["MemTotal"] << 10, kib["MemAvailable"] << 10)
    if sys.platform == "win32":
        return _windows_memory()
    # macOS has no figure for what can be had: nearly all that is in use can be compressed or reclaimed.
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Memory(total, total)


def _windows_memory() -> Memory:
    import ctypes

    class Status(ctypes.Structure):
        """MEMORYSTATUSEX of the Windows API."""

        _fields_ = (
            ("length", ctypes.c_uint32),
            ("load", ctypes.c_uint32),
            ("total", ctypes.c_uint64),
            ("available", ctypes.c_uint64),
            ("unused", ctypes.c_uint64 * 5),
        )

    status = Status(length=ctypes.sizeof(Status))
    ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status))  # type: ignore[attr-defined,unused-ignore]
    return Memory(int(status.total), int(status.available))


def _limit_and_use(folder: Path, version: int) -> tuple[int, int] | None:
    limit_name, used_name, cache_name = (
        ("memory.max", "memory.current", "inactive_file")
        if version == 2
        else ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
    )
    try:
        limit, used = int((folder / limit_name).read_text()), int((folder / used_name).read_text())
        statistics = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):  # no such group in this container's view, or its limit is "max"
        return None
    # Cached files count as used here, but the kernel drops them when memory is asked for.
    return limit, max(0, used - int(statistics.get(cache_name, 0)))
