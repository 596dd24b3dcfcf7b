"""What is done to runs, each in a thread: begin one, resume one, end one that does not listen."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from blushcore.devices import available_threads
from blushcore.protocol import BlushError, blaming
from blushcore.runs import RunDirectory, create_run, find_worker, start_detached
from napari_blush.refine.kinds import JobParameters

_NICENESS = 10
"""A run on a workstation gives way to the programs that somebody works with, napari first."""
_END_SECONDS = 5.0
_LAST_CHARACTERS = 4000


def require_new(directory: Path) -> None:
    """Refuse a directory that holds a run.

    Raises
    ------
    BlushError
        With the field ``output``.
    """
    if RunDirectory(directory).holds_run():
        with blaming("output"):
            raise BlushError(
                f"{directory.name} holds a run already.", "Name another folder, or watch that run."
            )


def require_room(directory: Path) -> None:
    """Refuse a directory that a run cannot be made in: it holds one, or it could not be written.

    Raises
    ------
    BlushError
        With the field ``output``.
    """
    require_new(directory)
    nearest = next(one for one in (directory, *directory.absolute().parents) if os.path.lexists(one))
    if not nearest.is_dir():
        problem = f"{nearest} is a file, not a folder."
    elif not os.access(nearest, os.W_OK | os.X_OK):
        problem = f"Nothing can be written in {nearest}."
    else:
        return
    with blaming("output"):
        raise BlushError(problem, "Name another folder.")


def begin(directory: Path, job: str, parameters: Callable[[Path], JobParameters]) -> Path:
    """Make a run and start its worker, which outlives this process.

    Parameters
    ----------
    directory
        The run directory, made if need be.
    job
        Its name.
    parameters
        Called with the directory, into which it may write maps that have no file yet.

    Raises
    ------
    BlushError
        If the directory cannot be made or holds a run, or the worker does not begin.
    """
    require_room(directory)
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        with blaming("output"):
            raise BlushError(
                f"{directory} could not be made: {error.strerror}.", "Name another folder."
            ) from error
    params = parameters(directory)
    with blaming("output"):
        create_run(directory, job, params)
    start_worker(directory)
    return directory


def start_worker(directory: Path) -> None:
    """Start a worker that begins or resumes a run, and leaves the viewer a core and the right of way.

    Raises
    ------
    BlushError
        If the worker does not begin.
    """
    start_detached(directory, niceness=_NICENESS, threads=available_threads() - 1)


def end_worker(directory: Path) -> bool:
    """End the worker of a run on this machine, by force if it does not stop; whether there was one."""
    worker = find_worker(directory)
    if worker is None:
        return False
    worker.end(stop_seconds=_END_SECONDS)
    return True


def last_words(directory: Path) -> str:
    """Return the traceback of an unexpected error and the end of what the worker complained of."""
    run = RunDirectory(directory)
    parts = []
    for path in (run.traceback, run.worker_stderr):
        try:
            text = path.read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            continue
        if text:
            parts.append(f"{path.name}:\n{text[-_LAST_CHARACTERS:]}")
    return "\n\n".join(parts)
