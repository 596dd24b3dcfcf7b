"""An E-step beside the ear for commands: progress while it runs, and the sums of all processes at its end."""

from __future__ import annotations

import time
from collections.abc import Generator

from blushcore.inference import ExpectationSums, ImageResults
from blushcore.jobs.refine.background import Background
from blushcore.jobs.refine.communicator import Communicator
from blushcore.protocol import Control, Event, Progress

Found = tuple[ExpectationSums, ImageResults]


def compared(
    stream: Generator[int, None, Found],
    *,
    count: int,
    before: int,
    total: int,
    iteration: int,
    background: Background,
    communicator: Communicator,
    control: Control,
) -> Generator[Event, None, Found]:
    """Run an E-step to its end; return its sums over all processes, and the results of all its particles.

    Parameters
    ----------
    stream
        From `expectation`, over this process's share of the particles.
    count
        How many particles all processes have together in it.
    before, total
        How many the iteration compared before, and will have compared in all.
    iteration
        For the name of the stage.
    background, communicator, control
        Where it is computed, with whom, and who may interrupt it.
    """
    size = communicator.size
    began = time.monotonic()
    while True:
        done, found = yield from background.run(lambda: _advanced(stream), control)
        if found is not None:
            break
        everywhere = before + min(done * size, count)
        pace = (time.monotonic() - began) / done
        yield Progress(
            stage=f"iteration {iteration}: comparing images",
            done=everywhere,
            total=total,
            unit="images",
            eta_seconds=pace * (total - everywhere) / size,
        )
    sums, results = found
    return (
        yield from background.run(
            lambda: (communicator.add_sums(sums), communicator.gather(results, count)), control
        )
    )


def _advanced(stream: Generator[int, None, Found]) -> tuple[int, Found | None]:
    """Take a step of an E-step; return how many images are done, and at the end what it returns."""
    try:
        return next(stream), None
    except StopIteration as end:
        found: Found = end.value
        return 0, found
