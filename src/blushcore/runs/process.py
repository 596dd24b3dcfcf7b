"""Which process it was, and whether it still lives.

A process id alone comes round again, so a process is known by its id *and* its start time. On Linux the start
is read from ``/proc`` in clock ticks since boot, which no adjustment of the clock changes; elsewhere it is what
psutil reports. Ids are only comparable on one machine (and in one container): that is told by host name, boot
id and process namespace where the system has them, else by the host's name and network address.
"""

from __future__ import annotations

import os
import socket
import sys
import uuid
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_START_TOLERANCE_SECONDS = 1.5


@dataclass(frozen=True)
class ProcessIdentity:
    """One process on one machine. `start` is only ever compared with another `start` of that machine."""

    host: str
    machine: str
    pid: int
    start: float

    @classmethod
    def of(cls, pid: int) -> ProcessIdentity | None:
        """Return the identity of the process `pid` here; None if there is none, or only its remains."""
        start = _start_of(pid)
        return None if start is None else cls(socket.gethostname(), this_machine(), pid, start)

    @classmethod
    def mine(cls) -> ProcessIdentity:
        """Return the identity of this process."""
        identity = cls.of(os.getpid())
        assert identity is not None, "a process that asks is alive"
        return identity

    def is_alive(self) -> bool | None:
        """Whether the process still runs; None if that cannot be known from this machine."""
        if self.machine != this_machine():
            return None
        start = _start_of(self.pid)
        return start is not None and abs(start - self.start) <= _tolerance()


@cache
def this_machine() -> str:
    """Return a word that differs between machines, boots and containers that do not share process ids."""
    parts = [socket.gethostname()]
    if sys.platform == "linux":
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    else:
        parts.append(f"{uuid.getnode():x}")
    return "/".join(parts)


def _tolerance() -> float:
    return 0.0 if sys.platform == "linux" else _START_TOLERANCE_SECONDS


def _start_of(pid: int) -> float | None:
    if sys.platform == "linux":
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
        except OSError:
            return None
        # The second field, the command's name in parentheses, may hold anything; the state comes right after
        # its last parenthesis. A zombie has died and only waits to be noticed by its parent.
        fields = stat.rpartition(")")[2].split()
        return None if fields[0] in "ZX" else float(fields[19])
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else float(process.create_time())
    except psutil.NoSuchProcess:
        return None
