"""The E-step: compare every image with every reference in every pose, and sum up by the posterior.

For each tile of images: prepare → a coarse look at all poses → a fine look at those that count → the posterior
→ its sums. The references and the noise stay what they are throughout. Several references are the classes of a
classification: the posterior is over them too.
"""

from __future__ import annotations

from collections.abc import Generator

import torch
from torch import Tensor

from blushcore.inference.group_work import GroupWork
from blushcore.inference.memory import USUAL_MEMORY, MemoryPlan
from blushcore.inference.model import ImageModel, ImageSource, Particles, Sampling
from blushcore.inference.sums import ExpectationSums, ImageResults
from blushcore.inference.views import Views
from blushcore.projection import FourierVolume, SliceSums


def expectation(
    reference: Tensor,
    voxel_size_angstrom: float,
    particles: Particles,
    source: ImageSource,
    sampling: Sampling,
    model: ImageModel,
    *,
    padding: int = 2,
    memory: MemoryPlan = USUAL_MEMORY,
    seed: int = 0,
) -> Generator[int, None, tuple[ExpectationSums, ImageResults]]:
    """Go through all particles of a half; yields how many are done, some times a second.

    Parameters
    ----------
    reference
        The half's reference map, float32 ``(n, n, n)``, or those of K classes, ``(K, n, n, n)``; everything is
        computed on its device.
    voxel_size_angstrom
        Of the reference.
    particles, source
        The particles and where their images come from.
    sampling, model
        Which poses to try, and what the images are taken to be.
    padding
        Of the Fourier volumes.
    memory
        What the parts may take.
    seed
        Of the noise that fills what is masked away, where it does.

    Returns
    -------
    The sums for the M-step, and what was found out about each particle.
    """
    n = reference.shape[-1]
    maps = reference.reshape(-1, n, n, n)
    views = Views(
        tuple(FourierVolume.of(each, sampling.current_size, padding=padding) for each in maps),
        sampling.orientations,
    )
    sums = ExpectationSums(
        of_classes=[
            SliceSums(n, sampling.current_size, padding=padding, device=reference.device) for _ in maps
        ],
        noise_power=[torch.zeros(len(v), dtype=torch.float64) for v in model.noise_variance],
        noise_weight=[torch.zeros(len(v), dtype=torch.float64) for v in model.noise_variance],
        scale_cross=torch.zeros(len(model.scale), n // 2 + 1, dtype=torch.float64),
        scale_power=torch.zeros(len(model.scale), n // 2 + 1, dtype=torch.float64),
        direction_weight=torch.zeros(views.direction_count, dtype=torch.float64),
        class_weight=torch.zeros(views.classes, dtype=torch.float64),
    )
    results = ImageResults.empty(particles.count, views.classes)
    place_of_row = {int(row): place for place, row in enumerate(particles.rows)}
    done = 0
    for group in range(len(particles.optics)):
        mine = particles.rows[(particles.optics_index == group).numpy()]
        if len(mine) == 0:
            continue
        work = GroupWork(views, voxel_size_angstrom, particles, group, sampling, model, memory, seed)
        for rows, images in source.batches(mine, work.read_at_once):
            at = torch.tensor([place_of_row[int(row)] for row in rows])
            for some in torch.split(work.order(at), work.tile):
                for count in work.add_tile(at[some], images[some].to(reference.device), sums, results):
                    done += count
                    yield done
    return sums, results
