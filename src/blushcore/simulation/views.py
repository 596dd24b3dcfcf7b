"""Directions from which particles are seen, drawn at random."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_STEPS = 20_001


@dataclass(frozen=True)
class PreferredView:
    """A cluster of views: the particles seen along ± `axis` with a spread, and what share they are."""

    axis: tuple[float, float, float]
    """Unit vector, x, y, z."""
    concentration: float
    """κ of a Watson distribution, exp(κ((d·axis)² − 1)); 0 is uniform, 10 spreads over about ± 18°."""
    weight: float
    """Share of the particles, relative to 1 for those seen uniformly."""


def draw_viewing_angles(
    count: int, views: Sequence[PreferredView], generator: np.random.Generator
) -> np.ndarray:
    """Draw orientations: preferred viewing directions, uniform in the plane.

    Parameters
    ----------
    count
        How many.
    views
        Clusters of viewing directions (Watson distributions), besides uniform ones of weight 1.
    generator
        Source of randomness.

    Returns
    -------
    np.ndarray
        float64 ``(count, 3)``: rot, tilt, psi in degrees. The direction that a particle is seen along is, in
        its own frame, (sin tilt cos rot, sin tilt sin rot, cos tilt).
    """
    weights = np.array([1.0, *(view.weight for view in views)])
    cluster = generator.choice(len(weights), count, p=weights / weights.sum())
    azimuth = generator.uniform(-np.pi, np.pi, count)
    level = generator.random(count)
    psi = generator.uniform(-180, 180, count)
    directions = np.empty((count, 3))
    for index, view in enumerate((PreferredView((0.0, 0.0, 1.0), 0.0, 1.0), *views)):
        mine = cluster == index
        along = _watson_quantiles(level[mine], view.concentration)
        across = np.sqrt(np.clip(1 - along**2, 0, None))
        local = np.stack((across * np.cos(azimuth[mine]), across * np.sin(azimuth[mine]), along), axis=1)
        directions[mine] = local @ _frame_of(np.array(view.axis))
    rot = np.degrees(np.arctan2(directions[:, 1], directions[:, 0]))
    tilt = np.degrees(np.arccos(np.clip(directions[:, 2], -1, 1)))
    return np.stack((rot, tilt, psi), axis=1)


def _watson_quantiles(level: np.ndarray, concentration: float) -> np.ndarray:
    """Cosines to the axis whose distribution function, of the density ∝ exp(κt²) on [−1, 1], is `level`."""
    t = np.linspace(-1, 1, _STEPS)
    density = np.exp(concentration * (t**2 - 1))
    cumulative = np.concatenate(([0.0], np.cumsum((density[1:] + density[:-1]) / 2)))
    return np.asarray(np.interp(level * cumulative[-1], cumulative, t))


def _frame_of(axis: np.ndarray) -> np.ndarray:
    """Return the rotation's rows: two unit vectors across the axis, and the axis."""
    helper = np.eye(3)[int(np.abs(axis).argmin())]
    first = np.cross(helper, axis)
    first /= np.linalg.norm(first)
    return np.stack((first, np.cross(axis, first), axis))
