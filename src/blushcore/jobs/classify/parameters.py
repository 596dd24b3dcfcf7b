"""The parameters of a classification."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from cyclopts import Parameter
from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from blushcore.jobs.expectation_maximisation import parameters as common
from blushcore.jobs.parameter_types import INPUTS, RUN, SEARCH, Device, Seed

Alignment = Literal["global", "local", "offsets", "none"]
NEEDS_POSES: frozenset[Alignment] = frozenset({"local", "offsets", "none"})


class ClassifyParameters(common.SearchParameters):
    """Parameters of a 3D classification. Angles are in degrees, lengths in Å unless named otherwise."""

    positional: ClassVar[tuple[str, ...]] = ("particles",)

    particles: common.ParticlesFile
    reference: tuple[Path, ...] = Field(
        min_length=1,
        description="Map to begin with, of the particles' box and pixel size; given several times: one a class",
    )
    classes: Annotated[PositiveInt, Parameter(alias="-K")] = Field(
        1, le=99, description="Number of classes, K; with several references, theirs"
    )
    resample_reference: Annotated[bool, INPUTS] = Field(
        False, description="Bring references of another pixel size or box onto the particles' grid"
    )
    diameter: common.Diameter
    root: common.ImageRoot = None

    prior: common.PriorName = "blush"
    weights: common.Weights = None
    symmetry: common.Symmetry = "C1"
    mask: common.SolventMask = None
    initial_lowpass: PositiveFloat = Field(
        40.0, description="Resolution to which the references are low-passed at first (Å)"
    )
    first_iteration_cc: bool = Field(
        False, description="Compare by cross-correlation at first: for references of unknown scale"
    )

    alignment: Alignment = Field(
        "global",
        description="Poses: searched everywhere, near the last ones, in their offsets alone, or kept",
    )
    local_sigma_deg: Annotated[PositiveFloat, SEARCH] = Field(
        5.0, description="Standard deviation of local searches around each particle's last orientation (°)"
    )
    iterations: PositiveInt = Field(25, description="Number of iterations")
    tau_fudge: common.TauFudge = 4.0
    highest_resolution: Annotated[PositiveFloat | None, SEARCH] = Field(
        None, description="Images are compared up to this resolution at most (Å)"
    )
    reseed_empty: Annotated[bool, RUN] = Field(
        False, description="Give a class that lost its particles a new start beside the largest one"
    )

    healpix_order: common.HealpixOrder = Field(
        2, description="HEALPix order of the search: 2 is 15°, 3 is 7.5°"
    )
    offset_range: Annotated[PositiveFloat | None, SEARCH] = Field(
        None, description="Radius within which offsets are searched (Å); by default 5 pixels"
    )
    offset_step: common.OffsetStep = None
    adaptive_fraction: common.AdaptiveFraction = 0.999

    padding: common.Padding = 2
    zero_mask: common.ZeroMask = True
    flatten_solvent: common.FlattenSolvent = True
    norm_correction: common.NormCorrection = True
    scale_correction: common.ScaleCorrection = True

    keep: common.Keep = "light"
    seed: Annotated[Seed, RUN] = 0
    device: Device = "auto"

    @property
    def class_count(self) -> int:
        """How many classes there are: K."""
        return max(self.classes, len(self.reference))

    @property
    def begins_at_random(self) -> bool:
        """Whether all classes begin with one map, so that chance has to tell them apart."""
        return self.class_count > 1 and len(self.reference) == 1

    def with_absolute_paths(self) -> Self:
        """Return a copy that does not depend on the working directory; all references count."""
        references = tuple(path.absolute() for path in self.reference)
        return super().with_absolute_paths().replace(reference=references)

    @model_validator(mode="after")
    def _classes_are_consistent(self) -> ClassifyParameters:
        given = len(self.reference)
        if given > 1 and self.classes not in (1, given):
            raise ValueError(
                f"there are {given} references for {self.classes} classes: give one for all, or one for each"
            )
        return self
