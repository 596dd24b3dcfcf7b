"""Messages about maps in memory and their denoising."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeAlias

from pydantic import Field, PositiveFloat

from blushcore.interactive.messages.base import Message, Triple
from blushcore.protocol import Parameters

Precision: TypeAlias = Literal["auto", "float32", "bfloat16"]
Mode: TypeAlias = Literal["preview", "full"]


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


class SliceInView(Message):
    """The slice somebody looks at: across `axis` (0, 1, 2 for z, y, x) of the map as loaded, at `index`.

    `centre` is where in it the eye rests, in voxels along the two other axes, in their order; None for the
    middle. What lies nearest comes first.
    """

    axis: Literal[0, 1, 2]
    index: int
    centre: tuple[float, float] | None = None


class Load(Message):
    """Take a map into memory under `key`, in place of what had the key before. Answered by `Loaded`.

    `path` is a map file or an array (``.npy``, with a voxel size then). `voxel_size` is Å along (z, y, x) and
    replaces what a header says. `role` ``"mask"`` wants values from 0 to 1.
    """

    request: Literal["load"] = "load"
    key: str
    path: Path
    voxel_size: Triple | None = None
    position: Triple | None = None
    """Of an array's voxel (0, 0, 0), Å along (z, y, x): where an atomic model is looked for."""
    role: Literal["map", "mask"] = "map"


class Prepare(Message):
    """Get the network ready, so that the first picture need not wait for it. Answered by `Prepared`."""

    request: Literal["prepare"] = "prepare"
    settings: DenoiseSettings


class Denoise(Message):
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


class Focus(Message):
    """Somebody looks at another slice now; None: at none."""

    request: Literal["focus"] = "focus"
    id: str
    focus: SliceInView | None


class Loaded(Message):
    """A map is in memory."""

    event: Literal["loaded"] = "loaded"
    key: str
    shape: tuple[int, int, int]
    voxel_size: Triple
    estimated_diameter: float | None = None
    """Å; see `blushcore.interactive.diameter`. None for masks and where no particle stands out."""
    warnings: tuple[str, ...] = ()


class Prepared(Message):
    """The network is in place; `name` is the device's, `precision` what ``auto`` came to."""

    event: Literal["prepared"] = "prepared"
    weights: str
    sha256: str
    device: str
    device_name: str
    precision: str


class SlicePicture(Message):
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


class Done(Message):
    """The whole map is done: files of the map and the network's mask, on the grid of the map as loaded."""

    event: Literal["done"] = "done"
    id: str
    key: str
    map_path: Path
    mask_path: Path
    figures: dict[str, str | int | float | None]
    """Weights with sha256, device, precision, diameter, blocks, seconds."""
