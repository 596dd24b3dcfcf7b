"""One line of ``events.jsonl``: an event, when it happened, and where its files lie.

::

    {"schema": 1, "attempt": 2, "seq": 41, "time": 1763636400.123, "kind": "iteration_done",
     "data": {"iteration": 3, "figures": {…}, "files": {"half1": "run_it003_half1_class001.mrc"}},
     "sizes": {"half1": 8389632}, "checkpoint": "checkpoints/it000003.safetensors"}

`seq` counts over the whole life of the run, `attempt` its starts. Lines hold JSON values and relative
paths only.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import PurePath
from typing import Any

import numpy as np

from blushcore.protocol import (
    Acknowledged,
    Event,
    Failed,
    Finished,
    IterationDone,
    Message,
    Paused,
    Progress,
    Resumed,
    Started,
)
from blushcore.runs.layout import SCHEMA

KINDS: Mapping[str, type[Event]] = {
    event.kind: event
    for event in (
        Started,
        Progress,
        Message,
        IterationDone,
        Acknowledged,
        Paused,
        Resumed,
        Finished,
        Failed,
    )
}

_LENT = frozenset({"artefacts", "state"})


@dataclass(frozen=True, kw_only=True)
class Record:
    """An event as it was recorded.

    `time` is in seconds since 1970 by the writer's clock, `sizes` in bytes by role. `checkpoint` is the path of
    the state to go on from, relative to the run directory; it may have been pruned since.
    """

    event: Event
    attempt: int
    seq: int
    time: float
    sizes: Mapping[str, int] = field(default_factory=dict)
    checkpoint: str | None = None

    @property
    def files(self) -> Mapping[str, str]:
        """Role to path relative to the run directory, of the files that belong to the event."""
        return self.event.files if isinstance(self.event, (IterationDone, Finished)) else {}


def encode(record: Record) -> bytes:
    """Return `record` as one line, its end included.

    Raises
    ------
    TypeError
        If the event holds something else than JSON values: a fault in the job. The message names the place.
    """
    line: dict[str, Any] = {
        "schema": SCHEMA,
        "attempt": record.attempt,
        "seq": record.seq,
        "time": round(record.time, 3),
        "kind": record.event.kind,
        "data": event_values(record.event),
    }
    if record.sizes:
        line["sizes"] = dict(record.sizes)
    if record.checkpoint is not None:
        line["checkpoint"] = record.checkpoint
    return json.dumps(line, ensure_ascii=False, allow_nan=False).encode() + b"\n"


class LaterVersionError(ValueError):
    """A line was written by a version of blush that may say things in ways that this one does not know."""


def decode(line: bytes) -> Record:
    """Return the record that `line` holds. Fields this version does not know are left out.

    Raises
    ------
    LaterVersionError
        If the line is of a later schema.
    ValueError
        If it is torn, damaged or of an unknown kind; the message says which.
    """
    try:
        values = json.loads(line)
    except ValueError:
        raise ValueError("it is torn or damaged") from None
    try:
        if values["schema"] > SCHEMA:
            schema = values["schema"]
            raise LaterVersionError(f"it was written by a later version of blush (schema {schema})")
        kind = KINDS.get(values["kind"])
        if kind is None:
            raise ValueError(f"this version of blush does not know events of kind {values['kind']!r}")
        data = values["data"]
        known = {entry.name: entry for entry in fields(kind) if entry.name not in _LENT}
        for name, entry in known.items():
            if entry.default is MISSING and entry.default_factory is MISSING and name not in data:
                raise ValueError(f"its field {name!r} is missing")
        return Record(
            event=kind(**{name: data[name] for name in known if name in data}),
            attempt=int(values["attempt"]),
            seq=int(values["seq"]),
            time=float(values["time"]),
            sizes=dict(values.get("sizes", {})),
            checkpoint=values.get("checkpoint"),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"it is no event ({type(error).__name__} {error})") from None


def event_values(event: Event) -> dict[str, Any]:
    """Return the event's fields as JSON values, without what it only lends."""
    return {
        entry.name: json_value(getattr(event, entry.name), f"{event.kind}.{entry.name}")
        for entry in fields(event)
        if entry.name not in _LENT
    }


def json_value(value: Any, where: str) -> Any:
    """Return `value` as JSON has it.

    NumPy's scalars become numbers and paths strings. JSON knows no NaN and no infinity: they become null, "no
    value". Arrays are refused: events go to every reader, and large things belong into files.

    Raises
    ------
    TypeError
        If there is no such value; the message says `where`.
    """
    match value:
        case None | bool() | str():
            return value
        case np.generic():
            return json_value(value.item(), where)
        case int():
            return value
        case float():
            return value if math.isfinite(value) else None
        case PurePath():
            return str(value)
        case Mapping():
            return {_key(key, where): json_value(item, f"{where}.{key}") for key, item in value.items()}
        case list() | tuple():
            return [json_value(item, f"{where}[{index}]") for index, item in enumerate(value)]
        case _:
            raise TypeError(f"{where} is a {type(value).__name__}; events hold JSON values only")


def _key(key: Any, where: str) -> str:
    if not isinstance(key, str):
        raise TypeError(f"{where} has the key {key!r}; keys are strings")
    return key
