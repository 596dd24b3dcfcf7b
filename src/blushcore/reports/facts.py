"""What a run directory tells of a run: parameters, iterations, files, warnings, how it ended."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blushcore.jobs import JOBS
from blushcore.protocol import Failed, Finished
from blushcore.runs import read_run

_LIVES = {
    "finished": ("done", "Finished"),
    "stopped": ("open", "Stopped before its end"),
    "failed": ("bad", "Failed"),
    "dead": ("bad", "Ended without a word"),
    "running": ("open", "Still running"),
    "silent": ("open", "No sign of life"),
    "waiting": ("open", "Not begun"),
    "unreachable": ("bad", "Not reachable"),
}


@dataclass(frozen=True)
class ParameterRow:
    """A parameter in force: its value, whether it is the default, and what it means."""

    name: str
    value: Any
    is_default: bool
    meaning: str


@dataclass(frozen=True, eq=False)
class RunFacts:
    """A run, read once.

    Attributes
    ----------
    directory, job, version, device
        Where it lies, what it is, the version of blush it was begun with, the device it was last done on.
    tone, standing
        How it stands: ``done``, ``open`` or ``bad``, and in words.
    problem
        Why it failed, if it did.
    started, ended
        Local times of the first and the last event; None if there is none.
    attempts
        How often it was started.
    parameters
        Those in force, in the model's order.
    history
        Figures of the iterations that count, ``iteration`` among them; those without figures left out.
    figures
        Of the end.
    files
        Final files by role; those of the newest iteration where the run has not ended.
    before_after
        Maps of the newest iteration that has them, before and after the prior, by role.
    last_reference
        The iteration of these.
    warnings
        The job's sentences, each once.
    """

    directory: Path
    job: str
    version: str
    device: str
    tone: str
    standing: str
    problem: str
    started: dt.datetime | None
    ended: dt.datetime | None
    attempts: int
    parameters: tuple[ParameterRow, ...]
    history: tuple[Mapping[str, Any], ...]
    figures: Mapping[str, Any]
    files: Mapping[str, Path]
    before_after: Mapping[str, Path]
    last_reference: int | None
    warnings: tuple[str, ...]

    def parameter(self, name: str) -> Any:
        """Return a parameter's value; None if there is none of that name."""
        return next((row.value for row in self.parameters if row.name == name), None)

    @property
    def newest(self) -> Mapping[str, Any]:
        """The figures of the newest iteration that has any; empty before the first."""
        return self.history[-1] if self.history else {}


def read_facts(directory: Path) -> RunFacts:
    """Read a run directory, of a live run as it stands.

    Raises
    ------
    BlushError
        If it is none.
    """
    reader = read_run(directory)
    summary, description = reader.summary, reader.description
    records = [summary.iterations[number] for number in sorted(summary.iterations)]
    history = [
        {"iteration": number, **record.event.figures}  # type: ignore[attr-defined]
        for number, record in sorted(summary.iterations.items())
        if record.event.figures  # type: ignore[attr-defined]
    ]
    files: dict[str, Path] = {}
    before_after: dict[str, Path] = {}
    last_reference = None
    for number, record in zip(sorted(summary.iterations), records, strict=True):
        found = reader.files(record)
        if found:
            files = dict(found)
        if "half1" in found or "class001" in found:
            before_after, last_reference = dict(found), number
    ending = None if summary.ending is None else summary.ending.event
    figures: Mapping[str, Any] = {}
    if isinstance(ending, Finished) and summary.ending is not None:
        figures = ending.figures
        files = dict(reader.files(summary.ending)) or files
    tone, standing = _LIVES[reader.life()]
    return RunFacts(
        directory=reader.directory,
        job=reader.job,
        version=description.version,
        device=summary.device,
        tone=tone,
        standing=standing,
        problem=f"{ending.problem} {ending.remedy or ''}".strip() if isinstance(ending, Failed) else "",
        started=_local(description.created) if description.created else None,
        ended=None if summary.last is None else _local(summary.last.time),
        attempts=summary.attempt,
        parameters=_parameter_rows(reader.job, summary.parameters),
        history=tuple(history),
        figures=figures,
        files=files,
        before_after=before_after,
        last_reference=last_reference,
        warnings=tuple(dict.fromkeys(summary.warnings)),
    )


def _parameter_rows(job: str, values: Mapping[str, Any]) -> tuple[ParameterRow, ...]:
    model = JOBS[job].parameters if job in JOBS else None
    fields = {} if model is None else model.model_fields
    rows = []
    for name in (
        *(name for name in fields if name in values),
        *(name for name in values if name not in fields),
    ):
        field, value = fields.get(name), values[name]
        is_default = field is not None and not field.is_required() and _plain(field.get_default()) == value
        meaning = "" if field is None else field.description or ""
        rows.append(ParameterRow(name, value, is_default, meaning))
    return tuple(rows)


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


def _local(seconds: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, tz=dt.UTC).astimezone()
