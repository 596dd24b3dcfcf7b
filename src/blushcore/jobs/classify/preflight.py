"""Looks before a classification is begun: do its inputs fit each other, and the run this machine."""

from __future__ import annotations

import dataclasses
from functools import partial

import numpy as np
import torch

from blushcore.jobs.classify.parameters import NEEDS_POSES, ClassifyParameters
from blushcore.jobs.expectation_maximisation.disk_need import disk_bytes
from blushcore.jobs.expectation_maximisation.inputs import Inputs, open_inputs
from blushcore.jobs.expectation_maximisation.memory_need import Need, need_of
from blushcore.particles import ParticleTable
from blushcore.protocol import BlushError, blaming


def check_inputs(params: ClassifyParameters) -> Inputs:
    """Read what the classification begins with, and refuse what cannot work.

    Its references are K times the same where one was given.

    Raises
    ------
    BlushError
        When `open_inputs` does, poses are missing that are to be kept, or classes are more than particles.
    """
    inputs = open_inputs(
        params, params.reference, partial(_to_be_classified, params), partial(predicted_need, params)
    )
    each = params.class_count // len(params.reference)
    return dataclasses.replace(inputs, references=np.repeat(inputs.references, each, axis=0))


def _to_be_classified(params: ClassifyParameters, table: ParticleTable) -> ParticleTable:
    if params.alignment in NEEDS_POSES and not table.has_poses:
        with blaming("alignment"):
            raise BlushError(
                f"{table.path.name} has no angles (rlnAngleRot, rlnAngleTilt, rlnAnglePsi), and --alignment "
                f"{params.alignment} begins with them.",
                "Give the _data.star of a refinement, or use --alignment global.",
            )
    if params.class_count > len(table):
        with blaming("classes"):
            raise BlushError(
                f"{params.class_count} classes are more than the {len(table)} particles of {table.path.name}.",
                "Ask for fewer.",
            )
    return table


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
    """Return what the run writes; the maps of the last iteration are whole."""
    classes = params.class_count
    return disk_bytes(
        params.keep,
        particles,
        box,
        iterations=params.iterations,
        maps=classes,
        last_maps=classes,
        before_prior=classes if params.prior == "blush" else 0,
    )
