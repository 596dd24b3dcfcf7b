"""Writes a job's stream of events into a run directory.

Files come first, each under a temporary name that is then renamed; then one line in ``events.jsonl``. The line
is what makes them count: a file or checkpoint without its line is as if it had never been, and its iteration is
done again after a crash.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace

from blushcore.disk import flush_to_disk
from blushcore.protocol import BlushError, Event, Finished, IterationDone, Parameters, Progress
from blushcore.runs.checkpoints import Checkpoint, prune_checkpoints, write_checkpoint
from blushcore.runs.files import plain_error, write_whole
from blushcore.runs.layout import RunDescription, RunDirectory
from blushcore.runs.records import Record, encode

PROGRESS_SECONDS = 1.0
"""Progress of one stage is recorded at most so often; its end always is."""


class Recorder:
    """The one writer of a run's events, during one attempt.

    Parameters
    ----------
    run, description
        The run directory, and what it holds.
    attempt, seq
        The number of this attempt and that of its first line.
    guard
        Called before anything is written; raises if we may not (see `RunLock.check`).
    keep_checkpoints
        How many of the newest checkpoints stay.
    """

    def __init__(
        self,
        run: RunDirectory,
        description: RunDescription,
        *,
        attempt: int,
        seq: int,
        guard: Callable[[], None] = lambda: None,
        keep_checkpoints: int = 2,
    ) -> None:
        self._run = run
        self._foreign = frozenset(description.already_there)
        self._job = description.job
        self._attempt = attempt
        self._seq = seq
        self._guard = guard
        self._keep_checkpoints = keep_checkpoints
        self._last_progress: tuple[str, float] = ("", float("-inf"))
        self._torn = False
        self._unflushed = False
        self._closed = False
        self._flushing = threading.Lock()
        is_new = not run.events.exists()
        try:
            self._descriptor = os.open(run.events, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
            if is_new:
                flush_to_disk(run.path)
        except OSError as error:
            raise plain_error(error, run.events) from error

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *_: object) -> None:
        with self._flushing:
            self._closed = True
            os.close(self._descriptor)

    def record(self, event: Event, parameters: Parameters | None = None) -> Event:
        """Record `event`; return it as readers will see it, with paths in place of what it lent.

        Parameters
        ----------
        event
            The event; what it lends is read before this returns.
        parameters
            Those in force, kept in the checkpoint.

        Raises
        ------
        BlushError
            If the disk is full, the directory is gone, or the run was taken over.
        """
        if isinstance(event, Progress) and self._is_thinned(event):
            return event
        self._guard()
        files: dict[str, str] = {}
        sizes: dict[str, int] = {}
        checkpoint: str | None = None
        if isinstance(event, (IterationDone, Finished)) and event.artefacts:
            for artefact in event.artefacts:
                if artefact.role in files:
                    raise ValueError(f"two artefacts of one event have the role {artefact.role!r}")
                sizes[artefact.role] = self._keep(artefact.name, artefact.write)
                files[artefact.role] = artefact.name
            event = replace(event, artefacts=(), files={**event.files, **files})
        if isinstance(event, IterationDone) and event.state is not None:
            checkpoint = write_checkpoint(
                self._run,
                Checkpoint(
                    job=self._job,
                    iteration=event.iteration,
                    parameters=parameters.model_dump(mode="json") if parameters is not None else {},
                    state=event.state,
                ),
            )
            event = replace(event, state=None)
        record = Record(
            event=event,
            attempt=self._attempt,
            seq=self._seq,
            time=time.time(),
            sizes=sizes,
            checkpoint=checkpoint,
        )
        self._append(encode(record), flush=not isinstance(event, Progress))
        self._seq += 1
        if checkpoint is not None:
            prune_checkpoints(self._run, self._keep_checkpoints)
        return event

    def flush(self) -> None:
        """Hand lines that only the system's cache has seen to the disk, for readers on other hosts.

        May be called from any thread, and after the end.
        """
        with self._flushing:
            if self._unflushed and not self._closed:
                os.fsync(self._descriptor)
                self._unflushed = (
                    False  # not before: one that fails in the heartbeat's thread is to be tried again
                )

    def _is_thinned(self, event: Progress) -> bool:
        stage, since = self._last_progress
        now = time.monotonic()
        if event.stage == stage and not event.is_end and now - since < PROGRESS_SECONDS:
            return True
        self._last_progress = (event.stage, now)
        return False

    def _keep(self, name: str, write: Callable[..., None]) -> int:
        path = self._run.inside(name)
        if name.partition("/")[0] in self._foreign:
            raise BlushError(
                f"{path} was there before the run and is not overwritten.",
                "Start a run in another folder.",
            )
        return write_whole(path, write)

    def _append(self, line: bytes, *, flush: bool) -> None:
        """Append `line` with one write; a previous one that failed halfway is closed off first."""
        content = b"\n" + line if self._torn else line
        try:
            self._torn = True
            written = os.write(self._descriptor, content)
            if written < len(content):  # the disk is full: the rest says so
                os.write(self._descriptor, content[written:])
            self._torn = False
            self._unflushed = True
            if flush:
                self.flush()
        except OSError as error:
            raise plain_error(error, self._run.events) from error


def mend_end(run: RunDirectory) -> None:
    """Close off a last line that a killed process left unfinished, so that the next is not merged with it.

    Nothing is taken away: readers report the torn line and pass over it. Called by the holder of the lock.
    """
    try:
        with run.events.open("r+b") as stream:
            if stream.seek(0, os.SEEK_END) == 0:
                return
            stream.seek(-1, os.SEEK_END)
            if stream.read(1) != b"\n":
                stream.seek(0, os.SEEK_END)
                stream.write(b"\n")
                stream.flush()
                os.fsync(stream.fileno())
    except FileNotFoundError:
        return
    except OSError as error:
        raise plain_error(error, run.events) from error
