"""Commands to a run, as files: written by whoever watches it, acknowledged by an event with their id."""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from blushcore.protocol import ACTIONS, Acknowledged, BlushError, Command
from blushcore.runs.files import TEMPORARY_PREFIX, write_bytes_whole
from blushcore.runs.layout import SCHEMA, RunDirectory
from blushcore.runs.not_a_run import not_a_run
from blushcore.runs.records import json_value

LOOK_SECONDS = 0.2
UNREADABLE_SECONDS = 5.0
"""How long a command file may stay unreadable (a disk that is being synchronised) before it is refused."""


def send_command(directory: Path, action: str, changes: Mapping[str, Any] | None = None) -> str:
    """Send a command to the run in `directory` and return its id.

    The answer is an `Acknowledged` event with that id. A command to a run that has ended is never answered:
    look at its life first.

    Parameters
    ----------
    directory
        The run directory.
    action
        One of `ACTIONS`.
    changes
        For ``change``: names of parameters and their new values (JSON values).

    Raises
    ------
    BlushError
        If the action is unknown, or the command cannot be written.
    """
    if action not in ACTIONS:
        raise BlushError(f"Unknown command {action!r}.", f"Known are {', '.join(ACTIONS)}.")
    run = RunDirectory(directory)
    if not run.holds_run():
        raise not_a_run(directory)
    command_id = uuid.uuid4().hex
    content = {
        "schema": SCHEMA,
        "id": command_id,
        "action": action,
        "changes": json_value(changes or {}, "changes"),
        "sent": time.time(),
    }
    write_bytes_whole(run.commands / f"{command_id}.json", json.dumps(content).encode())
    return command_id


class CommandInbox:
    """The writer's side: hands out each command once, oldest first; a `CommandSource`.

    Whatever was acknowledged before, in this attempt or an earlier one, is not handed out again. A pause or a
    stop that was sent to an earlier attempt, which died before it obeyed, would be a surprise now: it is handed
    out as refused. A change is obeyed.

    Parameters
    ----------
    run
        The run directory.
    acknowledged
        Ids that the events hold an answer to.
    attempt
        The number of the attempt that listens.
    """

    def __init__(self, run: RunDirectory, acknowledged: Collection[str], attempt: int) -> None:
        self._folder = run.commands
        self._seen = set(acknowledged)
        self._last_look = float("-inf")
        self._unreadable_since: dict[str, float] = {}
        self._late = {path.stem for path in self._folder.glob("*.json")} if attempt > 1 else set()

    def __call__(self) -> Iterable[Command]:
        """Return the commands that have arrived since the last call. The folder is read every 0.2 s at most."""
        now = time.monotonic()
        if now - self._last_look < LOOK_SECONDS:
            return []
        self._last_look = now
        try:
            paths = [
                path
                for path in self._folder.glob("*.json")
                if path.stem not in self._seen and not path.name.startswith(TEMPORARY_PREFIX)
            ]
        except OSError:  # the disk is away for a moment; the recorder is the one to give up
            return []
        arrived = [entry for path in paths if (entry := self._read(path, now)) is not None]
        arrived.sort(key=lambda entry: (entry[0], entry[1].id))
        self._seen.update(command.id for _, command in arrived)
        return [command for _, command in arrived]

    def settle(self, answer: Acknowledged) -> None:
        """Remove the file of a command whose answer has been recorded."""
        self._seen.add(answer.command_id)
        if _is_plain(answer.command_id):
            with contextlib.suppress(OSError):
                (self._folder / f"{answer.command_id}.json").unlink(missing_ok=True)

    def remove_settled(self) -> None:
        """Remove files of commands that were answered just before an earlier attempt died."""
        for command_id in self._seen:
            if _is_plain(command_id):
                with contextlib.suppress(OSError):
                    (self._folder / f"{command_id}.json").unlink(missing_ok=True)

    def _read(self, path: Path, now: float) -> tuple[float, Command] | None:
        try:
            values = json.loads(path.read_bytes())
            sent, action = float(values["sent"]), str(values["action"])
            changes = dict(values["changes"])
        except (OSError, ValueError, KeyError, TypeError):
            since = self._unreadable_since.setdefault(path.name, now)
            if now - since < UNREADABLE_SECONDS:
                return None
            return time.time(), Command(id=path.stem, action="", refusal="the command's file cannot be read")
        refusal = ""
        if action != "change" and path.stem in self._late:
            refusal = "it was sent to an earlier attempt of this run, which ended before it obeyed"
        return sent, Command(id=path.stem, action=action, changes=changes, refusal=refusal)


def _is_plain(command_id: str) -> bool:
    return command_id.isalnum()
