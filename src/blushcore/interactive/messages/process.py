"""Messages about the worker itself and about any work: what there is, how far it has come, how it ended."""

from __future__ import annotations

from typing import Literal

from blushcore.interactive.messages.base import PROTOCOL, Message


class Describe(Message):
    """Say which devices and weights there are, and what the map under `key` would take. See `Described`."""

    request: Literal["describe"] = "describe"
    key: str | None = None


class Cancel(Message):
    """End the work `id` after the blocks in hand. Answered by `Cancelled`; work that has ended needs none."""

    request: Literal["cancel"] = "cancel"
    id: str


class Release(Message):
    """Forget the map under `key` and all that was computed of it."""

    request: Literal["release"] = "release"
    key: str


class Quit(Message):
    """End. So does the end of stdin."""

    request: Literal["quit"] = "quit"


class Ready(Message):
    """The first event: the worker listens."""

    event: Literal["ready"] = "ready"
    protocol: int = PROTOCOL
    pid: int
    threads: int


class DeviceFacts(Message):
    """A device, and what of its memory is free (bytes)."""

    device: str
    name: str
    free: int
    total: int
    note: str = ""
    predicted_peak: int | None = None
    """Bytes on this device that denoising the map would take at most, batches chosen by the worker."""


class WeightsFacts(Message):
    """Weights that can be used by name."""

    name: str
    version: str
    sha256: str
    default: bool
    summary: str = ""


class Described(Message):
    """Devices (the one that ``auto`` takes first) and weights."""

    event: Literal["described"] = "described"
    key: str | None
    devices: tuple[DeviceFacts, ...]
    weights: tuple[WeightsFacts, ...]
    default_weights: str
    predicted_host_peak: int | None = None
    """Bytes of the host's memory that denoising the map would take at most beside a GPU."""


class Working(Message):
    """How far the work `id` has come; `stage` is what it is at, `total` 0 where that is unknown."""

    event: Literal["progress"] = "progress"
    id: str
    stage: str
    done: int = 0
    total: int = 0
    eta_seconds: float | None = None


class Cancelled(Message):
    """The work `id` has ended before its end, as was asked."""

    event: Literal["cancelled"] = "cancelled"
    id: str


class Failed(Message):
    """The request failed; the worker goes on.

    `request` names its kind, `id` the work or the map's key, `field` the parameter that is to be mended.
    """

    event: Literal["failed"] = "failed"
    request: str
    id: str | None
    problem: str
    remedy: str = ""
    error_type: str = ""
    field: str = ""
