"""What is said between the worker and whoever started it: requests in, events out, one JSON object a line.

Both ends share these models; nothing here needs torch. A request that starts work carries an `id` of the
asker's choice, which its events carry too. Arrays never travel in the lines: they are float32 ``.npy`` files in
the folder that the worker was given, whole when they are named, and belong to the reader from then on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, TypeAdapter, ValidationError

from blushcore.protocol import Parameters

PROTOCOL = 4
"""Number of this protocol; `Ready` says it first of all."""

Triple: TypeAlias = tuple[float, float, float]
Precision: TypeAlias = Literal["auto", "float32", "bfloat16"]
Mode: TypeAlias = Literal["preview", "full"]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class DenoiseSettings(Parameters):
    """What a denoised map depends on, besides the map."""

    diameter: PositiveFloat | None = Field(
        None, description="Diameter of the particle (Å); beyond its sphere all is flat. None: the box"
    )
    weights: str | None = Field(None, description="Network weights: a name or a .safetensors file")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:1, mps")
    precision: Precision = Field(
        "auto", description="Of the network's arithmetic; auto takes what is fast on the device"
    )


class SliceInView(_Model):
    """The slice somebody looks at: across `axis` (0, 1, 2 for z, y, x) of the map as loaded, at `index`.

    `centre` is where in it the eye rests, in voxels along the two other axes, in their order; None for the
    middle. What lies nearest comes first.
    """

    axis: Literal[0, 1, 2]
    index: int
    centre: tuple[float, float] | None = None


# Requests


class Load(_Model):
    """Take a map into memory under `key`, in place of what had the key before. Answered by `Loaded`.

    `path` is a map file or an array (``.npy``, with a voxel size then). `voxel_size` is Å along (z, y, x) and
    replaces what a header says. `role` ``"mask"`` wants values from 0 to 1.
    """

    request: Literal["load"] = "load"
    key: str
    path: Path
    voxel_size: Triple | None = None
    role: Literal["map", "mask"] = "map"


class Prepare(_Model):
    """Get the network ready, so that the first picture need not wait for it. Answered by `Prepared`."""

    request: Literal["prepare"] = "prepare"
    settings: DenoiseSettings


class Denoise(_Model):
    """Denoise the map under `key`; ends the work that is under way, but keeps what that has finished.

    ``preview`` computes what the slice in view needs and then waits for a `Focus`; ``full`` ends with `Done`.
    """

    request: Literal["denoise"] = "denoise"
    id: str
    key: str
    settings: DenoiseSettings
    mask: str | None = None
    """Key of a mask on the map's grid."""
    mode: Mode = "full"
    focus: SliceInView | None = None


class Focus(_Model):
    """Somebody looks at another slice now; None: at none."""

    request: Literal["focus"] = "focus"
    id: str
    focus: SliceInView | None


class Cancel(_Model):
    """End the work `id` after the blocks in hand. Answered by `Cancelled`; work that has ended needs none."""

    request: Literal["cancel"] = "cancel"
    id: str


class Compare(_Model):
    """FSC between two maps in memory. Answered by `Compared`.

    `halves` are keys of maps as loaded, `results` the ids of two finished denoisings (or none).
    """

    request: Literal["compare"] = "compare"
    id: str
    halves: tuple[str, str]
    results: tuple[str, str] | None = None


class MeasureLocalResolution(_Model):
    """Measure the local resolution of two half-maps in memory; ends the work that is under way.

    Answered by `Working` and, in the end, `LocalResolutionMeasured`.
    """

    request: Literal["measure_local_resolution"] = "measure_local_resolution"
    id: str
    halves: tuple[str, str]
    mask: str | None = None
    """Key of a mask on their grid: where to measure. By default the sphere in the box."""
    window: PositiveFloat | None = None
    """Edge of the window (Å); by default six times the resolution of the whole map."""


class Release(_Model):
    """Forget the map under `key` and all that was computed of it."""

    request: Literal["release"] = "release"
    key: str


class Describe(_Model):
    """Say which devices and weights there are, and what the map under `key` would take. See `Described`."""

    request: Literal["describe"] = "describe"
    key: str | None = None


class CheckRefinement(_Model):
    """Look at what a refinement or a classification is to begin with.

    Answered by `RefinementChecked`, or `Failed` with its field.

    `parameters` are those of the job, as JSON values; `output` is the run directory to be made.
    """

    request: Literal["check_refinement"] = "check_refinement"
    id: str
    job: Literal["refine", "classify"] = "refine"
    parameters: dict[str, Any]
    output: Path


class CheckFinetuning(_Model):
    """Look at what a fine-tuning is to begin with.

    Answered by `FinetuningChecked`, or `Failed` with its field. `parameters` are those of the job, as JSON
    values.
    """

    request: Literal["check_finetuning"] = "check_finetuning"
    id: str
    parameters: dict[str, Any]


class MakeDemoParticles(_Model):
    """Make the built-in particle set in `folder`, unless it is there already. Answered by `ParticlesMade`."""

    request: Literal["make_demo_particles"] = "make_demo_particles"
    id: str
    folder: Path


class Quit(_Model):
    """End. So does the end of stdin."""

    request: Literal["quit"] = "quit"


Request: TypeAlias = Annotated[
    Load
    | Prepare
    | Denoise
    | Focus
    | Cancel
    | Compare
    | MeasureLocalResolution
    | Release
    | Describe
    | CheckRefinement
    | CheckFinetuning
    | MakeDemoParticles
    | Quit,
    Field(discriminator="request"),
]

# Events


class Ready(_Model):
    """The first event: the worker listens."""

    event: Literal["ready"] = "ready"
    protocol: int = PROTOCOL
    pid: int
    threads: int


class Loaded(_Model):
    """A map is in memory."""

    event: Literal["loaded"] = "loaded"
    key: str
    shape: tuple[int, int, int]
    voxel_size: Triple
    estimated_diameter: float | None = None
    """Å; see `blushcore.interactive.diameter`. None for masks and where no particle stands out."""
    warnings: tuple[str, ...] = ()


class Prepared(_Model):
    """The network is in place; `name` is the device's, `precision` what ``auto`` came to."""

    event: Literal["prepared"] = "prepared"
    weights: str
    sha256: str
    device: str
    device_name: str
    precision: str


class DeviceFacts(_Model):
    """A device, and what of its memory is free (bytes)."""

    device: str
    name: str
    free: int
    total: int
    note: str = ""
    predicted_peak: int | None = None
    """Bytes on this device that denoising the map would take at most, batches chosen by the worker."""


class WeightsFacts(_Model):
    """Weights that can be used by name."""

    name: str
    version: str
    sha256: str
    default: bool
    summary: str = ""


class Described(_Model):
    """Devices (the one that ``auto`` takes first) and weights."""

    event: Literal["described"] = "described"
    key: str | None
    devices: tuple[DeviceFacts, ...]
    weights: tuple[WeightsFacts, ...]
    default_weights: str
    predicted_host_peak: int | None = None
    """Bytes of the host's memory that denoising the map would take at most beside a GPU."""


class Working(_Model):
    """How far the work `id` has come; `stage` is what it is at, `total` 0 where that is unknown."""

    event: Literal["progress"] = "progress"
    id: str
    stage: str
    done: int = 0
    total: int = 0
    eta_seconds: float | None = None


class SlicePicture(_Model):
    """The slice in view as it stands: ``(rows, columns)`` of the map as loaded, in file `path`."""

    event: Literal["slice"] = "slice"
    id: str
    axis: int
    index: int
    path: Path
    blocks_done: int
    """Of the blocks that cross the slice."""
    blocks_total: int
    whole: bool
    """Whether there is a picture of the whole slice yet, approximate at least."""
    approximate: bool
    """Until the slice is that of the full result (for maps on the network's own grid this is exact; others
    wait for the last block, since resampling reaches far)."""


class Done(_Model):
    """The whole map is done: files of the map and the network's mask, on the grid of the map as loaded."""

    event: Literal["done"] = "done"
    id: str
    key: str
    map_path: Path
    mask_path: Path
    figures: dict[str, str | int | float | None]
    """Weights with sha256, device, precision, diameter, blocks, seconds."""


class Compared(_Model):
    """FSC by shell, float, shell 0 first. `after` only where results were given."""

    event: Literal["compared"] = "compared"
    id: str
    box_size_angstrom: float
    before: tuple[float, ...]
    after: tuple[float, ...] | None
    resolution_before: float
    """Å at FSC 0.143 of the undenoised halves, without a mask."""
    reaches_nyquist: bool


class LocalResolutionMeasured(_Model):
    """The local resolution is measured: file of a map in Å on the halves' grid."""

    event: Literal["local_resolution_measured"] = "local_resolution_measured"
    id: str
    path: Path
    window: float
    """Å."""
    median: float
    """Å, of the voxels that were asked for."""


class RefinementChecked(_Model):
    """A refinement or classification can begin: what its particles are, and what it takes beside what is there.

    Bytes and seconds are predictions; `device_peak` is 0 where all is computed in the host's memory.
    """

    event: Literal["refinement_checked"] = "refinement_checked"
    id: str
    particles: int
    half_sizes: tuple[int, int] | None = None
    """None where the particles are not split."""
    box: int
    pixel_size: float
    """Å."""
    optics_groups: int
    device: str
    device_name: str
    host_peak: int
    host_free: int
    device_peak: int
    device_free: int
    disk: int
    disk_free: int
    seconds: tuple[float, float] | None = None
    """From … to …: see `blushcore.jobs.refine.duration`; None where nobody can say."""
    warnings: tuple[str, ...] = ()


class FinetuningChecked(_Model):
    """A fine-tuning can begin: the half-maps' resolution and the particle's diameter (Å), and the device."""

    event: Literal["finetuning_checked"] = "finetuning_checked"
    id: str
    resolution: float
    diameter: float
    device: str
    device_name: str
    warnings: tuple[str, ...] = ()


class ParticlesMade(_Model):
    """A particle set lies in `folder`; how to refine it, as parameters of `blushcore.jobs.refine`."""

    event: Literal["particles_made"] = "particles_made"
    id: str
    folder: Path
    truth: Path
    parameters: dict[str, Any]


class Cancelled(_Model):
    """The work `id` has ended before its end, as was asked."""

    event: Literal["cancelled"] = "cancelled"
    id: str


class Failed(_Model):
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
