"""Half-maps of an atomic model by the fast route, with the truth beside them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

import numpy as np
import torch

from blushcore.devices import host_memory
from blushcore.jobs.json_file import JsonFile
from blushcore.jobs.map_file import MapFile
from blushcore.jobs.simulate.file_names import MAPS, RECORD
from blushcore.jobs.simulate.parameters import SimulateParameters
from blushcore.protocol import BlushError, Control, Event, Finished, Message, Progress
from blushcore.shells import fsc, resolution
from blushcore.simulation import (
    ReconstructionStatistics,
    atom_positions,
    electron_density,
    in_solvent,
    is_map,
    particle_mask,
    random_rotation,
    read_structure,
    simulate_half_maps,
    usual_b_factor,
    usual_box,
)
from blushcore.volumes import MapHeader, Volume

_ONE_SEVENTH = 1 / 7
_VOXEL_SIZE = 1.0
_BYTES_PER_VOXEL = 100
"""Of the box, at the peak: 92 at 240³, 97 at 160³."""


def half_map_events(params: SimulateParameters, control: Control) -> Iterator[Event]:
    """Make half-maps by the fast route (`blushcore.simulation.half_maps`), and yield what follows `Started`.

    The files: ``half1.mrc``, ``half2.mrc``; ``truth.mrc``, the density without noise, blur and damping;
    ``signal.mrc``, what the halves share: the density with them; ``mask.mrc``; ``simulation.json``.

    Raises
    ------
    BlushError
        When the model cannot be read, does not fit the box, the box does not fit the memory, or the voxels are
        too large for the resolution.
    """
    if is_map(params.model):
        raise BlushError(
            f"{params.model} is a map; half-maps are made of an atomic model.",
            "Give a .pdb or .cif file, or make particles with --kind particles.",
        )
    voxel_size = _VOXEL_SIZE if params.voxel_size is None else params.voxel_size
    if params.resolution < 2 * voxel_size:
        raise BlushError(
            f"A resolution of {params.resolution:g} Å cannot be had with voxels of {voxel_size:g} Å.",
            f"Use voxels of at most {params.resolution / 2:g} Å.",
        )

    def progress(done: int) -> Progress:
        return Progress(stage="simulating", done=done, total=3, unit="steps")

    yield progress(0)
    model = read_structure(params.model)
    generator = np.random.default_rng(params.seed)
    rotation = random_rotation(generator) if params.random_orientation else np.eye(3)
    positions = atom_positions(model) @ rotation.T
    box = usual_box(float(np.ptp(positions, axis=0).max()), voxel_size) if params.box is None else params.box
    _require_memory(box)
    vacuum = electron_density(
        model, box, voxel_size, rotation=rotation, relative_b_factors=params.model_b_factors
    )
    yield progress(1)
    yield from control.obey()

    mask = particle_mask(vacuum, voxel_size)
    truth = in_solvent(vacuum, voxel_size, params.solvent_contrast)
    statistics = _statistics(params)
    torch_generator = torch.Generator().manual_seed(int(generator.integers(2**63)))
    halves = simulate_half_maps(truth, mask, voxel_size, statistics, torch_generator)
    yield progress(2)
    yield from control.obey()

    curve = fsc(halves.half1 * mask, halves.half2 * mask, counting="sphere")
    found = resolution(curve, box * voxel_size, _ONE_SEVENTH)
    yield progress(3)
    at = f"at {found.interpolated_angstrom:.2f} Å" if found.shell else "from the first shell on"
    yield Message(
        text=f"{len(positions)} atoms in a box of {box} voxels of {voxel_size:g} Å; "
        f"the FSC inside the mask falls below 1/7 {at}."
    )
    header = _header(params, positions, box, voxel_size)
    maps = dict(zip(MAPS, (halves.half1, halves.half2, truth, halves.signal, mask), strict=True))
    figures = {
        "box": box,
        "voxel_size": voxel_size,
        "atoms": len(positions),
        "extent": round(float(np.ptp(positions, axis=0).max()), 1),
        "fsc_resolution": found.interpolated_angstrom if found.shell else None,
    }
    record = {
        "parameters": params.recorded(),
        "statistics": asdict(statistics),
        "rotation": rotation.tolist(),
        **figures,
        "fsc_inside_mask": [round(float(value), 5) for value in curve],
    }
    size = (voxel_size,) * 3
    yield Finished(
        figures=figures,
        artefacts=(
            *(
                MapFile(role, f"{role}.mrc", Volume(np.ascontiguousarray(data.numpy()), size, header))
                for role, data in maps.items()
            ),
            JsonFile("simulation", RECORD, record),
        ),
    )


def _require_memory(box: int) -> None:
    """Refuse a box that the memory is too small for, before anything is drawn into it."""
    needed, free = _BYTES_PER_VOXEL * box**3, host_memory().available
    if needed > free:
        raise BlushError(
            f"A box of {box} voxels takes about {needed / 2**30:.3g} GiB of memory, "
            f"and {free / 2**30:.1f} GiB are free.",
            "Use larger voxels or a smaller box.",
        )


def _statistics(params: SimulateParameters) -> ReconstructionStatistics:
    usual = usual_b_factor(params.resolution)
    return ReconstructionStatistics(
        resolution=params.resolution,
        b_factor=usual if params.b_factor is None else params.b_factor,
        views=params.views,
        angular_error=params.angular_error,
        flexibility=params.flexibility,
    )


def _header(params: SimulateParameters, positions: np.ndarray, box: int, voxel_size: float) -> MapHeader:
    """Place the maps where the model is, unless that was turned."""
    if params.random_orientation:
        return MapHeader()
    middle = (positions.min(0) + positions.max(0)) / 2
    x, y, z = (float(place) for place in middle - (box // 2) * voxel_size)
    return MapHeader(origin=(z, y, x))
