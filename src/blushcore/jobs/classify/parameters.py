"""The parameters of a classification."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from cyclopts import Parameter
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from blushcore.protocol import Parameters

Alignment = Literal["global", "local", "offsets", "none"]
NEEDS_POSES: frozenset[Alignment] = frozenset({"local", "offsets", "none"})


class ClassifyParameters(Parameters):
    """Parameters of a 3D classification. Angles are in degrees, lengths in Å unless named otherwise."""

    positional: ClassVar[tuple[str, ...]] = ("particles",)

    particles: Path = Field(description="STAR file of particles (RELION 3.0 to 5)")
    reference: tuple[Path, ...] = Field(
        min_length=1,
        description="Map to begin with, of the particles' box and pixel size; given several times: one a class",
    )
    classes: Annotated[PositiveInt, Parameter(alias="-K")] = Field(
        1, le=99, description="Number of classes, K; with several references, theirs"
    )
    resample_reference: bool = Field(
        False, description="Bring references of another pixel size or box onto the particles' grid"
    )
    diameter: PositiveFloat = Field(description="Diameter of the circular mask around the particles (Å)")
    root: Path | None = Field(
        None, description="Folder that image names are relative to, where it is not the STAR file's project"
    )

    prior: Literal["wiener", "blush"] = Field(
        "wiener", description="What regularises the maps: the Wiener filter, or the denoiser"
    )
    weights: str | None = Field(
        None, description="Network weights of prior blush: a name ('blush weights list') or a .safetensors file"
    )
    symmetry: str = Field(
        "C1",
        description="Point group, in RELION's setting: C1, Cn, Dn, T, O, I1 to I4 (I is I2)",
        pattern=r"^(?i:[CD][1-9][0-9]?|T|O|I[1-4]?)$",
    )
    mask: Path | None = Field(
        None, description="Solvent mask (values 0 to 1) for the references, instead of a sphere"
    )
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
    local_sigma_deg: PositiveFloat = Field(
        5.0, description="Standard deviation of local searches around each particle's last orientation (°)"
    )
    iterations: PositiveInt = Field(25, description="Number of iterations")
    tau_fudge: PositiveFloat = Field(4.0, description="Weight of the data against the prior: RELION's T")
    highest_resolution: PositiveFloat | None = Field(
        None, description="Images are compared up to this resolution at most (Å)"
    )
    reseed_empty: bool = Field(
        False, description="Give a class that lost its particles a new start beside the largest one"
    )

    healpix_order: int = Field(2, ge=0, le=8, description="HEALPix order of the search: 2 is 15°, 3 is 7.5°")
    offset_range: PositiveFloat | None = Field(
        None, description="Radius within which offsets are searched (Å); by default 5 pixels"
    )
    offset_step: PositiveFloat | None = Field(
        None, description="Step of that search, before oversampling (Å); by default 2 pixels"
    )
    adaptive_fraction: float = Field(
        0.999, gt=0.5, le=1, description="Share of the posterior that is searched more finely and kept"
    )

    padding: Literal[1, 2] = Field(2, description="Oversampling of the maps in Fourier space")
    zero_mask: bool = Field(True, description="Fill the background of the images with zeros, not noise")
    flatten_solvent: bool = Field(True, description="Mask the references: mask, or a sphere of the diameter")
    norm_correction: bool = Field(True, description="Correct the normalisation of each image")
    scale_correction: bool = Field(True, description="Correct the intensity scale of each micrograph")

    keep: Literal["light", "full"] = Field(
        "light", description="History of maps: cropped to the resolution, in float16; or full maps"
    )
    seed: NonNegativeInt = Field(0, description="Seed of everything random")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:1, mps")

    @property
    def class_count(self) -> int:
        """How many classes there are: K."""
        return max(self.classes, len(self.reference))

    @property
    def begins_at_random(self) -> bool:
        """Whether all classes begin with one map, so that chance has to tell them apart."""
        return self.class_count > 1 and len(self.reference) == 1

    def with_absolute_paths(self) -> Self:
        """Return a copy that does not depend on the working directory; references and weights count too."""
        absolute = super().with_absolute_paths()
        changes: dict[str, object] = {"reference": tuple(path.absolute() for path in self.reference)}
        if self.weights is not None and self.weights.endswith(".safetensors"):
            changes["weights"] = str(Path(self.weights).expanduser().absolute())
        return absolute.replace(**changes)

    @model_validator(mode="after")
    def _consistent(self) -> ClassifyParameters:
        step, radius, given = self.offset_step, self.offset_range, len(self.reference)
        if step is not None and radius is not None and step > radius:
            raise ValueError(f"offset_step ({step:g} Å) is larger than offset_range ({radius:g} Å)")
        if given > 1 and self.classes not in (1, given):
            raise ValueError(
                f"there are {given} references for {self.classes} classes: give one for all, or one for each"
            )
        if self.prior != "blush" and self.weights is not None:
            raise ValueError(f"weights are a matter of the prior blush, and the prior is {self.prior}")
        return self
