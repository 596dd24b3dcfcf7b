"""The states of a denoising session, and what it says of itself."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel


class State(StrEnum):
    """Where a session stands.

    ::

        EMPTY ──open──▶ LOADING ──▶ READY ◀──────────────┐
                           │          │ preview          │ preview off
                           │          ▼                  │
                           │      PREVIEWING ────────────┘
                           ▼          │ denoise (from any state with a map)
                        FAILED ◀── RUNNING ──▶ DONE
                                      │ cancel
                                      ▼
                                  CANCELLED
    """

    EMPTY = "empty"
    LOADING = "loading"
    READY = "ready"
    PREVIEWING = "previewing"
    RUNNING = "running"
    CANCELLED = "cancelled"
    FAILED = "failed"
    DONE = "done"


@dataclass(frozen=True)
class Failure:
    """What went wrong, as sentences; `crashed` if the worker is gone and must be restarted."""

    problem: str
    remedy: str
    crashed: bool = False
    details: str = ""

    def __str__(self) -> str:
        return f"{self.problem} {self.remedy}".strip()


@dataclass(frozen=True)
class ProgressOfAll:
    """How far the work has come, over all maps of it; `total` 0 while that is unknown."""

    done: int
    total: int
    eta_seconds: float | None


@dataclass(frozen=True, eq=False)
class Picture:
    """A slice of the denoised first map, as it stands."""

    axis: int
    index: int
    values: NDArray[np.float32]
    blocks_done: int
    blocks_total: int
    whole: bool
    approximate: bool


class Worker(Protocol):
    """What the session needs of the worker process; `WorkerClient` is the real one."""

    @property
    def is_running(self) -> bool:
        """Whether there is a process."""
        ...

    @property
    def folder(self) -> Path:
        """Where arrays for the worker are put."""
        ...

    @property
    def details(self) -> str:
        """What the worker said on stderr."""
        ...

    def start(self) -> None:
        """Start the process if there is none."""
        ...

    def tell(self, request: BaseModel) -> None:
        """Send a request."""
        ...

    def stop(self) -> None:
        """End the process."""
        ...
