"""The noise of the images before anything is known of their poses."""

from __future__ import annotations

from collections.abc import Generator, Sequence

import numpy as np
from numpy.typing import NDArray

from blushcore.inference import IMAGES_FOR_FIRST_ESTIMATE, NoiseEstimate, circular_mask
from blushcore.jobs.expectation_maximisation.expectation_inputs import ctf_parameters
from blushcore.optics import OpticsGroup, ctf
from blushcore.particles import ImageReader, ParticleTable
from blushcore.protocol import Control, Event, Progress

_BATCH = 64


def first_noise(
    table: ParticleTable,
    reader: ImageReader,
    optics: Sequence[OpticsGroup],
    *,
    diameter_angstrom: float,
    seed: int,
    control: Control,
) -> Generator[Event, None, tuple[NDArray[np.float64], ...]]:
    """Estimate σ²(s) of each optics group from some of its images, drawn by the seed."""
    noise = []
    for number, group in enumerate(optics):
        rows = np.flatnonzero(table.optics_index == number)
        chosen = np.random.default_rng((seed, number)).permutation(rows)[:IMAGES_FOR_FIRST_ESTIMATE]
        radius_px = diameter_angstrom / 2 / group.pixel_size_angstrom
        estimate = NoiseEstimate(group.box, circular_mask(group.box, radius_px))
        done = 0
        for batch, images in reader.batches(np.sort(chosen), batch_size=_BATCH):
            contrast = None
            if group.ctf_premultiplied:
                contrast = ctf(group, ctf_parameters(table, batch), estimate.plane.kx, estimate.plane.ky)
            estimate.add(images, contrast)
            done += len(batch)
            yield from control.obey()
            yield Progress(stage="estimating the noise", done=done, total=len(chosen), unit="images")
        noise.append(estimate.variance().numpy())
    return tuple(noise)
