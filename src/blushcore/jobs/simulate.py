"""Simulate half-maps of an atomic model, with the truth beside them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from cyclopts import Parameter
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, field_validator
from scipy import fft

from blushcore.jobs.map_file import MapFile
from blushcore.protocol import (
    BlushError,
    Control,
    Event,
    Finished,
    Job,
    JobState,
    Message,
    Parameters,
    Progress,
    Started,
)
from blushcore.shells import fsc, resolution
from blushcore.simulation import (
    PreferredView,
    ReconstructionStatistics,
    atom_positions,
    electron_density,
    in_solvent,
    particle_mask,
    random_rotation,
    read_structure,
    simulate_half_maps,
    usual_b_factor,
)
from blushcore.volumes import MapHeader, Volume

_BOX_OVER_EXTENT = 1.5
_SMALLEST_BOX = 32
_ONE_SEVENTH = 1 / 7
_MAPS = ("half1", "half2", "truth", "signal", "mask")
_RECORD = "simulation.json"

_PREFERRED_VIEWS = {
    "none": (),
    "mild": (PreferredView(axis=(0.0, 0.0, 1.0), concentration=3.0, weight=2.0),),
    "strong": (PreferredView(axis=(0.0, 0.0, 1.0), concentration=10.0, weight=20.0),),
}
"""By name. At worst a direction is seen 2 times (mild) or 21 times (strong) less than on average."""


class SimulateParameters(Parameters):
    """Parameters of a simulation."""

    positional: ClassVar[tuple[str, ...]] = ("model",)

    model: Path = Field(description="Atomic model (.cif or .pdb; also compressed with gzip)")
    output: Annotated[Path, Parameter(alias="-o")] = Field(description="Folder for the files; made if need be")
    kind: Literal["half-maps"] = Field(
        "half-maps",
        description="What to make: half-maps, by applying to the density what a reconstruction does",
    )
    resolution: PositiveFloat = Field(4.0, description="Where the FSC inside the mask is 1/7 (Å)")
    voxel_size: PositiveFloat = Field(1.0, description="Voxel size (Å)")
    box: int | None = Field(
        None,
        ge=_SMALLEST_BOX,
        description=f"Box (voxels), at least {_SMALLEST_BOX}; by default 1.5 times the particle's extent, "
        f"and never less than {_SMALLEST_BOX}",
    )
    b_factor: NonNegativeFloat | None = Field(
        None, description="B factor of the reconstruction (Å²); by default what is usual at the resolution"
    )
    model_b_factors: bool = Field(
        False, description="Blur each atom by its own B factor, less the model's lower decile"
    )
    preferred_views: str = Field(
        "none",
        description="none, mild, strong, or clusters of views as X,Y,Z,KAPPA,WEIGHT separated by ';': axis, "
        "concentration (0 is uniform, 10 about 18 degrees), share relative to 1 for uniform views",
    )
    angular_error: NonNegativeFloat = Field(
        1.0, le=45, description="Standard deviation of the orientations' errors (degrees)"
    )
    flexibility: NonNegativeFloat = Field(
        0.0, description="Standard deviation of the motion of flexible patches (Å)"
    )
    solvent_contrast: float = Field(1.0, ge=0, le=1, description="1: particle in ice, 0: in vacuum")
    random_orientation: bool = Field(
        False, description="Turn the model at random; otherwise the maps overlay the model as it is"
    )
    seed: NonNegativeInt = Field(0, description="Seed of noise, flexible patches and orientation")

    @field_validator("preferred_views")
    @classmethod
    def _is_views(cls, text: str) -> str:
        parse_views(text)
        return text


@dataclass(frozen=True)
class JsonFile:
    """Figures as an artefact."""

    role: str
    name: str
    values: dict[str, Any]

    def write(self, path: Path) -> None:
        """Write the figures to `path`."""
        path.write_text(json.dumps(self.values, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def simulate(params: SimulateParameters, control: Control, _state: JobState | None = None) -> Iterator[Event]:
    """Make half-maps by the fast route (`blushcore.simulation.half_maps`), with the truth beside them.

    The files: ``half1.mrc``, ``half2.mrc``; ``truth.mrc``, the density without noise, blur and damping;
    ``signal.mrc``, what the halves share: the density with them; ``mask.mrc``; ``simulation.json``.

    Raises
    ------
    BlushError
        When the model cannot be read, does not fit the box, or the voxels are too large for the resolution.
    """
    yield Started(job="simulate", parameters=params.model_dump(mode="json"), device="cpu")
    if params.resolution < 2 * params.voxel_size:
        raise BlushError(
            f"A resolution of {params.resolution:g} Å cannot be had with voxels of {params.voxel_size:g} Å.",
            f"Use voxels of at most {params.resolution / 2:g} Å.",
        )

    def progress(done: int) -> Progress:
        return Progress(stage="simulating", done=done, total=3, unit="steps")

    yield progress(0)
    model = read_structure(params.model)
    generator = np.random.default_rng(params.seed)
    rotation = random_rotation(generator) if params.random_orientation else np.eye(3)
    positions = atom_positions(model) @ rotation.T
    box = _usual_box(positions, params.voxel_size) if params.box is None else params.box
    vacuum = electron_density(
        model, box, params.voxel_size, rotation=rotation, relative_b_factors=params.model_b_factors
    )
    yield progress(1)
    yield from control.obey()

    mask = particle_mask(vacuum, params.voxel_size)
    truth = in_solvent(vacuum, params.voxel_size, params.solvent_contrast)
    statistics = _statistics(params)
    torch_generator = torch.Generator().manual_seed(int(generator.integers(2**63)))
    halves = simulate_half_maps(truth, mask, params.voxel_size, statistics, torch_generator)
    yield progress(2)
    yield from control.obey()

    curve = fsc(halves.half1 * mask, halves.half2 * mask, counting="sphere")
    found = resolution(curve, box * params.voxel_size, _ONE_SEVENTH)
    yield progress(3)
    yield Message(
        text=f"{len(positions)} atoms in a box of {box} voxels of {params.voxel_size:g} Å; the FSC inside the "
        f"mask falls below 1/7 at {found.interpolated_angstrom:.2f} Å."
    )
    header = _header(params, positions, box)
    maps = dict(zip(_MAPS, (halves.half1, halves.half2, truth, halves.signal, mask), strict=True))
    figures = {
        "box": box,
        "voxel_size": params.voxel_size,
        "atoms": len(positions),
        "extent": round(float(np.ptp(positions, axis=0).max()), 1),
        "fsc_resolution": found.interpolated_angstrom,
    }
    record = {
        "parameters": params.model_dump(mode="json", exclude={"model", "output"})
        | {"model": params.model.name},
        "statistics": asdict(statistics),
        "rotation": rotation.tolist(),
        **figures,
        "fsc_inside_mask": [round(float(value), 5) for value in curve],
    }
    size = (params.voxel_size,) * 3
    yield Finished(
        figures=figures,
        artefacts=(
            *(
                MapFile(role, _file_name(role), Volume(np.ascontiguousarray(data.numpy()), size, header))
                for role, data in maps.items()
            ),
            JsonFile("simulation", _RECORD, record),
        ),
    )


def output_paths(params: SimulateParameters) -> list[Path]:
    """Return all files that the job will write."""
    return [params.output / name for name in (*map(_file_name, _MAPS), _RECORD)]


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


def _file_name(role: str) -> str:
    return f"{role}.mrc"


def _statistics(params: SimulateParameters) -> ReconstructionStatistics:
    usual = usual_b_factor(params.resolution)
    return ReconstructionStatistics(
        resolution=params.resolution,
        b_factor=usual if params.b_factor is None else params.b_factor,
        views=parse_views(params.preferred_views),
        angular_error=params.angular_error,
        flexibility=params.flexibility,
    )


def _usual_box(positions: np.ndarray, voxel_size: float) -> int:
    """Return the even box, quick to transform, that leaves a quarter of the particle free around it."""
    extent = float(np.ptp(positions, axis=0).max())
    half = math.ceil(_BOX_OVER_EXTENT * extent / voxel_size / 2)
    return max(_SMALLEST_BOX, 2 * fft.next_fast_len(half))


def _header(params: SimulateParameters, positions: np.ndarray, box: int) -> MapHeader:
    """Place the maps where the model is, unless that was turned."""
    if params.random_orientation:
        return MapHeader()
    middle = (positions.min(0) + positions.max(0)) / 2
    x, y, z = (float(place) for place in middle - (box // 2) * params.voxel_size)
    return MapHeader(origin=(z, y, x))


JOB = Job(name="simulate", parameters=SimulateParameters, run=simulate)
