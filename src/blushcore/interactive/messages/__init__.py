"""What is said between the worker and whoever started it: requests in, events out, one JSON object a line.

Both ends share these models; nothing here needs torch. A request that starts work carries an `id` of the
asker's choice, which its events carry too. Arrays never travel in the lines: they are float32 ``.npy`` files in
the folder that the worker was given, whole when they are named, and belong to the reader from then on.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias, TypeVar

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from blushcore.interactive.messages.base import PROTOCOL, Triple
from blushcore.interactive.messages.denoising import (
    Denoise,
    DenoiseSettings,
    Done,
    Focus,
    Load,
    Loaded,
    Mode,
    Precision,
    Prepare,
    Prepared,
    SliceInView,
    SlicePicture,
)
from blushcore.interactive.messages.measuring import (
    Compare,
    Compared,
    DenoiserValidated,
    LocalResolutionMeasured,
    MakeMask,
    MaskMade,
    MeasureLocalResolution,
    ValidateDenoiser,
    ValidationSettings,
)
from blushcore.interactive.messages.process import (
    Cancel,
    Cancelled,
    Describe,
    Described,
    DeviceFacts,
    Failed,
    Quit,
    Ready,
    Release,
    WeightsFacts,
    Working,
)
from blushcore.interactive.messages.runs import (
    CheckFinetuning,
    CheckRefinement,
    FinetuningChecked,
    MakeDemoParticles,
    ParticlesMade,
    RefinementChecked,
)

__all__ = [
    "PROTOCOL",
    "Cancel",
    "Cancelled",
    "CheckFinetuning",
    "CheckRefinement",
    "Compare",
    "Compared",
    "Denoise",
    "DenoiseSettings",
    "DenoiserValidated",
    "Describe",
    "Described",
    "DeviceFacts",
    "Done",
    "Event",
    "Failed",
    "FinetuningChecked",
    "Focus",
    "GarbledError",
    "Load",
    "Loaded",
    "LocalResolutionMeasured",
    "MakeDemoParticles",
    "MakeMask",
    "MaskMade",
    "MeasureLocalResolution",
    "Mode",
    "ParticlesMade",
    "Precision",
    "Prepare",
    "Prepared",
    "Quit",
    "Ready",
    "RefinementChecked",
    "Release",
    "Request",
    "SliceInView",
    "SlicePicture",
    "Triple",
    "ValidateDenoiser",
    "ValidationSettings",
    "WeightsFacts",
    "Working",
    "parse_event",
    "parse_request",
    "to_line",
]

Request: TypeAlias = Annotated[
    Load
    | Prepare
    | Denoise
    | Focus
    | Cancel
    | Compare
    | MeasureLocalResolution
    | ValidateDenoiser
    | MakeMask
    | Release
    | Describe
    | CheckRefinement
    | CheckFinetuning
    | MakeDemoParticles
    | Quit,
    Field(discriminator="request"),
]

Event: TypeAlias = Annotated[
    Ready
    | Loaded
    | Prepared
    | Described
    | Working
    | SlicePicture
    | Done
    | Compared
    | LocalResolutionMeasured
    | DenoiserValidated
    | MaskMade
    | RefinementChecked
    | FinetuningChecked
    | ParticlesMade
    | Cancelled
    | Failed,
    Field(discriminator="event"),
]

_REQUESTS: TypeAdapter[Request] = TypeAdapter(Request)
_EVENTS: TypeAdapter[Event] = TypeAdapter(Event)

T = TypeVar("T")


class GarbledError(ValueError):
    """A line that is no message."""


def parse_request(line: str | bytes) -> Request:
    """Return the request in a line; raises `GarbledError`."""
    return _parse(_REQUESTS, line)


def parse_event(line: str | bytes) -> Event:
    """Return the event in a line; raises `GarbledError`."""
    return _parse(_EVENTS, line)


def to_line(message: BaseModel) -> bytes:
    """Return a message as its line, with the end of line."""
    return message.model_dump_json().encode() + b"\n"


def _parse(adapter: TypeAdapter[T], line: str | bytes) -> T:
    try:
        return adapter.validate_json(line)
    except ValidationError as error:
        raise GarbledError(f"not a message: {line[:200]!r} ({error.error_count()} faults)") from error
