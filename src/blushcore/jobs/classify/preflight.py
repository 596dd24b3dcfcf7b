"""Looks before a classification is begun: do its inputs fit each other, and the run this machine."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from blushcore.denoiser.weights import find_weights, read_weights_info
from blushcore.devices import host_memory, resolve_device
from blushcore.jobs.classify.parameters import NEEDS_POSES, ClassifyParameters
from blushcore.jobs.refine.memory_need import Need, check_memory, need_of
from blushcore.jobs.refine.preflight import (
    SHARE_FOR_IMAGES,
    Inputs,
    check_boxes,
    optics_groups,
    reference_on_grid,
)
from blushcore.particles import ImageReader, read_particles
from blushcore.poses import SymmetryGroup
from blushcore.protocol import BlushError, blaming
from blushcore.volumes import Volume, read_mask

_BYTES_A_STAR_ROW = 350


@dataclass(frozen=True, eq=False)
class ClassifyInputs(Inputs):
    """All that a classification reads before its first iteration, found to fit together.

    Attributes
    ----------
    references
        Low-passed maps on the particles' grid, float32 ``(K, n, n, n)``, ``[class, z, y, x]``; K times the same
        where one was given.
    """

    references: NDArray[np.float32] = field(kw_only=True)


def check_inputs(params: ClassifyParameters) -> ClassifyInputs:
    """Read what the classification begins with, and refuse what cannot work.

    Raises
    ------
    BlushError
        When a file is missing or damaged, boxes or pixel sizes do not match, poses are missing that are to be
        kept, the memory is too small, or there is no such device or symmetry.
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
        reader = ImageReader(table, keep_bytes=int(host_memory().available * SHARE_FOR_IMAGES))
        box, voxel_size = int(reader.box[0]), float(table.pixel_size_angstrom[0])
        check_boxes(params, table, reader)
        optics_groups(table)
    if params.alignment in NEEDS_POSES and not table.has_poses:
        with blaming("alignment"):
            raise BlushError(
                f"{table.path.name} has no angles (rlnAngleRot, rlnAngleTilt, rlnAnglePsi), and alignment "
                f"{params.alignment} begins with them.",
                "Give the _data.star of a refinement, or use --alignment global.",
            )
    if params.class_count > len(table):
        with blaming("classes"):
            raise BlushError(
                f"{params.class_count} classes are more than the {len(table)} particles of {table.path.name}.",
                "Ask for fewer.",
            )
    with blaming("reference"):
        references = _references(params, box, voxel_size)
    mask = None
    if params.mask is not None:
        with blaming("mask"):
            grid = Volume(references[0], (voxel_size,) * 3)
            mask = np.clip(read_mask(params.mask, params.reference[0], grid).data, 0, 1)
    need = predicted_need(params, box, voxel_size, device, len(table), reader.kept_bytes)
    with blaming("device"):
        check_memory(need, device)
    return ClassifyInputs(
        table,
        reader,
        references[0],
        mask,
        symmetry,
        box,
        voxel_size,
        device,
        (*table.warnings, *reader.warnings),
        weights,
        references=references,
    )


def _references(params: ClassifyParameters, box: int, voxel_size: float) -> NDArray[np.float32]:
    maps = [
        reference_on_grid(
            path,
            box,
            voxel_size,
            initial_lowpass=params.initial_lowpass,
            resample=params.resample_reference,
        )
        for path in params.reference
    ]
    return np.stack(maps if len(maps) > 1 else maps * params.class_count)


def predicted_need(
    params: ClassifyParameters,
    box: int,
    voxel_size: float,
    device: torch.device,
    particles: int,
    kept_images: int = 0,
) -> Need:
    """Return the memory of an iteration that compares up to Nyquist, which none has to."""
    classes = params.class_count
    return need_of(
        params,
        box,
        voxel_size,
        device,
        global_order=params.healpix_order if params.alignment == "global" else None,
        sums=classes,
        references=classes,
        maps=4 + 4 * classes,
        images=particles,
        kept_images=kept_images,
    )


def predicted_disk_bytes(params: ClassifyParameters, particles: int, box: int) -> int:
    """Return what the run writes: maps and STAR files of all iterations, and two checkpoints."""
    all_maps = 4 * box**3 * params.class_count
    stars = _BYTES_A_STAR_ROW * particles
    history = all_maps if params.keep == "full" else all_maps // 8
    checkpoints = 2 * (all_maps + 80 * particles)
    return params.iterations * (history + stars) + checkpoints + all_maps
