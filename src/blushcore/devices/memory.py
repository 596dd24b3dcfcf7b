"""How much memory is there, and how much of it is free."""

from __future__ import annotations

import ctypes
import os
import sys
from dataclasses import dataclass
from pathlib import Path

_CGROUP_ROOT = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Memory:
    """Bytes in all and bytes that can still be had."""

    total: int
    available: int


def host_memory() -> Memory:
    """Return the memory that this process may use: the machine's, or its container's or job's where that is less."""
    total, available = _system_memory()
    for limit, used in _cgroup_limits():
        total = min(total, limit)
        available = min(available, max(0, limit - used))
    return Memory(total, available)


def _system_memory() -> tuple[int, int]:
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        fields = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        kib = {key: int(fields[key].split()[0]) for key in ("MemTotal", "MemAvailable")}
        return kib["MemTotal"] << 10, kib["MemAvailable"] << 10
    if sys.platform == "win32":
        return _windows_memory()
    # macOS counts no "available" that is worth anything; what can be reclaimed is nearly all of it.
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return total, total


def _windows_memory() -> tuple[int, int]:
    class Status(ctypes.Structure):
        _fields_ = [  # noqa: RUF012 (ctypes wants a plain list)
            ("length", ctypes.c_uint32),
            ("load", ctypes.c_uint32),
            *((name, ctypes.c_uint64) for name in ("total", "available", "a", "b", "c", "d", "e")),
        ]

    status = Status(length=ctypes.sizeof(Status))
    ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status))  # type: ignore[attr-defined,unused-ignore]
    return int(status.total), int(status.available)


def _cgroup_limits() -> list[tuple[int, int]]:
    """Return (limit, used) in bytes for this process's control group and all those around it, v2 and v1."""
    found = []
    for limit_name, used_name, folder in _cgroup_folders():
        while True:
            limit, used = _number(folder / limit_name), _number(folder / used_name)
            if limit is not None and used is not None:
                found.append((limit, used))
            if folder == _CGROUP_ROOT or _CGROUP_ROOT not in folder.parents:
                break
            folder = folder.parent
    return found


def _cgroup_folders() -> list[tuple[str, str, Path]]:
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    folders = []
    for line in lines:
        number, controllers, place = line.split(":", 2)
        if number == "0" and not controllers:
            folders.append(("memory.max", "memory.current", _CGROUP_ROOT / place.lstrip("/")))
        elif "memory" in controllers.split(","):
            folder = _CGROUP_ROOT / "memory" / place.lstrip("/")
            folders.append(("memory.limit_in_bytes", "memory.usage_in_bytes", folder))
    return folders


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # not there, or "max"
        return None
