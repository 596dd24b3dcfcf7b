"""Parameters of a simulation, and which of them belong to which kind."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from cyclopts import Parameter
from pydantic import (
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    field_validator,
    model_validator,
)

from blushcore.jobs.parameter_types import Seed
from blushcore.protocol import Parameters
from blushcore.simulation import PreferredView

SMALLEST_BOX = 32

_PREFERRED_VIEWS = {
    "none": (),
    "mild": (PreferredView(axis=(0.0, 0.0, 1.0), concentration=3.0, weight=2.0),),
    "strong": (PreferredView(axis=(0.0, 0.0, 1.0), concentration=10.0, weight=20.0),),
}
"""By name. At worst a direction is seen 2 times (mild) or 21 times (strong) less than on average."""
_FOR_HALF_MAPS = ("resolution", "b_factor", "angular_error", "flexibility", "random_orientation")
_FOR_PARTICLES = (
    *("count", "snr", "diameter", "offset_px", "defocus", "astigmatism", "voltage", "spherical_aberration"),
    *("amplitude_contrast", "junk", "mix", "copies", "micelle"),
)


class SimulateParameters(Parameters):
    """Parameters of a simulation."""

    positional: ClassVar[tuple[str, ...]] = ("model",)

    model: Path = Field(
        description="Atomic model (.cif or .pdb), for particles also a map (.mrc); compressed ones too"
    )
    output: Annotated[Path, Parameter(alias="-o")] = Field(description="Folder for the files; made if need be")
    kind: Literal["half-maps", "particles"] = Field(
        "half-maps",
        description="What to make: half-maps, by applying to the density what a reconstruction does; or "
        "particles, images with poses, CTF and noise",
    )
    voxel_size: PositiveFloat | None = Field(
        None,
        description="Voxel or pixel size (Å); by default 1 for half-maps, 2 for particles of a model, or a "
        "map's own",
    )
    box: int | None = Field(
        None,
        ge=SMALLEST_BOX,
        description=f"Box (voxels), at least {SMALLEST_BOX}; by default 1.5 times the particle's extent and "
        f"never less than {SMALLEST_BOX}, or a map's own",
    )
    model_b_factors: bool = Field(
        False, description="Blur each atom by its own B factor, less the model's lower decile"
    )
    preferred_views: str = Field(
        "none",
        description="none, mild, strong, or clusters of views as X,Y,Z,KAPPA,WEIGHT separated by ';': axis, "
        "concentration (0 is uniform, 10 about 18 degrees), share relative to 1 for uniform views",
    )
    solvent_contrast: float = Field(1.0, ge=0, le=1, description="1: particle in ice, 0: in vacuum")
    seed: Seed = 0

    resolution: PositiveFloat = Field(4.0, description="Half-maps: where the FSC inside the mask is 1/7 (Å)")
    b_factor: NonNegativeFloat | None = Field(
        None,
        description="Half-maps: B factor of the reconstruction (Å²); by default the resolution's usual one",
    )
    angular_error: NonNegativeFloat = Field(
        1.0, le=45, description="Half-maps: standard deviation of the orientations' errors (degrees)"
    )
    flexibility: NonNegativeFloat = Field(
        0.0, description="Half-maps: standard deviation of the motion of flexible patches (Å)"
    )
    random_orientation: bool = Field(
        False,
        description="Half-maps: turn the model at random; otherwise the maps overlay the model as it is",
    )

    count: Annotated[PositiveInt, Parameter(alias="-n")] = Field(
        1000, description="Particles: number of images"
    )
    snr: PositiveFloat = Field(
        0.5, description="Particles: variance of the signal in a circle around the particle over the noise's"
    )
    diameter: PositiveFloat | None = Field(
        None, description="Particles: of that circle (Å); by default 1.1 times the particle's extent"
    )
    offset_px: NonNegativeFloat = Field(
        2.0, description="Particles: standard deviation of the offsets along x and y (pixels)"
    )
    defocus: tuple[PositiveFloat, PositiveFloat] = Field(
        (8000.0, 20000.0), description="Particles: lowest and highest underfocus (Å)"
    )
    astigmatism: NonNegativeFloat = Field(
        200.0, description="Particles: difference of the two defocus values (Å)"
    )
    voltage: PositiveFloat = Field(300.0, description="Particles: of the microscope (kV)")
    spherical_aberration: NonNegativeFloat = Field(2.7, description="Particles: of the microscope (mm)")
    amplitude_contrast: float = Field(0.1, ge=0, lt=1, description="Particles: share of amplitude contrast")
    junk: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Particles: share of images that show none; half of them show rubble, half nothing",
    )
    mix: tuple[str, ...] = Field(
        (), description="Particles: a further model or map and its share, as FILE:SHARE; may be repeated"
    )
    copies: PositiveInt = Field(
        1, le=60, description="Particles: make a complex of so many copies of the model about z (symmetry Cn)"
    )
    micelle: bool = Field(
        False, description="Particles: put detergent around the model where a membrane would be"
    )

    @field_validator("preferred_views")
    @classmethod
    def _is_views(cls, text: str) -> str:
        parse_views(text)
        return text

    @field_validator("defocus")
    @classmethod
    def _is_range(cls, defocus: tuple[float, float]) -> tuple[float, float]:
        if defocus[0] > defocus[1]:
            raise ValueError(f"the lowest value, {defocus[0]:g}, is above the highest, {defocus[1]:g}")
        return defocus

    @field_validator("mix")
    @classmethod
    def _is_mixture(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        if sum(share for _, share in map(parse_component, texts)) >= 1:
            raise ValueError("the shares leave nothing to the first model; they must sum to less than 1")
        return texts

    @model_validator(mode="after")
    def _belongs_to_the_kind(self) -> Self:
        other, names = (
            ("particles", _FOR_PARTICLES) if self.kind == "half-maps" else ("half-maps", _FOR_HALF_MAPS)
        )
        if wrong := sorted(set(names) & set(self.non_defaults())):
            verb = "belong" if wrong[1:] else "belongs"
            raise ValueError(f"{', '.join(wrong)} {verb} to kind {other}, and the kind is {self.kind}")
        return self

    @property
    def views(self) -> tuple[PreferredView, ...]:
        """The preferred views."""
        return parse_views(self.preferred_views)

    @property
    def components(self) -> tuple[tuple[Path, float], ...]:
        """Each object's file and its share among the particles; the model first."""
        further = tuple(parse_component(text) for text in self.mix)
        return ((self.model, 1 - sum(share for _, share in further)), *further)

    def recorded(self) -> dict[str, Any]:
        """Return the parameters as ``simulation.json`` keeps them: files by name, without their folders."""
        values = self.model_dump(mode="json", exclude={"model", "output", "mix"})
        mix = [f"{path.name}:{share:g}" for path, share in self.components[1:]]
        return {**values, "model": self.model.name, "mix": mix}


def parse_component(text: str) -> tuple[Path, float]:
    """Return file and share of ``FILE:SHARE``.

    Raises
    ------
    ValueError
        With a sentence, if it is none.
    """
    name, _, number = text.rpartition(":")
    try:
        share = float(number)
    except ValueError:
        share = math.nan
    if not name or not 0 < share < 1:
        raise ValueError(f"{text!r} is not FILE:SHARE with a share between 0 and 1")
    return Path(name), share


def parse_views(text: str) -> tuple[PreferredView, ...]:
    """Return the preferred views that a text means: a name, or ``X,Y,Z,KAPPA,WEIGHT`` once or more with ``;``.

    Raises
    ------
    ValueError
        With a sentence, if it means none.
    """
    if text in _PREFERRED_VIEWS:
        return _PREFERRED_VIEWS[text]
    views = []
    for cluster in text.split(";"):
        try:
            x, y, z, concentration, weight = (float(word) for word in cluster.split(","))
        except ValueError:
            raise ValueError(
                f"{cluster.strip()!r} is neither {', '.join(_PREFERRED_VIEWS)} "
                "nor five numbers X,Y,Z,KAPPA,WEIGHT"
            ) from None
        length = math.hypot(x, y, z)
        if not (0 < length < math.inf and 0 <= concentration < math.inf and 0 <= weight < math.inf):
            raise ValueError(
                f"{cluster.strip()!r} needs an axis that is not zero, and a KAPPA and WEIGHT of 0 or more"
            )
        views.append(PreferredView((x / length, y / length, z / length), concentration, weight))
    return tuple(views)
