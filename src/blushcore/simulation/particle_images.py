"""Images of particles: projections with CTF and offsets, then noise at a wanted level.

An image is X = CTF·P·V, shifted by minus the offset that centres it, plus noise (Scheres 2012). The
signal-to-noise ratio is that of variances per pixel: of the signal, pooled over all images, in a circle around
the particle; and of the noise.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from blushcore.optics import CtfParameters, OpticsGroup, ctf
from blushcore.poses import euler_to_matrix
from blushcore.projection import FourierVolume
from blushcore.shells import randomise_phases
from blushcore.shells.plane import PlaneComponents, images_from
from blushcore.simulation.image_noise import coloured_noise
from blushcore.simulation.particle_draws import NOTHING, ParticleDraws
from blushcore.volumes import soft_sphere

_BATCH_BYTES = 32 << 20
_IMAGES_THAT_SET_THE_NOISE = 1000
_BACKGROUND_FROM = 0.48
"""In box sizes from the centre: where images are normalised to mean 0 and standard deviation 1."""
_RUBBLE_KEEPS_SHELLS = 2


class ParticleImager:
    """Makes the images of a set, any range of them, without keeping one.

    Parameters
    ----------
    densities
        One map ``(n, n, n)`` an object.
    group
        The microscope; its box and pixel size are the maps'.
    draws
        What each image shows.
    diameter_angstrom
        Of the circle in which the signal-to-noise ratio is meant.
    seed
        Of noise and rubble.
    """

    def __init__(
        self,
        densities: Sequence[Tensor],
        group: OpticsGroup,
        draws: ParticleDraws,
        *,
        diameter_angstrom: float,
        seed: int,
    ) -> None:
        self.draws = draws
        self._group, self._seed = group, seed
        self._box = group.box
        self._plane = PlaneComponents.of(self._box)
        radius_px = diameter_angstrom / 2 / group.pixel_size_angstrom
        maps = list(densities)
        if bool((draws.shows == draws.objects).any()):
            maps.append(_rubble(maps[0], radius_px, seed))
        self._volumes = [FourierVolume.of(density) for density in maps]
        line = np.arange(self._box) - self._box // 2
        distance = torch.from_numpy(np.hypot(line[:, None], line))
        self._circle = distance < radius_px
        self._background = distance > _BACKGROUND_FROM * self._box

    def batches(self, count: int | None = None) -> list[range]:
        """Return the image numbers 0 to `count` (default: all) in pieces of a few ten megabytes."""
        end = len(self.draws) if count is None else min(count, len(self.draws))
        step = max(1, _BATCH_BYTES // (4 * self._box**2))
        return [range(first, min(first + step, end)) for first in range(0, end, step)]

    def clean(self, images: range) -> Tensor:
        """Return the images without noise, float32 ``(count, box, box)``; those of nothing are 0."""
        rows = slice(images.start, images.stop)
        shows = self.draws.shows[rows]
        rotations = euler_to_matrix(torch.from_numpy(self.draws.angles_deg[rows])).float()
        components = torch.zeros((len(images), self._plane.count), dtype=torch.complex64)
        for index, volume in enumerate(self._volumes):
            mine = torch.from_numpy(np.flatnonzero(shows == index))
            if len(mine):
                components[mine] = volume.slices(rotations[mine], self._plane)
        seen = torch.from_numpy(shows != NOTHING)
        components *= seen[:, None] * self._transfer(rows)
        return images_from(components, self._plane)

    def signal_moments(self, images: range) -> np.ndarray:
        """Return number, sum and sum of squares of the pixels of signal: inside the circle, junk left out.

        float64 ``(3,)``; add them up over `batches_that_set_the_noise` and give them to `signal_variance`.
        """
        particles = torch.from_numpy(~self.draws.is_junk[images.start : images.stop])
        inside = self.clean(images)[particles][:, self._circle].double()
        return np.array([inside.numel(), float(inside.sum()), float(inside.square().sum())])

    def batches_that_set_the_noise(self) -> list[range]:
        """Return the images over which the signal's variance is pooled: the first 1,000."""
        return self.batches(_IMAGES_THAT_SET_THE_NOISE)

    def noisy(self, images: range, noise_std: float) -> Tensor:
        """Return the images as a set holds them: with noise, and normalised on their background."""
        noisy = self.clean(images) + noise_std * coloured_noise(self._box, images, self._seed)
        background = noisy[:, self._background]
        mean = background.mean(1)[:, None, None]
        std = background.std(1, correction=0)[:, None, None]
        normalised: Tensor = (noisy - mean) / std
        return normalised

    def _transfer(self, rows: slice) -> Tensor:
        """CTF and offset, complex ``(count, P)``."""
        ctfs = ctf(self._group, CtfParameters.of(*self.draws.defocus[rows].T), self._plane.kx, self._plane.ky)
        ramps = self._plane.phase_ramps(torch.from_numpy(-self.draws.offsets_px[rows]))
        return ramps * ctfs


def signal_variance(moments: np.ndarray) -> float:
    """Return the variance of pixels whose number, sum and sum of squares are given; 0 for none."""
    count, total, squares = (float(value) for value in moments)
    return squares / count - (total / count) ** 2 if count else 0.0


def _rubble(density: Tensor, radius_px: float, seed: int) -> Tensor:
    """Return a blob of the particle's size, power and spectrum, without its structure: a broken one."""
    n = density.shape[0]
    scrambled = randomise_phases(density, _RUBBLE_KEEPS_SHELLS, seed=(seed, 2))
    rubble = scrambled * soft_sphere((n, n, n), 0.7 * radius_px, 0.3 * radius_px)
    scaled: Tensor = rubble * (density.norm() / rubble.norm())
    return scaled
