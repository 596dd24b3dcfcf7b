"""What is drawn for each particle of a simulated set: pose, offset, defocus, and which object it shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from blushcore.simulation.views import PreferredView, draw_viewing_angles

NOTHING = -1
"""The object of an image that shows noise alone."""


@dataclass(frozen=True)
class ParticleDraws:
    """One row a particle."""

    angles_deg: np.ndarray
    """float64 ``(N, 3)``: rot, tilt, psi."""
    offsets_px: np.ndarray
    """float64 ``(N, 2)``, x, y: the shift that centres the particle, as ``rlnOriginX/Y``."""
    defocus: np.ndarray
    """float64 ``(N, 3)``: u, v in Å, angle in degrees."""
    shows: np.ndarray
    """int64 ``(N,)``: index of the object, `objects` for rubble, `NOTHING` for nothing."""
    objects: int
    """How many kinds of particle there are."""

    def __len__(self) -> int:
        return len(self.shows)

    @property
    def is_junk(self) -> np.ndarray:
        """Whether an image shows no particle, bool ``(N,)``."""
        return np.asarray((self.shows == NOTHING) | (self.shows == self.objects))

    @property
    def class_numbers(self) -> np.ndarray:
        """From 1 on, as RELION counts; 0 for junk; int64 ``(N,)``."""
        return np.where(self.is_junk, 0, self.shows + 1)


def draw_particles(
    count: int,
    fractions: Sequence[float],
    *,
    views: Sequence[PreferredView] = (),
    offset_px: float = 2.0,
    defocus: tuple[float, float] = (8000.0, 20000.0),
    astigmatism: float = 200.0,
    junk: float = 0.0,
    seed: int = 0,
) -> ParticleDraws:
    """Draw the particles of a set.

    Parameters
    ----------
    count
        How many images.
    fractions
        Share of each object among the particles that are no junk; they sum to 1.
    views
        Preferred views besides uniform ones.
    offset_px
        Standard deviation of the offsets along x and y.
    defocus
        Range of the mean underfocus in Å, drawn uniformly.
    astigmatism
        u − v in Å, at an angle drawn uniformly.
    junk
        Share of the images that show no particle: half of them nothing at all, half rubble.
    seed
        Of the random numbers.
    """
    generator = np.random.default_rng((seed, 1))
    angles = draw_viewing_angles(count, views, generator)
    offsets = generator.normal(0, offset_px, (count, 2))
    mean = generator.uniform(*defocus, count)
    axis = generator.uniform(0, 180, count)
    objects = len(fractions)
    shows = generator.choice(objects, count, p=np.asarray(fractions))
    spoilt = generator.random(count)
    shows = np.where(spoilt < junk / 2, objects, np.where(spoilt < junk, NOTHING, shows))
    uva = np.stack((mean + astigmatism / 2, mean - astigmatism / 2, axis), axis=1)
    return ParticleDraws(angles, offsets, uva, shows, objects)
