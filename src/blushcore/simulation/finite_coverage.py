"""How often a direction of Fourier space is seen by a finite number of particles.

A view sees the plane across it, one voxel thick. Of N views, some N/2s pass through a component of shell s: at
the borders of many maps there are few, and their number differs from direction to direction. Where more pass,
noise is lower all along the radius, and where none do, nothing is known.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from blushcore.simulation.views import PreferredView, draw_viewing_angles

MOST_PARTICLES = 10_000
"""From so many on the coverage is smooth enough for `coverage_of_directions`."""
_HEIGHTS, _AZIMUTHS = 64, 192
"""Directions that views are counted for: a half sphere, in equal areas."""
_LEVELS = 3
_BATCH = 250


def coverage_by_particles(
    wave_vector: tuple[Tensor, Tensor, Tensor],
    box_size: int,
    particles: int,
    views: tuple[PreferredView, ...],
    generator: np.random.Generator,
) -> Tensor:
    """Draw particles and return how often each component is seen, with mean about 1 over directions.

    Each counts with CTF², which is as good as random beyond the first few shells.

    Parameters
    ----------
    wave_vector
        kx, ky, kz in cycles a voxel, broadcastable to the half grid.
    box_size
        n, voxels.
    particles
        N.
    views
        Clusters of views besides uniform ones of weight 1.
    generator
        Of views and CTFs.

    Returns
    -------
    Tensor
        Of the half grid's shape, 0 or more.
    """
    kx, ky, kz = wave_vector
    radius = torch.sqrt(kx**2 + ky**2 + kz**2)
    shell = (radius * box_size).clamp_min(1.0)
    index = _cell(kx, ky, kz, radius)
    # Counted at a few shells; linear in log s between them.
    shells = np.geomspace(max(4, box_size / 16), box_size / 2, _LEVELS)
    tables = _counts(shells, particles, views, generator, radius.device)
    place = ((shell.log() - math.log(shells[0])) / math.log(shells[-1] / shells[0]) * (_LEVELS - 1)).clamp(
        0, _LEVELS - 1 - 1e-4
    )
    level = place.long()
    share = place - level
    lower, upper = tables[level, index], tables[level + 1, index]
    return lower * (1 - share) + upper * share


def _cell(kx: Tensor, ky: Tensor, kz: Tensor, radius: Tensor) -> Tensor:
    """Return which direction's cell a component lies in; k and −k share one."""
    safe = radius.clamp_min(1e-9)
    x, y, z = kx / safe, ky / safe, kz / safe
    sign = torch.where(z < 0, -1.0, 1.0).expand_as(radius)
    height = ((z * sign) * _HEIGHTS).long().clamp(0, _HEIGHTS - 1)
    azimuth = torch.atan2(y * sign, x * sign) / (2 * math.pi) + 0.5
    return height * _AZIMUTHS + (azimuth * _AZIMUTHS).long().clamp(0, _AZIMUTHS - 1)


def _counts(
    shells: np.ndarray,
    particles: int,
    views: tuple[PreferredView, ...],
    generator: np.random.Generator,
    device: torch.device,
) -> Tensor:
    """Sum CTF² of the views whose plane passes each cell's middle, ``(levels, cells)``, with mean 1."""
    angles = np.radians(draw_viewing_angles(particles, views, generator))
    rot, tilt = torch.from_numpy(angles[:, :2].T.astype(np.float32)).to(device)
    seen_along = torch.stack((tilt.sin() * rot.cos(), tilt.sin() * rot.sin(), tilt.cos()))
    z = (torch.arange(_HEIGHTS, device=device) + 0.5) / _HEIGHTS
    azimuth = ((torch.arange(_AZIMUTHS, device=device) + 0.5) / _AZIMUTHS - 0.5) * 2 * math.pi
    across = (1 - z**2).sqrt()[:, None]
    directions = torch.stack(
        (
            (across * azimuth.cos()).flatten(),
            (across * azimuth.sin()).flatten(),
            z.repeat_interleave(_AZIMUTHS),
        ),
        1,
    )
    sums = torch.zeros((len(shells), len(directions)), device=device)
    phases = torch.from_numpy(generator.uniform(0, 2 * np.pi, (len(shells), particles))).float().to(device)
    for first in range(0, particles, _BATCH):
        part = slice(first, first + _BATCH)
        distance = (directions @ seen_along[:, part]).abs_()
        for level, shell in enumerate(shells):
            # As far as trilinear insertion reaches: a triangle one voxel wide to either side.
            reached = (distance * -float(shell)).add_(1).clamp_min_(0)
            sums[level] += reached @ (2 * phases[level, part].sin() ** 2)
    return sums / sums.mean(1, keepdim=True)
