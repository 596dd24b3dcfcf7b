"""How many processor threads this process may keep busy."""

from __future__ import annotations

import math
import os
from pathlib import Path

from blushcore.devices.cgroups import CGROUPS, PROC, control_groups


def available_threads(*, proc: Path = PROC, cgroups: Path = CGROUPS) -> int:
    """Return the number of threads that can really run at once.

    The processors this process is bound to (taskset, Slurm), no more than its control groups' share of
    processor time (containers), and no more than ``OMP_NUM_THREADS`` where that is set.

    Parameters
    ----------
    proc, cgroups
        Where the kernel's files are; other places are for tests.
    """
    # Windows and macOS bind no process to processors.
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for folder, version in control_groups("cpu", proc, cgroups):
        quota = _quota(folder, version)
        if quota is not None:
            count = min(count, max(1, math.floor(quota)))
    wanted = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if wanted.isdigit() and int(wanted) > 0:
        count = min(count, int(wanted))
    return count


def _quota(folder: Path, version: int) -> float | None:
    try:
        if version == 2:
            quota, period = (folder / "cpu.max").read_text().split()
        else:
            quota = (folder / "cpu.cfs_quota_us").read_text()
            period = (folder / "cpu.cfs_period_us").read_text()
        share = int(quota) / int(period)
    except (OSError, ValueError):  # no such group in this container's view, or "max"
        return None
    return share if share > 0 else None  # v1 says -1 for no limit
