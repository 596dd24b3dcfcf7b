"""Child runs: going on from an earlier iteration, with other parameters if wanted, in another directory."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from blushcore.jobs import JOBS
from blushcore.protocol import BlushError, Job
from blushcore.runs.checkpoints import checkpoint_name, read_checkpoint, write_checkpoint
from blushcore.runs.layout import Parent, RunDirectory, create_run
from blushcore.runs.reader import read_run


def restartable_iterations(directory: Path) -> list[int]:
    """Return the iterations of the run in `directory` whose checkpoints are kept, in order."""
    summary = read_run(directory).summary
    return sorted(n for n, name in summary.checkpoints.items() if (directory / name).exists())


def create_child(
    parent: Path,
    iteration: int,
    directory: Path,
    changes: Mapping[str, Any] | None = None,
    jobs: Mapping[str, Job[Any]] = JOBS,
) -> RunDirectory:
    """Make `directory` a run that goes on from `iteration` of the run in `parent`; `resume` begins it.

    The child is complete in itself: it holds a copy of the state, and its ``params.json`` names the parent. Its
    parameters are those that were in force at that iteration, with `changes`. The parent is not touched.

    Raises
    ------
    BlushError
        If the iteration's checkpoint is not kept or damaged, the changes are not valid, or the directory
        holds a run already or cannot be written.
    """
    reader = read_run(parent)
    job = jobs[reader.job]
    name = reader.summary.checkpoints.get(iteration)
    if name is None or not (parent / name).exists():
        able = ", ".join(map(str, restartable_iterations(parent))) or "none"
        raise BlushError(
            f"The state after iteration {iteration} of {parent} is not kept.", f"These iterations are: {able}."
        )
    checkpoint = read_checkpoint(parent / name)
    parameters = job.parameters.parse({**checkpoint.parameters, **(changes or {})}, where="the child run")
    origin = Parent(
        run_id=reader.description.run_id,
        path=Path(os.path.relpath(parent.resolve(), directory.resolve())).as_posix(),
        iteration=iteration,
    )
    run = create_run(directory, job.name, parameters, parent=origin)
    written = write_checkpoint(run, checkpoint)
    assert written == checkpoint_name(iteration)
    return run
