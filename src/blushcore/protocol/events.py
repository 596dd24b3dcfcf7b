"""What a job tells the world: a stream of typed events.

A job is a generator: parameters in, events out, commands in through a `Control`. Terminal, recorder, GUI and
tests are consumers and change nothing in the job. Events that carry large things lend them: an `Artefact`'s
arrays and a `JobState` are valid until the consumer asks for the next event, and nobody queues them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

Outcome: TypeAlias = Literal["done", "stopped"]
Level: TypeAlias = Literal["info", "warning"]
Figures: TypeAlias = Mapping[str, Any]
"""Named figures of an iteration: JSON values only (numbers, strings, lists, dicts of these)."""


@runtime_checkable
class Artefact(Protocol):
    """Something a job hands out to be kept as a file; the job never opens the file itself.

    Attributes
    ----------
    role
        What it is to the reader of the stream, e.g. ``"half1"``; unique within one event.
    name
        File name, relative to the run directory, e.g. ``"run_it003_half1_class001.mrc"``.
    """

    @property
    def role(self) -> str:
        """The artefact's meaning."""
        ...

    @property
    def name(self) -> str:
        """The file's name."""
        ...

    def write(self, path: Path) -> None:
        """Write the whole content to `path`, a temporary name in the folder of the final one."""
        ...


@dataclass(frozen=True, kw_only=True)
class JobState:
    """All that a job needs to go on from here as if it had never been interrupted.

    `arrays` holds numeric arrays by name, `values` JSON values. What they mean is the job's own affair.
    """

    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Event:
    """Base of all events. `kind` names the class in records."""

    kind: ClassVar[str] = "event"


@dataclass(frozen=True, kw_only=True)
class Started(Event):
    """The first event of every attempt."""

    kind: ClassVar[str] = "started"
    job: str
    parameters: Mapping[str, Any]
    device: str = ""
    resumed_from_iteration: int | None = None


@dataclass(frozen=True, kw_only=True)
class Progress(Event):
    """How far a stage has come. `done` and `total` count in `unit`; `total` 0 means unknown."""

    kind: ClassVar[str] = "progress"
    stage: str
    done: int
    total: int
    unit: str = ""
    eta_seconds: float | None = None

    @property
    def is_end(self) -> bool:
        """Whether the stage has come to its end."""
        return 0 < self.total <= self.done


@dataclass(frozen=True, kw_only=True)
class Message(Event):
    """One sentence for the user that changes nothing in the run; warnings say what to do."""

    kind: ClassVar[str] = "message"
    text: str
    level: Level = "info"


@dataclass(frozen=True, kw_only=True)
class IterationDone(Event):
    """An iteration (training: a report interval) has ended.

    `artefacts` and `state` are lent until the next event is asked for. In a recorded event they are gone and
    `files` says where they went: role to path relative to the run directory.
    """

    kind: ClassVar[str] = "iteration_done"
    iteration: int
    figures: Figures = field(default_factory=dict)
    artefacts: tuple[Artefact, ...] = ()
    state: JobState | None = None
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Acknowledged(Event):
    """The answer to a command: obeyed, or refused with a reason."""

    kind: ClassVar[str] = "acknowledged"
    command_id: str
    action: str
    accepted: bool
    text: str = ""
    changes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Paused(Event):
    """The job holds still until it is told to resume or stop."""

    kind: ClassVar[str] = "paused"


@dataclass(frozen=True, kw_only=True)
class Resumed(Event):
    """The job goes on after a pause."""

    kind: ClassVar[str] = "resumed"


@dataclass(frozen=True, kw_only=True)
class Finished(Event):
    """The last event of a job that did what it was asked to do, stopping early included."""

    kind: ClassVar[str] = "finished"
    outcome: Outcome = "done"
    figures: Figures = field(default_factory=dict)
    artefacts: tuple[Artefact, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Failed(Event):
    """The last event of a job that could not go on. `problem` and `remedy` are sentences for the user."""

    kind: ClassVar[str] = "failed"
    problem: str
    remedy: str = ""
    error_type: str = ""
