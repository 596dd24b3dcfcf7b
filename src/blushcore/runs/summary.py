"""What all events of a run so far amount to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from blushcore.protocol import (
    Acknowledged,
    Failed,
    Finished,
    IterationDone,
    Message,
    Paused,
    Progress,
    Resumed,
    Started,
)
from blushcore.runs.checkpoints import checkpoint_name
from blushcore.runs.layout import RunDescription
from blushcore.runs.records import Record


@dataclass
class RunSummary:
    """The sum of a run's records, in their order; `add` takes the next one.

    An attempt that went on from iteration N takes back what earlier attempts did after N: `iterations` and
    `checkpoints` (iteration to path) hold what is valid now. `ending` is the record that closed the newest
    attempt, None while it is open. `parameters` are those in force, as JSON values.
    """

    parameters: dict[str, Any]
    attempt: int = 0
    next_seq: int = 0
    device: str = ""
    iterations: dict[int, Record] = field(default_factory=dict)
    checkpoints: dict[int, str] = field(default_factory=dict)
    acknowledged: set[str] = field(default_factory=set)
    progress: Progress | None = None
    warnings: list[str] = field(default_factory=list)
    paused: bool = False
    ending: Record | None = None
    last: Record | None = None

    @classmethod
    def of(cls, description: RunDescription) -> RunSummary:
        """Return the summary of a run that has not begun."""
        summary = cls(parameters=dict(description.parameters))
        if description.parent is not None:
            iteration = description.parent.iteration
            summary.checkpoints[iteration] = checkpoint_name(iteration)
        return summary

    def add(self, record: Record) -> None:
        """Take the next record into account."""
        if record.attempt > self.attempt:
            self.attempt = record.attempt
            self.ending = None
            self.paused = False
            self.progress = None
        self.next_seq = max(self.next_seq, record.seq + 1)
        self.last = record
        match record.event:
            case Started() as event:
                self.device = event.device
                kept = event.resumed_from_iteration
                _keep_up_to(self.iterations, kept)
                _keep_up_to(self.checkpoints, kept)
            case IterationDone() as event:
                self.iterations[event.iteration] = record
                if record.checkpoint is not None:
                    self.checkpoints[event.iteration] = record.checkpoint
            case Acknowledged() as event:
                self.acknowledged.add(event.command_id)
                if event.accepted:
                    self.parameters.update(event.changes)
            case Progress() as event:
                self.progress = event
            case Message() as event if event.level == "warning":
                self.warnings.append(event.text)
            case Paused():
                self.paused = True
            case Resumed():
                self.paused = False
            case Finished() | Failed():
                self.ending = record
                self.paused = False

    @property
    def is_done(self) -> bool:
        """Whether the job has reached its end, so that nothing is left to resume."""
        return (
            self.ending is not None
            and isinstance(self.ending.event, Finished)
            and self.ending.event.outcome == "done"
        )


def _keep_up_to(by_iteration: dict[int, Any], last: int | None) -> None:
    for iteration in list(by_iteration):
        if last is None or iteration > last:
            del by_iteration[iteration]
