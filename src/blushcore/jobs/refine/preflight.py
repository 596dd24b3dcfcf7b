"""Looks before a refinement is begun: do its inputs fit each other, and the run this machine."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from blushcore.jobs.expectation_maximisation.disk_need import disk_bytes
from blushcore.jobs.expectation_maximisation.inputs import Inputs, open_inputs
from blushcore.jobs.expectation_maximisation.memory_need import Need, need_of
from blushcore.jobs.refine.optimiser_files import with_halves_of
from blushcore.jobs.refine.parameters import RefineParameters
from blushcore.particles import ParticleTable
from blushcore.protocol import BlushError, blaming

_MAPS = 10
"""Of the particles' box: references, what they were made of, masks, what the last iteration makes."""
_LIKELY_ITERATIONS = 25


def check_inputs(params: RefineParameters, halves: NDArray[np.int8] | None = None) -> Inputs:
    """Read what the refinement begins with, and refuse what cannot work.

    Parameters
    ----------
    params
        Its parameters.
    halves
        The half-set (1 or 2) of each particle, where a checkpoint tells it already, ``(N,)``. The refinement
        that this one goes on from (`continue_from`) is then not looked at: it may be gone.

    Raises
    ------
    BlushError
        When `open_inputs` does, or angles are missing that are to be searched about.
    """
    in_halves = partial(_in_halves, params, halves)
    return open_inputs(params, [params.reference], in_halves, partial(predicted_need, params))


def _in_halves(
    params: RefineParameters, halves: NDArray[np.int8] | None, table: ParticleTable
) -> ParticleTable:
    if params.healpix_order >= params.local_from_order and not table.has_poses:
        with blaming("healpix_order"):
            raise BlushError(
                f"{table.path.name} has no angles (rlnAngleRot, rlnAngleTilt, rlnAnglePsi), and searches that "
                f"are local from the beginning (HEALPix order {params.healpix_order}) need them.",
                "Begin with a lower --healpix-order than --local-from-order.",
            )
    if params.continue_from is not None:
        if halves is not None and len(halves) == len(table):
            table = table.with_columns({"rlnRandomSubset": halves.astype(np.int64)})
        else:
            table = with_halves_of(params.continue_from, table)
    return table.assign_halves(params.seed)


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
    """Return what a run of some 25 iterations writes."""
    iterations = min(params.max_iterations, _LIKELY_ITERATIONS)
    denoises = params.prior == "blush"
    return disk_bytes(
        params.keep,
        particles,
        box,
        iterations=iterations,
        maps=2,
        last_maps=4 if denoises else 3,
        before_prior=2 if denoises else 0,
    )
