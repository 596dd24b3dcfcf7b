"""Where things lie in a run directory, and what a run is: its job and the parameters it was started with.

::

    RUN_DIR/
        params.json            the run: job, parameters, origin; written once, first of all
        events.jsonl           what happened, one line each, append-only
        run.lock               who writes here (see `lock`)
        heartbeat.json         a counter that advances while the writer lives
        commands/<id>.json     commands not yet acknowledged
        checkpoints/           the newest few states to go on from
        worker.stdout, worker.stderr, traceback.txt      what a detached worker printed; an unexpected error
        run_it003_….mrc …      the job's own files, by the names that the job gives

Only relative paths are recorded, so a run directory may be moved or copied as a whole.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from blushcore.protocol import BlushError, Parameters
from blushcore.runs.files import create_whole, plain_error
from blushcore.runs.not_a_run import not_a_run

_FILES_OF_A_RUN = ("run_*.mrc", "run_*.star")
SCHEMA = 1
"""Version of the files described here and in `records`. Readers refuse a higher one in plain words."""


@dataclass(frozen=True)
class RunDirectory:
    """The paths of a run; none of them needs to exist."""

    path: Path

    @property
    def description(self) -> Path:
        """What the run is."""
        return self.path / "params.json"

    @property
    def events(self) -> Path:
        """What happened."""
        return self.path / "events.jsonl"

    @property
    def lock(self) -> Path:
        """Who writes."""
        return self.path / "run.lock"

    @property
    def heartbeat(self) -> Path:
        """Whether the writer lives."""
        return self.path / "heartbeat.json"

    @property
    def commands(self) -> Path:
        """Folder of commands."""
        return self.path / "commands"

    @property
    def checkpoints(self) -> Path:
        """Folder of states to go on from."""
        return self.path / "checkpoints"

    @property
    def worker_stdout(self) -> Path:
        """What a detached worker printed."""
        return self.path / "worker.stdout"

    @property
    def worker_stderr(self) -> Path:
        """What a detached worker complained of."""
        return self.path / "worker.stderr"

    @property
    def traceback(self) -> Path:
        """The traceback of an unexpected error."""
        return self.path / "traceback.txt"

    def holds_run(self) -> bool:
        """Whether there is a run in here, in whatever state."""
        return self.description.exists() or self.events.exists()

    def inside(self, name: str) -> Path:
        """Return the path of the file `name`, given relative to the run directory with forward slashes.

        Raises
        ------
        ValueError
            If `name` is absolute, leads out of the run directory or is one of the run's own files: a fault in
            the job, or a record that was tampered with.
        """
        relative = PurePosixPath(name)
        own = {"params.json", "events.jsonl", "run.lock", "heartbeat.json", "commands", "checkpoints"}
        if not name or relative.is_absolute() or ".." in relative.parts or ":" in name or "\\" in name:
            raise ValueError(f"{name!r} is not a path inside a run directory")
        if relative.parts[0] in own:
            raise ValueError(f"{name!r} belongs to the run directory itself")
        return self.path / relative


@dataclass(frozen=True, kw_only=True)
class Parent:
    """The run and the iteration that a child run went on from; `path` is relative to the child."""

    run_id: str
    path: str
    iteration: int


@dataclass(frozen=True, kw_only=True)
class RunDescription:
    """The content of ``params.json``; it never changes.

    `parameters` are those that the run was started with, as JSON values; the acknowledged changes in the events
    come on top. `already_there` names files that lay in the folder before the run and are not the run's to
    overwrite. `created` is in seconds since 1970; `directory` is where the run directory was then, in full.
    """

    run_id: str
    job: str
    parameters: Mapping[str, Any]
    version: str = ""
    created: float = 0.0
    parent: Parent | None = None
    already_there: tuple[str, ...] = ()
    directory: str = ""
    schema: int = field(default=SCHEMA)


def create_run(
    directory: Path, job: str, parameters: Parameters, *, parent: Parent | None = None
) -> RunDirectory:
    """Make `directory` a run of `job` that has not begun yet; whoever resumes it begins it.

    Parameters
    ----------
    directory
        Made with its parents if need be.
    job
        The job's name.
    parameters
        What it is to be done with. Paths are made absolute: whoever resumes it may stand elsewhere.
    parent
        Where a child run goes on from.

    Raises
    ------
    BlushError
        If the directory holds a run already or cannot be written.
    """
    run = RunDirectory(directory)
    require_free(directory)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        already_there = tuple(sorted(path.name for path in directory.iterdir()))
    except OSError as error:
        raise plain_error(error, directory) from error
    description = RunDescription(
        run_id=uuid.uuid4().hex,
        job=job,
        parameters=parameters.with_absolute_paths().model_dump(mode="json"),
        version=_version(),
        created=time.time(),
        parent=parent,
        already_there=already_there,
        directory=str(directory.absolute()),
    )
    content = json.dumps(asdict(description), indent=1, allow_nan=False).encode()
    if run.events.exists() or not create_whole(run.description, content):
        raise _taken(directory)
    try:
        run.commands.mkdir(exist_ok=True)
        run.checkpoints.mkdir(exist_ok=True)
    except OSError as error:
        raise plain_error(error, run.commands) from error
    return run


def require_free(directory: Path) -> None:
    """Refuse a folder that holds a run, or maps and tables of one by another program.

    Those would not be overwritten, so a run in their midst would fail where it comes to one of their names.

    Raises
    ------
    BlushError
        If it does.
    """
    if RunDirectory(directory).holds_run():
        raise _taken(directory)
    names = sorted(path.name for pattern in _FILES_OF_A_RUN for path in directory.glob(pattern))
    if names:
        others = f" and {len(names) - 1} more" if len(names) > 1 else ""
        raise BlushError(
            f"{directory} holds files of another run ({names[0]}{others}), which are not overwritten.",
            "Choose another folder.",
        )


def _taken(directory: Path) -> BlushError:
    return BlushError(
        f"{directory} holds a run already, and runs are not overwritten.",
        f"Go on with it by: blush resume {directory} - or choose another folder.",
    )


def read_description(run: RunDirectory) -> RunDescription:
    """Read what the run is.

    Raises
    ------
    BlushError
        If `run` is not a run directory, was written by a later version, or its ``params.json`` is damaged.
    """
    try:
        content = json.loads(run.description.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise not_a_run(run.path) from None
    except OSError as error:
        raise BlushError(f"{run.description} could not be read: {error.strerror}.") from error
    except ValueError as error:
        raise BlushError(f"{run.description} is damaged: {error}.", "Restore it from a copy.") from error
    try:
        if content["schema"] > SCHEMA:
            raise BlushError(f"{run.path} was written by a later version of blush.", "Update blush.")
        parent = Parent(**content["parent"]) if content.get("parent") else None
        return RunDescription(
            run_id=content["run_id"],
            job=content["job"],
            parameters=content["parameters"],
            version=content.get("version", ""),
            created=content.get("created", 0.0),
            parent=parent,
            already_there=tuple(content.get("already_there", ())),
            directory=content.get("directory", ""),
            schema=content["schema"],
        )
    except (KeyError, TypeError) as error:
        raise BlushError(
            f"{run.description} is damaged: {type(error).__name__} {error}.", "Restore it from a copy."
        ) from error


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("napari-blush")
    except PackageNotFoundError:  # run from a source tree that was never installed
        return ""
