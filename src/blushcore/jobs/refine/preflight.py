"""Looks before anything is begun: do the inputs fit each other, and the run into memory and onto the disk.

What is found here would otherwise end a run hours later, or make it wrong without a word.
"""

from __future__ import annotations

import math
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from blushcore.denoiser.weights import WeightsInfo, find_weights, read_weights_info
from blushcore.devices import host_memory, resolve_device
from blushcore.jobs.refine.memory_need import Need, check_memory, need_of
from blushcore.jobs.refine.optimiser_files import with_halves_of
from blushcore.jobs.refine.parameters import RefineParameters, SearchChoices
from blushcore.jobs.refine.resampling import on_other_grid
from blushcore.optics import OpticsGroup, optics_group_from_star
from blushcore.particles import ImageReader, ParticleTable, read_particles
from blushcore.poses import SymmetryGroup
from blushcore.protocol import BlushError, blaming
from blushcore.volumes import Volume, describe_grid, lowpass_at_shell, read_map, read_mask

SAME_PIXEL_SIZE = 1e-3
_GIB = 2**30
SHARE_FOR_IMAGES = 0.3
_MAPS = 10
"""Of the particles' box: references, what they were made of, masks, what the last iteration makes."""
_LIKELY_ITERATIONS = 25
_BYTES_A_STAR_ROW = 350


@dataclass(frozen=True, eq=False)
class Inputs:
    """All that a refinement reads before its first iteration, found to fit together.

    Attributes
    ----------
    table
        The particles, each in half-set 1 or 2.
    reader
        Their images.
    reference
        Low-passed map on the particles' grid, float32 ``[z, y, x]``.
    mask
        Solvent mask on the same grid, or None.
    symmetry
        The point group.
    box, voxel_size
        Of the maps: pixels, Å. Those of the first optics group.
    device
        Where it is computed.
    warnings
        Sentences for the user.
    weights
        Of the network, if the prior is one.
    """

    table: ParticleTable
    reader: ImageReader
    reference: NDArray[np.float32]
    mask: NDArray[np.float32] | None
    symmetry: SymmetryGroup
    box: int
    voxel_size: float
    device: torch.device
    warnings: tuple[str, ...]
    weights: WeightsInfo | None = None


def check_inputs(params: RefineParameters) -> Inputs:
    """Read what the refinement begins with, and refuse what cannot work.

    Raises
    ------
    BlushError
        When a file is missing or damaged, boxes or pixel sizes do not match, the memory is too small, or there
        is no such device or symmetry.
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
        table = read_particles(params.particles, params.root)
        if params.continue_from is not None:
            table = with_halves_of(params.continue_from, table)
        table = table.assign_halves(params.seed)
        available = host_memory().available
        reader = ImageReader(table, keep_bytes=int(available * SHARE_FOR_IMAGES))
        box, voxel_size = int(reader.box[0]), float(table.pixel_size_angstrom[0])
        check_boxes(params, table, reader)
        optics_groups(table)
    if params.healpix_order >= params.local_from_order and not table.has_poses:
        with blaming("healpix_order"):
            raise BlushError(
                f"{table.path.name} has no angles (rlnAngleRot, rlnAngleTilt, rlnAnglePsi), and searches that "
                f"are local from the beginning (HEALPix order {params.healpix_order}) need them.",
                "Begin with a lower --healpix-order than --local-from-order.",
            )
    with blaming("reference"):
        reference = read_reference(params, box, voxel_size)
    mask = None
    if params.mask is not None:
        with blaming("mask"):
            grid = Volume(reference, (voxel_size,) * 3)
            mask = np.clip(read_mask(params.mask, params.reference, grid).data, 0, 1)
    need = predicted_need(params, box, voxel_size, device, len(table), reader.kept_bytes)
    with blaming("device"):
        check_memory(need, device)
    warnings = (*table.warnings, *reader.warnings)
    return Inputs(table, reader, reference, mask, symmetry, box, voxel_size, device, warnings, weights=weights)


def optics_groups(table: ParticleTable) -> list[OpticsGroup]:
    """Return the optics groups of a table.

    Raises
    ------
    BlushError
        When one is wrong.
    """
    return [
        optics_group_from_star({str(label): value for label, value in row.items()})
        for row in table.optics.to_dict("records")
    ]


def read_reference(params: RefineParameters, box: int, voxel_size: float) -> NDArray[np.float32]:
    """Return the reference on the particles' grid, low-passed, as the first iteration takes it.

    Raises
    ------
    BlushError
        When it cannot be read, is no cube, or has another box or pixel size and may not be resampled.
    """
    return reference_on_grid(
        params.reference,
        box,
        voxel_size,
        initial_lowpass=params.initial_lowpass,
        resample=params.resample_reference,
    )


def reference_on_grid(
    path: Path, box: int, voxel_size: float, *, initial_lowpass: float, resample: bool
) -> NDArray[np.float32]:
    """Return a reference on a grid, low-passed to a resolution in Å. Raises as `read_reference`."""
    volume = read_map(path)
    if len(set(volume.shape)) > 1:
        raise BlushError(f"{path} is no cube: {describe_grid(volume)}.", "Pad or crop it first.")
    size = volume.isotropic_voxel_size
    if not np.isfinite(volume.data).all() or float(volume.data.std()) == 0:
        raise BlushError(f"{path} is constant, or has values that are no numbers.", "Give a map.")
    other_size = abs(size / voxel_size - 1) > SAME_PIXEL_SIZE
    if other_size or volume.shape[0] != box:
        if not resample:
            raise BlushError(
                f"{path} has {describe_grid(volume)}, the particles have {box} pixels of {voxel_size:.5g} Å.",
                "Give --resample-reference to bring it onto their grid, or mend its header if that is wrong.",
            )
        data = on_other_grid(volume.data, size, box, voxel_size)
    else:
        data = volume.data
    shell = round(box * voxel_size / initial_lowpass)
    low = lowpass_at_shell(torch.from_numpy(np.ascontiguousarray(data)), shell)
    return low.numpy()


def predicted_need(
    params: RefineParameters,
    box: int,
    voxel_size: float,
    device: torch.device,
    particles: int,
    kept_images: int = 0,
) -> Need:
    """Return the memory of the last iteration: it looks at everything up to Nyquist, and is the largest."""
    starts_globally = params.healpix_order < params.local_from_order
    return need_of(
        params,
        box,
        voxel_size,
        device,
        global_order=params.local_from_order - 1 if starts_globally else None,
        sums=2,
        references=1,
        maps=_MAPS,
        images=-(-particles // 2),
        kept_images=kept_images,
    )


def predicted_disk_bytes(params: RefineParameters, particles: int, box: int) -> int:
    """Return what a run of some 25 iterations writes: maps, STAR files and two checkpoints."""
    a_map = 4 * box**3
    stars = _BYTES_A_STAR_ROW * particles
    history = 2 * a_map if params.keep == "full" else a_map // 4
    checkpoints = 2 * (2 * a_map + 72 * particles)
    iterations = min(params.max_iterations, _LIKELY_ITERATIONS)
    return iterations * (history + stars) + checkpoints + 3 * a_map + stars


def check_disk(folder: Path, needed: int) -> None:
    """Refuse a run that will not fit onto the disk of `folder`, which need not exist yet.

    Raises
    ------
    BlushError
        With what it takes and what there is.
    """
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free
    if needed > free:
        raise BlushError(
            f"The run will take about {needed / _GIB:.1f} GiB, and the disk of {there} has "
            f"{free / _GIB:.1f} GiB left.",
            "Free some space, write elsewhere, or keep less with --keep light.",
        )


def check_boxes(params: SearchChoices, table: ParticleTable, reader: ImageReader) -> None:
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
