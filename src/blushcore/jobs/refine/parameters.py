"""The parameters of a refinement."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal, Protocol, Self

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from blushcore.protocol import Parameters

DEFAULT_OFFSET_RANGE_PX = 5.0
DEFAULT_OFFSET_STEP_PX = 2.0


class SearchChoices(Protocol):
    """What a refinement's parameters and a classification's both say about searches and images."""

    @property
    def diameter(self) -> float: ...  # noqa: D102
    @property
    def initial_lowpass(self) -> float: ...  # noqa: D102
    @property
    def healpix_order(self) -> int: ...  # noqa: D102
    @property
    def offset_range(self) -> float | None: ...  # noqa: D102
    @property
    def offset_step(self) -> float | None: ...  # noqa: D102
    @property
    def zero_mask(self) -> bool: ...  # noqa: D102
    @property
    def padding(self) -> int: ...  # noqa: D102
    @property
    def prior(self) -> Literal["wiener", "blush"]: ...  # noqa: D102


class SamplingChoices(SearchChoices, Protocol):
    """With a symmetry."""

    @property
    def symmetry(self) -> str: ...  # noqa: D102


class RefineParameters(Parameters):
    """Parameters of a 3D auto-refinement. Angles are in degrees, lengths in Å unless named otherwise."""

    positional: ClassVar[tuple[str, ...]] = ("particles",)

    particles: Path = Field(description="STAR file of particles (RELION 3.0 to 5)")
    reference: Path = Field(description="Map to begin with, of the particles' box and pixel size")
    resample_reference: bool = Field(
        False, description="Bring a reference of another pixel size or box onto the particles' grid"
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
        40.0, description="Resolution to which the reference is low-passed at first (Å)"
    )
    first_iteration_cc: bool = Field(
        False, description="Compare by cross-correlation at first: for a reference of unknown scale"
    )

    healpix_order: int = Field(2, ge=0, le=8, description="HEALPix order to begin with: 2 is 15°, 3 is 7.5°")
    local_from_order: int = Field(4, ge=1, le=9, description="HEALPix order from which searches are local")
    offset_range: PositiveFloat | None = Field(
        None, description="Radius within which offsets are searched at first (Å); by default 5 pixels"
    )
    offset_step: PositiveFloat | None = Field(
        None, description="Step of that search, before oversampling (Å); by default 2 pixels"
    )
    adaptive_fraction: float = Field(
        0.999, gt=0.5, le=1, description="Share of the posterior that is searched more finely and kept"
    )

    tau_fudge: PositiveFloat = Field(1.0, description="Weight of the data against the prior: RELION's T")
    padding: Literal[1, 2] = Field(2, description="Oversampling of the maps in Fourier space")
    zero_mask: bool = Field(True, description="Fill the background of the images with zeros, not noise")
    flatten_solvent: bool = Field(True, description="Mask the references: mask, or a sphere of the diameter")
    low_resolution_join: PositiveFloat = Field(
        40.0, description="The halves are averaged up to this resolution, so that they stay aligned (Å)"
    )
    norm_correction: bool = Field(True, description="Correct the normalisation of each image")
    scale_correction: bool = Field(True, description="Correct the intensity scale of each micrograph")
    spectral_trailing: bool = Field(
        True,
        description="Low-pass denoised maps where the halves stop agreeing (prior blush); off marks the run",
    )
    safeguards: bool = Field(
        True, description="Hold denoised halves against raw ones in each iteration (prior blush): costs little"
    )

    continue_from: Path | None = Field(
        None,
        description="_optimiser.star of another refinement of these particles, also RELION's: begin there",
    )
    max_iterations: PositiveInt = Field(50, description="Iterations at most, the last (joined) one included")
    keep: Literal["light", "full"] = Field(
        "light", description="History of maps: cropped to the resolution, in float16; or full maps"
    )
    seed: NonNegativeInt = Field(0, description="Seed of everything random")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:1, mps")

    def with_absolute_paths(self) -> Self:
        """Return a copy that does not depend on the working directory; a file of weights counts too."""
        absolute = super().with_absolute_paths()
        if self.weights is None or not self.weights.endswith(".safetensors"):
            return absolute
        return absolute.replace(weights=str(Path(self.weights).expanduser().absolute()))

    @model_validator(mode="after")
    def _consistent(self) -> RefineParameters:
        step, radius = self.offset_step, self.offset_range
        if step is not None and radius is not None and step > radius:
            raise ValueError(f"offset_step ({step:g} Å) is larger than offset_range ({radius:g} Å)")
        if self.prior != "blush" and (self.weights is not None or not self.spectral_trailing):
            given = "spectral trailing is" if self.weights is None else "weights are"
            raise ValueError(f"{given} a matter of the prior blush, and the prior is {self.prior}")
        return self
