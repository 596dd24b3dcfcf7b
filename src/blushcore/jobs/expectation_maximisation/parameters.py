"""What jobs that search the poses of particles have in common in their parameters: types, units, help, rules.

A job's own model lists what it takes, in the order of its help, its form and its ``params.json``, with the
defaults; what a field means, and within which limits, is said here.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self, TypeAlias

from pydantic import Field, PositiveFloat, model_validator

from blushcore.jobs.parameter_types import INPUTS, MAPS, RUN, SEARCH, Device, Seed, absolute_weights
from blushcore.protocol import Parameters

ParticlesFile: TypeAlias = Annotated[Path, Field(description="STAR file of particles (RELION 3.0 to 5)")]
ImageRoot: TypeAlias = Annotated[
    Path | None,
    Field(
        description="Folder that image names are relative to, where it is not the STAR file's project",
        json_schema_extra={"format": "directory-path"},
    ),
    INPUTS,
]
Diameter: TypeAlias = Annotated[
    PositiveFloat, Field(description="Diameter of the circular mask around the particles (Å)")
]
PriorName: TypeAlias = Annotated[
    Literal["blush", "wiener"],
    Field(description="What regularises the maps: the denoiser, or the Wiener filter"),
]
Weights: TypeAlias = Annotated[
    str | None,
    Field(description="Network weights of prior blush: a name ('blush weights list') or a .safetensors file"),
    MAPS,
]
Symmetry: TypeAlias = Annotated[
    str,
    Field(
        description="Point group, in RELION's setting: C1, Cn, Dn, T, O, I1 to I4 (I is I2)",
        pattern=r"^(?i:[CD][1-9][0-9]?|T|O|I[1-4]?)$",
    ),
]
SolventMask: TypeAlias = Annotated[
    Path | None, Field(description="Solvent mask (values 0 to 1) for the references, instead of a sphere")
]
HealpixOrder: TypeAlias = Annotated[int, Field(ge=0, le=8), SEARCH]
OffsetStep: TypeAlias = Annotated[
    PositiveFloat | None,
    Field(description="Step of that search, before oversampling (Å); by default 2 pixels"),
    SEARCH,
    SEARCH,
]
AdaptiveFraction: TypeAlias = Annotated[
    float,
    Field(gt=0.5, le=1, description="Share of the posterior that is searched more finely and kept"),
    SEARCH,
]
TauFudge: TypeAlias = Annotated[
    PositiveFloat, Field(description="Weight of the data against the prior: RELION's T"), MAPS
]
Padding: TypeAlias = Annotated[
    Literal[1, 2], Field(description="Oversampling of the maps in Fourier space"), MAPS
]
ZeroMask: TypeAlias = Annotated[
    bool, Field(description="Fill the background of the images with zeros, not noise"), MAPS
]
FlattenSolvent: TypeAlias = Annotated[
    bool, Field(description="Mask the references: mask, or a sphere of the diameter"), MAPS
]
NormCorrection: TypeAlias = Annotated[bool, Field(description="Correct the normalisation of each image"), MAPS]
ScaleCorrection: TypeAlias = Annotated[
    bool, Field(description="Correct the intensity scale of each micrograph"), MAPS
]
Keep: TypeAlias = Annotated[
    Literal["light", "full"],
    Field(description="History of maps: cropped to the resolution, in float16; or full maps"),
    RUN,
]


class SearchParameters(Parameters):
    """Parameters of a job that searches poses. Angles are in degrees, lengths in Å unless named otherwise.

    Each such job has the fields below, of the types above. They stand in its own model, because a model's
    own fields come behind those of its base, and the order is what users see.
    """

    if TYPE_CHECKING:
        particles: ParticlesFile
        root: ImageRoot
        diameter: Diameter
        prior: PriorName
        weights: Weights
        symmetry: Symmetry
        mask: SolventMask
        initial_lowpass: PositiveFloat
        first_iteration_cc: bool
        resample_reference: bool
        healpix_order: HealpixOrder
        offset_range: PositiveFloat | None
        offset_step: OffsetStep
        adaptive_fraction: AdaptiveFraction
        tau_fudge: TauFudge
        padding: Padding
        zero_mask: ZeroMask
        flatten_solvent: FlattenSolvent
        norm_correction: NormCorrection
        scale_correction: ScaleCorrection
        keep: Keep
        seed: Seed
        device: Device

    def with_absolute_paths(self) -> Self:
        """Return a copy that does not depend on the working directory; a file of weights counts too."""
        return super().with_absolute_paths().replace(weights=absolute_weights(self.weights))

    @model_validator(mode="after")
    def _search_is_consistent(self) -> Self:
        step, radius = self.offset_step, self.offset_range
        if step is not None and radius is not None and step > radius:
            raise ValueError(f"offset_step ({step:g} Å) is larger than offset_range ({radius:g} Å)")
        if self.prior != "blush" and self.weights is not None:
            raise ValueError(f"weights are a matter of the prior blush, and the prior is {self.prior}")
        return self
