"""What a job that searches poses reads before it begins: found to fit together, and into the memory.

What is found here would otherwise end a run hours later, or make it wrong without a word.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from blushcore.denoiser.acceptance import VOXEL_SIZE_RANGE
from blushcore.denoiser.provenance import denoised_label
from blushcore.denoiser.weights import WeightsInfo, find_weights, read_weights_info
from blushcore.devices import host_memory, resolve_device
from blushcore.jobs.expectation_maximisation.memory_need import Need, check_memory
from blushcore.jobs.expectation_maximisation.parameters import SearchParameters
from blushcore.jobs.expectation_maximisation.resampling import on_other_grid
from blushcore.jobs.expectation_maximisation.search import shell_at
from blushcore.optics import OpticsGroup, optics_group_from_star
from blushcore.particles import ImageReader, ParticleTable, read_particles
from blushcore.poses import SymmetryGroup
from blushcore.protocol import BlushError, blaming
from blushcore.volumes import Volume, describe_grid, lowpass_at_shell, read_map, read_mask

SAME_PIXEL_SIZE = 1e-3
SHARE_FOR_IMAGES = 0.3
"""Of the memory that is free: what images may take to be kept there."""


@dataclass(frozen=True, eq=False)
class Inputs:
    """All that is read before the first iteration, found to fit together.

    Attributes
    ----------
    table
        The particles; each in half-set 1 or 2, if there are halves.
    reader
        Their images.
    optics
        Their optics groups.
    references
        Low-passed maps on the particles' grid, float32 ``(K, n, n, n)``, ``[class, z, y, x]``.
    mask
        Solvent mask on the same grid, or None.
    symmetry
        The point group.
    box, voxel_size
        Of the maps: pixels, Å. Those of the first optics group that is on the first reference's grid; of the
        first of all where none is.
    device
        Where it is computed.
    need
        Memory of the largest iteration.
    weights
        Of the network, if the prior is one.
    """

    table: ParticleTable
    reader: ImageReader
    optics: tuple[OpticsGroup, ...]
    references: NDArray[np.float32]
    mask: NDArray[np.float32] | None
    symmetry: SymmetryGroup
    box: int
    voxel_size: float
    device: torch.device
    need: Need
    weights: WeightsInfo | None = None

    @property
    def size_angstrom(self) -> float:
        """The box in Å: the resolution of shell 1."""
        return self.box * self.voxel_size

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences for the user."""
        return (*self.table.warnings, *self.reader.warnings)

    @property
    def denoised_label(self) -> str | None:
        """What stands in the header of a map that the prior's network made; None if it is none."""
        return None if self.weights is None else denoised_label(self.weights.name, self.weights.sha256)


def open_inputs(
    params: SearchParameters,
    references: Sequence[Path],
    prepared: Callable[[ParticleTable], ParticleTable],
    need: Callable[[int, float, torch.device, int, int], Need],
) -> Inputs:
    """Read what a job begins with, and refuse what cannot work.

    Parameters
    ----------
    params
        Particles, search, prior, grid and device.
    references
        One map or more.
    prepared
        Returns the table as the job takes it, or refuses it.
    need
        Returns the memory of the largest iteration; takes box, voxel size (Å), device, number of particles, and
        the bytes of the images that are kept in memory.

    Raises
    ------
    BlushError
        When a file is missing or damaged, boxes or pixel sizes do not match, the memory is too small, or there
        is no such device or symmetry. It blames the parameter that is to be mended.
    """
    with blaming("device"):
        device = resolve_device(params.device)
    with blaming("symmetry"):
        symmetry = SymmetryGroup.of(params.symmetry)
    weights = None
    if params.prior == "blush":
        with blaming("weights"):
            weights = read_weights_info(find_weights(params.weights))
    with blaming("particles"):
        table = prepared(read_particles(params.particles, params.root))
        reader = ImageReader(table, keep_bytes=int(host_memory().available * SHARE_FOR_IMAGES))
        _check_boxes(params, table, reader)
        _check_offsets(table, reader)
        optics = _optics_groups(table)
    with blaming("reference"), _headers_to_be_mended():
        volumes = [_read_reference(path) for path in references]
        box, voxel_size = _grid_of_maps(volumes[0], table, reader)
        _check_lowpass(params, box * voxel_size)
        maps = np.stack(
            [
                _on_particles_grid(path, volume, params, box, voxel_size)
                for path, volume in zip(references, volumes, strict=True)
            ]
        )
    mask = None
    if params.mask is not None:
        with blaming("mask"), _headers_to_be_mended():
            grid = Volume(maps[0], (voxel_size,) * 3)
            mask = np.clip(read_mask(params.mask, references[0], grid).data, 0, 1)
    if weights is not None:
        with blaming("prior"):
            _check_denoisable(voxel_size)
    largest = need(box, voxel_size, device, len(table), reader.kept_bytes)
    with blaming("device"):
        check_memory(largest, device)
    return Inputs(table, reader, optics, maps, mask, symmetry, box, voxel_size, device, largest, weights)


@contextmanager
def _headers_to_be_mended() -> Iterator[None]:
    """Advise to mend a map's header where other commands take a voxel size: here the particles have one."""
    try:
        yield
    except BlushError as error:
        if "--voxel-size" not in error.remedy:
            raise
        other = BlushError(error.problem, "Mend the voxel size in its header, or write the map again.")
        other.field = error.field
        raise other from error


def _optics_groups(table: ParticleTable) -> tuple[OpticsGroup, ...]:
    return tuple(
        optics_group_from_star({str(label): value for label, value in row.items()})
        for row in table.optics.to_dict("records")
    )


def _read_reference(path: Path) -> Volume:
    """Return a reference as it is in its file.

    Raises
    ------
    BlushError
        When it cannot be read, is no cube, or holds nothing to compare with.
    """
    volume = read_map(path)
    if len(set(volume.shape)) > 1:
        raise BlushError(f"{path} is no cube: {describe_grid(volume)}.", "Pad or crop it first.")
    if not np.isfinite(volume.data).all() or float(volume.data.std()) == 0:
        raise BlushError(f"{path} is constant, or has values that are no numbers.", "Give a map.")
    return volume


def _grid_of_maps(reference: Volume, table: ParticleTable, reader: ImageReader) -> tuple[int, float]:
    """Return box and voxel size (Å) of the maps: those of an optics group, the reference's if there is one.

    Images of other optics groups are compared on their own grids.
    """
    grids = [(int(box), float(size)) for box, size in zip(reader.box, table.pixel_size_angstrom, strict=True)]
    return next((grid for grid in grids if _is_on(reference, *grid)), grids[0])


def _is_on(volume: Volume, box: int, voxel_size: float) -> bool:
    return volume.shape[0] == box and abs(volume.isotropic_voxel_size / voxel_size - 1) <= SAME_PIXEL_SIZE


def _on_particles_grid(
    path: Path, volume: Volume, params: SearchParameters, box: int, voxel_size: float
) -> NDArray[np.float32]:
    """Return a reference on the particles' grid, low-passed, as the first iteration takes it.

    Raises
    ------
    BlushError
        When it has another box or pixel size and may not be resampled.
    """
    data = volume.data
    if not _is_on(volume, box, voxel_size):
        if not params.resample_reference:
            raise BlushError(
                f"{path} has {describe_grid(volume)}, the particles have {box} pixels of {voxel_size:.5g} Å.",
                "Give --resample-reference to bring it onto their grid, or mend its header if that is wrong.",
            )
        data = on_other_grid(data, volume.isotropic_voxel_size, box, voxel_size)
    return first_lowpass(torch.from_numpy(np.ascontiguousarray(data)), params, box * voxel_size).numpy()


def first_lowpass(volume: Tensor, params: SearchParameters, extent_angstrom: float) -> Tensor:
    """Return a cubic map of so many Å as RELION's refinements begin with it: the cut-off is no whole shell."""
    return lowpass_at_shell(volume, extent_angstrom / params.initial_lowpass)


def _check_boxes(params: SearchParameters, table: ParticleTable, reader: ImageReader) -> None:
    """Refuse images that a search cannot take, and a diameter or a low-pass that does not fit them.

    Raises
    ------
    BlushError
        It blames the parameter where one is to be mended.
    """
    for box, size, number in zip(
        reader.box, table.pixel_size_angstrom, table.optics["rlnOpticsGroup"], strict=True
    ):
        if box % 2:
            raise BlushError(
                f"{table.path.name}: the images of optics group {number} have an odd box of {box} pixels.",
                "Extract them again with an even box.",
            )
        if params.diameter > box * size:
            with blaming("diameter"):
                raise BlushError(
                    f"The diameter of {params.diameter:g} Å is larger than the images of optics group "
                    f"{number}: {box} pixels of {size:.4g} Å are {box * size:.0f} Å.",
                    "Give the particle's diameter in Å.",
                )
        if params.initial_lowpass < 2 * size:
            with blaming("initial_lowpass"):
                raise BlushError(
                    f"The initial low-pass of {params.initial_lowpass:g} Å is finer than images of "
                    f"{size:.4g} Å a pixel can show.",
                    f"Give --initial-lowpass of {math.ceil(2 * size)} Å or more; 40 to 60 Å is usual.",
                )


def _check_lowpass(params: SearchParameters, extent_angstrom: float) -> None:
    """Refuse a low-pass that leaves nothing of references in a box of so many Å.

    Raises
    ------
    BlushError
        It blames the low-pass.
    """
    if shell_at(params.initial_lowpass, 1, extent_angstrom) < 1:
        with blaming("initial_lowpass"):
            raise BlushError(
                f"An initial low-pass of {params.initial_lowpass:g} Å leaves nothing of a reference in a box "
                f"of {extent_angstrom:.0f} Å.",
                f"Give --initial-lowpass of {extent_angstrom / 2:.0f} Å or less; 40 to 60 Å is usual.",
            )


def _check_denoisable(voxel_size: float) -> None:
    """Refuse pixels of a size that the denoiser does not take: the first maps are hours away.

    Raises
    ------
    BlushError
        With the sizes that it takes.
    """
    low, high = VOXEL_SIZE_RANGE
    if not low <= voxel_size <= high:
        raise BlushError(
            f"The prior blush takes maps of {low:g} to {high:g} Å a voxel, and the particles have "
            f"{voxel_size:.4g} Å a pixel.",
            "Extract them at another pixel size, or give --prior wiener.",
        )


def _check_offsets(table: ParticleTable, reader: ImageReader) -> None:
    """Refuse offsets by which a particle lies outside of its image: nothing of it would be left.

    Raises
    ------
    BlushError
        With the rows.
    """
    half = (reader.box * table.pixel_size_angstrom / 2)[table.optics_index]
    offsets = np.abs(table.offsets_angstrom).max(axis=1)
    if (rows := np.flatnonzero(offsets > half)).size:
        raise BlushError(
            f"{table.name_rows(rows)}: an offset (rlnOriginXAngst, rlnOriginYAngst) of {offsets[rows[0]]:g} Å "
            f"puts the particle outside of its image, which reaches to {half[rows[0]]:g} Å from its middle.",
            "Mend or remove these rows, or extract the particles again with recentring.",
        )
