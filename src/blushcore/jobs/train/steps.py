"""Steps of a training of any kind: waiting for their batches, and how many are left."""

from __future__ import annotations

import time
from collections.abc import Generator

from blushcore.protocol import BlushError, Control, Event
from blushcore.training.batches import BatchStream
from blushcore.training.samples import Example

_POLL_SECONDS = 0.2


def next_batch(stream: BatchStream, control: Control) -> Generator[Event, None, tuple[Example, float]]:
    """Return the next batch, and the seconds that it was waited for; pauses do not count.

    Raises
    ------
    BlushError
        When a worker was killed.
    Stopped
        If told to stop, also where that has killed a worker.
    """
    waited = 0.0
    while True:
        began = time.monotonic()
        try:
            batch = stream.take(_POLL_SECONDS)
        except BlushError:
            time.sleep(_POLL_SECONDS)
            yield from control.obey()
            raise
        waited += time.monotonic() - began
        if batch is not None:
            return batch, waited
        yield from control.obey()


def fraction_done(step: int, steps: int, seconds: float, time_budget_minutes: float | None) -> float:
    """Return how much of a training is done by its steps or by its time, if that is limited: 1 at its end."""
    by_steps = step / steps
    if time_budget_minutes is None:
        return by_steps
    return max(by_steps, seconds / (60 * time_budget_minutes))


def seconds_left(
    step: int, steps: int, step_seconds: float, seconds: float, time_budget_minutes: float | None
) -> float:
    """Return how long a training goes on at its pace: to its last step, or to the end of its time."""
    left = (steps - step) * step_seconds
    if time_budget_minutes is not None:
        left = min(left, 60 * time_budget_minutes - seconds)
    return max(left, 0.0)


class StepTime:
    """The mean time of the last fifty steps or so, in seconds.

    The first step of an attempt, in which kernels are made, counts only until there is a second.
    """

    _MEMORY = 50

    def __init__(self) -> None:
        self.mean = 0.0
        self._count = 0

    def add(self, seconds: float) -> None:
        """Take another step into account."""
        weight = 1 / min(max(1, self._count), self._MEMORY)
        self.mean += weight * (seconds - self.mean)
        self._count += 1
