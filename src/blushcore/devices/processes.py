"""Whether this process is one of several that torchrun started, and of how many; asked without torch."""

from __future__ import annotations

import os


def started_by_torchrun() -> bool:
    """Whether this process is one of several that torchrun started."""
    return "RANK" in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1


def is_follower() -> bool:
    """Whether this process only works along: process 0 hears commands and records."""
    return started_by_torchrun() and int(os.environ["RANK"]) > 0


def processes_here() -> int:
    """Return how many processes torchrun started on this machine; 1 without it."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if started_by_torchrun() else 1
