"""Drives a job: gives it its parameters, state and commands, records its events, and sees to a proper end.

::

    run_job / resume --> lock --> mend what a killed attempt left --> parameters in force + newest checkpoint
        --> job.run(...) --> record each event --> Finished | Failed --> unlock
"""

from __future__ import annotations

import traceback
from collections.abc import Generator, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from blushcore.jobs import JOBS
from blushcore.protocol import (
    Acknowledged,
    BlushError,
    Command,
    CommandSource,
    Control,
    Event,
    Finished,
    IterationDone,
    Job,
    Message,
    Parameters,
    Started,
    no_commands,
)
from blushcore.runs.checkpoints import newest_checkpoint
from blushcore.runs.commands import CommandInbox
from blushcore.runs.endings import close_stream, see_to_the_end
from blushcore.runs.files import remove_leftovers, write_all_whole, write_whole
from blushcore.runs.heartbeat import Heartbeat
from blushcore.runs.layout import RunDirectory, create_run, read_description
from blushcore.runs.lock import PATIENCE_SECONDS, RunLock
from blushcore.runs.moved import found_again
from blushcore.runs.reader import RunReader, read_run
from blushcore.runs.recorder import Recorder, mend_end

KEEP_CHECKPOINTS = 2


def run_job(
    job: Job[Any],
    parameters: Parameters,
    directory: Path,
    *,
    commands: CommandSource = no_commands,
    keep_checkpoints: int = KEEP_CHECKPOINTS,
) -> Iterator[Event]:
    """Run `job` in the new run directory `directory`; yield its events once they are recorded.

    Nothing happens before the first event is asked for. Closing the iterator stops the job.

    Parameters
    ----------
    job, parameters
        What to run, and with what.
    directory
        Made if need be; must not hold a run.
    commands
        A further source of commands (Ctrl-C, say) besides the run directory's.
    keep_checkpoints
        How many of the newest checkpoints stay.

    Raises
    ------
    BlushError
        If the directory holds a run, if it cannot be written, or if the job ends with an error that the user
        can mend. Other errors pass as they are. Either way `Failed` has been recorded and yielded before.
    """
    run = create_run(directory, job.name, parameters)
    yield from _attempt(run, job, commands, keep_checkpoints, PATIENCE_SECONDS)


def resume(
    directory: Path,
    jobs: Mapping[str, Job[Any]] = JOBS,
    *,
    commands: CommandSource = no_commands,
    keep_checkpoints: int = KEEP_CHECKPOINTS,
    patience_seconds: float = PATIENCE_SECONDS,
) -> Iterator[Event]:
    """Go on with the run in `directory`, or begin one that was only made; yield events as `run_job` does.

    Every parameter is taken from the run: those it was started with and the changes acknowledged since.

    Parameters
    ----------
    directory
        The run directory.
    jobs
        Where the run's job is looked up by name.
    commands, keep_checkpoints
        As in `run_job`.
    patience_seconds
        How long a writer on another machine must be silent before its run is taken over.

    Raises
    ------
    BlushError
        If there is no run, it is done, its job is unknown, or another process writes it; and as `run_job`.
    """
    run = RunDirectory(directory)
    name = read_description(run).job
    try:
        job = jobs[name]
    except KeyError:
        raise BlushError(
            f"{directory} is a run of the job {name!r}, which this version of blush does not know.",
            f"It knows {', '.join(sorted(jobs)) or 'none'}.",
        ) from None
    yield from _attempt(run, job, commands, keep_checkpoints, patience_seconds)


def run_unrecorded(
    job: Job[Any],
    parameters: Parameters,
    folder: Path,
    *,
    commands: CommandSource = no_commands,
    overwrite: bool = False,
) -> Iterator[Event]:
    """Run a short `job` without a run directory: its files go to `folder`, its events only to the caller.

    Yields and raises as `run_job` does. The files of an event appear whole and all of them, or none: where one
    cannot be written (a full disk), those that exist are left as they are.

    Parameters
    ----------
    job, parameters, commands
        As in `run_job`.
    folder
        Where the artefacts go; their names are relative to it.
    overwrite
        Whether files that exist may be replaced.
    """

    def keep(event: Event) -> Event:
        if not isinstance(event, (IterationDone, Finished)):
            return event
        files = dict(event.files)
        targets = []
        for artefact in event.artefacts:
            path = RunDirectory(folder).inside(artefact.name)
            if path.exists() and not overwrite:
                raise BlushError(f"{path} exists already.", "Give --overwrite to replace it, or another name.")
            targets.append((path, artefact.write))
            files[artefact.role] = artefact.name
        write_all_whole(targets)
        kept = replace(event, artefacts=(), files=files)
        return replace(kept, state=None) if isinstance(kept, IterationDone) else kept

    stream = job.run(parameters, Control(commands), None)
    yield from see_to_the_end(stream, keep, folder, lambda: None)


def _attempt(
    run: RunDirectory,
    job: Job[Any],
    commands: CommandSource,
    keep_checkpoints: int,
    patience_seconds: float,
) -> Generator[Event, None, None]:
    """One attempt at a run: from taking the lock to giving it back."""
    with (
        RunLock(run, patience_seconds=patience_seconds) as lock,
        Heartbeat(run.heartbeat, lock.holder.nonce) as heartbeat,
    ):
        description = read_description(run)
        mend_end(run)
        remove_leftovers(run.path, spare=run.commands)
        reader = read_run(run.path)
        summary = reader.summary
        if summary.is_done:
            raise BlushError(f"The run {run.path} is done; there is nothing to resume.")
        _require_legible(run, reader)
        attempt = summary.attempt + 1
        in_force: Parameters = job.parameters.parse(summary.parameters, where=str(run.description))
        was = Path(description.directory) if description.directory else None
        in_force, moved = found_again(in_force, was, run.path)
        checkpoint, damaged = newest_checkpoint(run, summary.checkpoints)
        notes = [
            *(Message(text=text) for text in moved),
            *(Message(text=problem.text, level="warning") for problem in reader.problems),
            *(
                Message(text=f"{error.problem} The one before it is used instead.", level="warning")
                for error in damaged
            ),
        ]
        inbox = CommandInbox(run, summary.acknowledged, attempt)
        inbox.remove_settled()

        def validate(changes: Mapping[str, Any]) -> Mapping[str, Any]:
            return _validated_changes(job, in_force, changes)

        def listen() -> Iterator[Command]:
            yield from inbox()
            yield from commands()

        with Recorder(
            run,
            description,
            attempt=attempt,
            seq=summary.next_seq,
            guard=lock.check,
            keep_checkpoints=keep_checkpoints,
        ) as recorder:

            def keep(event: Event) -> Event:
                nonlocal in_force
                if isinstance(event, Started) and checkpoint is not None:
                    event = replace(event, resumed_from_iteration=checkpoint.iteration)
                recorded = recorder.record(event, in_force)
                if isinstance(event, Acknowledged):
                    inbox.settle(event)
                    if event.accepted and event.changes:
                        in_force = in_force.replace(**event.changes)
                return recorded

            heartbeat.on_beat = recorder.flush
            state = checkpoint.state if checkpoint is not None else None
            stream = _with_notes(job.run(in_force, Control(listen, validate), state), notes)
            yield from see_to_the_end(
                stream, keep, run.path, lambda: write_whole(run.traceback, _write_traceback)
            )


def _require_legible(run: RunDirectory, reader: RunReader) -> None:
    """Refuse a run of which it cannot be told how far it came: it would begin anew over what there is.

    Raises
    ------
    BlushError
        If a later version wrote some of its events, or no event can be read and there are checkpoints.
    """
    if reader.is_of_later_version:
        raise BlushError(f"{run.path} was written by a later version of blush.", "Update blush to resume it.")
    if reader.problems and reader.summary.last is None and any(run.checkpoints.glob("*")):
        raise BlushError(
            f"No line of {run.events} can be read, so it cannot be told how far the run came.",
            "Restore the file from a copy, or start a run in another folder.",
        )


def _with_notes(stream: Iterator[Event], notes: list[Message]) -> Iterator[Event]:
    """Put `notes` after the stream's first event, which is `Started`."""
    try:
        for event in stream:
            yield event
            yield from notes
            notes = []
    finally:
        close_stream(stream)


def _validated_changes(job: Job[Any], parameters: Parameters, changes: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return `changes` as JSON values if `job` takes them while it runs and they are valid; else raise."""
    if not changes:
        raise BlushError("The change names no parameter.")
    for name in changes:
        if name not in type(parameters).model_fields:
            raise BlushError(f"{job.name} has no parameter {name!r}.")
        if name not in job.live_changes:
            able = ", ".join(sorted(job.live_changes)) or "none"
            raise BlushError(f"{name} cannot be changed while {job.name} runs.", f"These can: {able}.")
    changed = type(parameters).parse({**parameters.model_dump(), **changes}, where="the change")
    values: dict[str, Any] = changed.model_dump(mode="json")
    return {name: values[name] for name in changes}


def _write_traceback(path: Path) -> None:
    path.write_text(traceback.format_exc(), encoding="utf-8")
