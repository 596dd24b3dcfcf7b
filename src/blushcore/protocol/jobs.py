"""What a job looks like from outside."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from blushcore.protocol.control import Control
from blushcore.protocol.events import Event, JobState
from blushcore.protocol.parameters import Parameters

P = TypeVar("P", bound=Parameters)


@dataclass(frozen=True, kw_only=True)
class Job(Generic[P]):
    """A kind of job: its name, its parameter model and its generator of events.

    ``run(params, control, state)`` yields `Started` first and `Finished` last; `state` is None at the start and
    what the last `IterationDone` carried when the job is resumed. It raises `BlushError` for what a user can
    mend and lets `Stopped` pass.
    """

    name: str
    parameters: type[P]
    run: Callable[[P, Control, JobState | None], Iterator[Event]]
    live_changes: frozenset[str] = frozenset()
    """Names of the parameters that may be changed while the job runs."""
    is_shared: bool = False
    """Whether processes that torchrun started share the work. All but process 0 take parameters and state, and
    every decision, from that one, so they are run with none."""
