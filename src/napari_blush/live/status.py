"""How a run stands, as one frozen picture that threads may hand to each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from blushcore.protocol import Finished
from blushcore.runs import ENDED, Life, Record, RunWatch


@dataclass(frozen=True)
class RunStatus:
    """How a run stands.

    Attributes
    ----------
    directory, job, device
        Where it lies, what it does, and on what.
    parameters
        Those in force, as JSON values.
    life
        See `blushcore.runs.Life`.
    paused, attempt
        Whether it was told to hold still; how often it was started.
    stage, done, total, unit, eta_seconds
        The stage that is under way, and how far it has come; `eta_seconds` is of this stage, None if unknown.
    iterations
        Records of the iterations that are valid now, by number.
    ending
        The record that closed the newest attempt; None while it is open.
    warnings
        Sentences of the job.
    """

    directory: Path
    job: str = ""
    device: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    life: Life = "waiting"
    paused: bool = False
    attempt: int = 0
    stage: str = ""
    done: int = 0
    total: int = 0
    unit: str = ""
    eta_seconds: float | None = None
    iterations: Mapping[int, Record] = field(default_factory=dict)
    ending: Record | None = None
    warnings: tuple[str, ...] = ()

    @classmethod
    def of(cls, watch: RunWatch, life: Life) -> RunStatus:
        """Take down how a watched run stands now."""
        summary, progress = watch.summary, watch.summary.progress
        under_way = progress if summary.ending is None else None
        return cls(
            directory=watch.directory,
            job=watch.job,
            device=summary.device,
            parameters=dict(summary.parameters),
            life=life,
            paused=summary.paused,
            attempt=summary.attempt,
            stage="" if under_way is None else under_way.stage,
            done=0 if under_way is None else under_way.done,
            total=0 if under_way is None else under_way.total,
            unit="" if under_way is None else under_way.unit,
            eta_seconds=None if under_way is None else under_way.eta_seconds,
            iterations=dict(sorted(summary.iterations.items())),
            ending=summary.ending,
            warnings=tuple(summary.warnings),
        )

    @property
    def has_ended(self) -> bool:
        """Whether nothing more comes unless the run is resumed."""
        return self.life in ENDED

    @property
    def iteration(self) -> int | None:
        """The newest iteration that is done."""
        return max(self.iterations, default=None)

    @property
    def figures(self) -> dict[str, Any]:
        """The figures of the newest iteration that is done, with ``iteration``, its number."""
        return {} if self.iteration is None else figures_of(self.iterations[self.iteration])

    @property
    def history(self) -> list[dict[str, Any]]:
        """The figures of all iterations that are valid now, each with ``iteration``, its number."""
        return [figures_of(record) for record in self.iterations.values()]

    def records_of(self, iteration: int) -> tuple[Record, ...]:
        """Return the records whose files belong to an iteration; a job's final files belong to its last."""
        records = (self.iterations[iteration],)
        ending = self.ending
        if iteration == self.iteration and ending is not None and isinstance(ending.event, Finished):
            return (*records, ending)
        return records


def figures_of(record: Record) -> dict[str, Any]:
    """Return an iteration's figures, with ``iteration``, its number."""
    event: Any = record.event
    return {**event.figures, "iteration": event.iteration}
