"""Commands to a running job.

A job looks at its `Control` at least every 0.5 s of work with ``yield from control.obey()``. Pausing, resuming
and stopping are done in there; what concerns the job's own course (stop after this iteration, changed
parameters) is remembered for the job to look at where it can act on it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, get_args

from blushcore.protocol.errors import BlushError, Stopped
from blushcore.protocol.events import Acknowledged, Event, Paused, Resumed

Action: TypeAlias = Literal["pause", "resume", "stop_now", "stop_after_iteration", "change"]
ACTIONS: tuple[str, ...] = get_args(Action)

_POLL_SECONDS = 0.1


@dataclass(frozen=True, kw_only=True)
class Command:
    """One command.

    `changes` (for ``change`` only) maps parameter names to new values. `refusal` is the reason why the source
    that handed it out refuses it already; such a command is acknowledged and not obeyed.
    """

    id: str
    action: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    refusal: str = ""


CommandSource: TypeAlias = Callable[[], Iterable[Command]]
"""Called without arguments; returns the commands that have arrived since the last call, oldest first."""


def no_commands() -> Iterable[Command]:
    """Return nothing: the source of a job that nobody steers."""
    return ()


class Control:
    """A job's ear.

    Parameters
    ----------
    source
        Where commands come from; asked at most every 0.1 s.
    validate
        Called with the changes asked for by a ``change`` command; returns the parameters' new values or raises
        `BlushError`. Without it every change is refused.

    ::

        running --pause--> paused --resume--> running
        running, paused --stop_now--> Stopped is raised out of obey()
    """

    def __init__(
        self,
        source: CommandSource = no_commands,
        validate: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None,
    ) -> None:
        self._source = source
        self._validate = validate
        self._changes: dict[str, Any] = {}
        self._last_look = float("-inf")
        self._paused = False
        self.stop_after_iteration = False
        """Whether the job was asked to end once the iteration in progress is done."""

    def take_changes(self) -> dict[str, Any]:
        """Return the accepted parameter changes that came since the last call, and forget them."""
        changes, self._changes = self._changes, {}
        return changes

    def obey(self) -> Iterator[Event]:
        """Look for commands and obey them; yields the acknowledgements.

        While paused it holds still in here. Cheap enough for an inner loop.

        Raises
        ------
        Stopped
            If told to stop now (after its acknowledgement was yielded).
        """
        now = time.monotonic()
        if now - self._last_look < _POLL_SECONDS:
            return
        self._last_look = now
        yield from self._answer()
        while self._paused:
            time.sleep(_POLL_SECONDS)
            yield from self._answer()
        self._last_look = time.monotonic()

    def _answer(self) -> Iterator[Event]:
        for command in self._source():
            yield from self._answer_one(command)

    def _answer_one(self, command: Command) -> Iterator[Event]:
        def answer(accepted: bool, text: str = "", changes: Mapping[str, Any] | None = None) -> Acknowledged:
            return Acknowledged(
                command_id=command.id,
                action=command.action,
                accepted=accepted,
                text=text,
                changes=changes or {},
            )

        if command.refusal:
            yield answer(False, command.refusal)
            return
        match command.action:
            case "pause":
                yield answer(not self._paused, "already paused" if self._paused else "")
                if not self._paused:
                    self._paused = True
                    yield Paused()
            case "resume":
                yield answer(self._paused, "" if self._paused else "not paused")
                if self._paused:
                    self._paused = False
                    yield Resumed()
            case "stop_now":
                yield answer(True)
                raise Stopped
            case "stop_after_iteration":
                self.stop_after_iteration = True
                yield answer(True)
            case "change":
                if self._validate is None:
                    yield answer(False, "this job takes no changes while it runs")
                    return
                try:
                    changes = self._validate(command.changes)
                except BlushError as error:
                    yield answer(False, str(error))
                    return
                self._changes.update(changes)
                yield answer(True, changes=changes)
            case other:
                yield answer(False, f"unknown command {other!r}; known are {', '.join(ACTIONS)}")
