"""Messages about what is measured of two half-maps in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat

from blushcore.interactive.messages.base import Message
from blushcore.interactive.messages.denoising import DenoiseSettings
from blushcore.volumes.mask_settings import MaskSettings


class Compare(Message):
    """FSC between two maps in memory. Answered by `Compared`.

    `halves` are keys of maps as loaded, `results` the ids of two finished denoisings (or none).
    """

    request: Literal["compare"] = "compare"
    id: str
    halves: tuple[str, str]
    results: tuple[str, str] | None = None


class MeasureLocalResolution(Message):
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


class ValidationSettings(DenoiseSettings):
    """What the findings of a validation depend on, besides the maps."""

    model: Path | None = Field(
        None, description="Atomic model fitted into the maps (.pdb, .cif): adds the FSC with it"
    )
    seed: NonNegativeInt = Field(0, description="Seed of the random phases")


class ValidateDenoiser(Message):
    """Test on two half-maps in memory whether the denoiser keeps to them; ends the work that is under way.

    Answered by `Working` and, in the end, `DenoiserValidated`.
    """

    request: Literal["validate_denoiser"] = "validate_denoiser"
    id: str
    halves: tuple[str, str]
    settings: ValidationSettings
    mask: str | None = None
    """Key of a mask on their grid: where to measure. By default the denoiser's sphere."""


class MakeMask(Message):
    """Make a soft mask of a map in memory. Answered by `MaskMade`; the work under way goes on after it."""

    request: Literal["make_mask"] = "make_mask"
    id: str
    key: str
    settings: MaskSettings


class Compared(Message):
    """FSC by shell, float, shell 0 first. `after` only where results were given."""

    event: Literal["compared"] = "compared"
    id: str
    box_size_angstrom: float
    before: tuple[float, ...]
    after: tuple[float, ...] | None
    resolution_before: float
    """Å at FSC 0.143 of the undenoised halves, without a mask."""
    reaches_nyquist: bool


class LocalResolutionMeasured(Message):
    """The local resolution is measured: file of a map in Å on the halves' grid."""

    event: Literal["local_resolution_measured"] = "local_resolution_measured"
    id: str
    path: Path
    window: float
    """Å."""
    median: float
    """Å, of the voxels that were asked for."""


class DenoiserValidated(Message):
    """What `blushcore.denoiser.findings.Findings` tells: sentences, most important first, and all figures."""

    event: Literal["denoiser_validated"] = "denoiser_validated"
    id: str
    sentences: tuple[str, ...]
    figures: dict[str, Any]


class MaskMade(Message):
    """A mask is made: file of it, 0 to 1, on the map's grid."""

    event: Literal["mask_made"] = "mask_made"
    id: str
    path: Path
    threshold: float
    """Density from which on a voxel of the low-passed map is inside."""
    lowest: float
    highest: float
    """Of the low-passed map's values: between them thresholds lie."""
    volume_nm3: float
    share_of_box: float
    warnings: tuple[str, ...] = ()
