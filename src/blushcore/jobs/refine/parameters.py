"""The parameters of a refinement."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from blushcore.jobs.expectation_maximisation import parameters as common
from blushcore.jobs.parameter_types import INPUTS, MAPS, RUN, SEARCH, Device, Seed


class RefineParameters(common.SearchParameters):
    """Parameters of a 3D auto-refinement. Angles are in degrees, lengths in Å unless named otherwise."""

    positional: ClassVar[tuple[str, ...]] = ("particles",)

    particles: common.ParticlesFile
    reference: Path = Field(description="Map to begin with, of the particles' box and pixel size")
    resample_reference: Annotated[bool, INPUTS] = Field(
        False, description="Bring a reference of another pixel size or box onto the particles' grid"
    )
    diameter: common.Diameter
    root: common.ImageRoot = None

    prior: common.PriorName = "blush"
    weights: common.Weights = None
    symmetry: common.Symmetry = "C1"
    mask: common.SolventMask = None
    initial_lowpass: PositiveFloat = Field(
        40.0, description="Resolution to which the reference is low-passed at first (Å)"
    )
    first_iteration_cc: bool = Field(
        False, description="Compare by cross-correlation at first: for a reference of unknown scale"
    )

    healpix_order: common.HealpixOrder = Field(
        2, description="HEALPix order to begin with: 2 is 15°, 3 is 7.5°"
    )
    local_from_order: Annotated[int, SEARCH] = Field(
        4, ge=1, le=9, description="HEALPix order from which searches are local"
    )
    offset_range: Annotated[PositiveFloat | None, SEARCH] = Field(
        None, description="Radius within which offsets are searched at first (Å); by default 5 pixels"
    )
    offset_step: common.OffsetStep = None
    adaptive_fraction: common.AdaptiveFraction = 0.999

    tau_fudge: common.TauFudge = 1.0
    padding: common.Padding = 2
    zero_mask: common.ZeroMask = True
    flatten_solvent: common.FlattenSolvent = True
    low_resolution_join: Annotated[PositiveFloat, MAPS] = Field(
        40.0, description="The halves are averaged up to this resolution, so that they stay aligned (Å)"
    )
    norm_correction: common.NormCorrection = True
    scale_correction: common.ScaleCorrection = True
    spectral_trailing: Annotated[bool, MAPS] = Field(
        True,
        description="Low-pass denoised maps where the halves stop agreeing (prior blush); off marks the run",
    )
    safeguards: Annotated[bool, MAPS] = Field(
        True, description="Hold denoised halves against raw ones in each iteration (prior blush): costs little"
    )

    continue_from: Annotated[Path | None, INPUTS] = Field(
        None,
        description="_optimiser.star of another refinement of these particles, also RELION's: begin there",
    )
    max_iterations: Annotated[PositiveInt, RUN] = Field(
        50, description="Iterations at most, the last (joined) one included"
    )
    keep: common.Keep = "light"
    seed: Annotated[Seed, RUN] = 0
    device: Device = "auto"

    @model_validator(mode="after")
    def _trailing_is_blushs(self) -> RefineParameters:
        if self.prior != "blush" and not self.spectral_trailing:
            raise ValueError(f"spectral trailing is a matter of the prior blush, and the prior is {self.prior}")
        return self
