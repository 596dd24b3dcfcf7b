"""What is to be drawn, and drawing it away from the GUI: a request in, a mesh with its values out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from blushcore.protocol import BlushError
from napari_blush.surface.mesh import Mesh, Spread, surface_of, values_at

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blushcore.volumes import Volume


@dataclass(frozen=True, eq=False)
class Wanted:
    """A surface that is wanted.

    Attributes
    ----------
    volume, local
        The map, and the one with the local resolution in Å.
    spread
        Of the map, if it is known already.
    level
        σ above the mean; None: where particle and solvent part best, if they do.
    least_angstrom
        Smaller pieces are left out; 0 for none.
    """

    volume: Volume
    local: Volume
    spread: Spread | None
    level: float | None
    least_angstrom: float


@dataclass(frozen=True, eq=False)
class Drawn:
    """A surface, the local resolution at its corners (Å), and what it was drawn from."""

    mesh: Mesh
    values: NDArray[np.float32]
    spread: Spread
    level: float


USUAL_LEVEL, LOWEST_LEVEL = 4.0, 2.0
"""σ above the mean; below the lower, one voxel in fifty is noise that stands above."""
_STEP = 0.8


def draw(wanted: Wanted) -> Drawn:
    """Draw a surface; without a level in σ, at the usual one or, where nothing is there, at a lower one.

    Raises
    ------
    BlushError
        If there is no surface at that level, or the maps do not go together.
    """
    spread = Spread.of(wanted.volume) if wanted.spread is None else wanted.spread
    usual = usual_level(wanted.volume, spread) if wanted.level is None else wanted.level
    level, mesh = usual, surface_of(wanted.volume, spread.density(usual), least_angstrom=wanted.least_angstrom)
    while mesh.is_empty and wanted.level is None and level * _STEP >= LOWEST_LEVEL:
        level *= _STEP
        mesh = surface_of(wanted.volume, spread.density(level), least_angstrom=wanted.least_angstrom)
    if mesh.is_empty:
        raise BlushError(
            f"There is nothing at {level:.2f} σ: the highest density is {spread.highest:.1f} σ.",
            "Choose a lower threshold, or show small pieces too.",
        )
    return Drawn(mesh, as_resolution(values_at(mesh.vertices, wanted.local)), spread, level)


def usual_level(volume: Volume, spread: Spread) -> float:
    """Return a level in σ to begin with: Otsu's where particle and solvent stand apart, else 4."""
    from blushcore.volumes import suggest_threshold

    try:
        level = (suggest_threshold(volume.data) - spread.mean) / spread.sigma
    except BlushError:
        level = USUAL_LEVEL
    return float(np.clip(level, 0.5, 0.8 * spread.highest))


def as_resolution(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return values as resolutions (Å): where a map says nothing (0), the coarsest that it says.

    Raises
    ------
    BlushError
        If most of them are no resolutions.
    """
    is_known = np.isfinite(values) & (values > 0)
    if is_known.mean() < 0.5:
        raise BlushError(
            "The map to colour by holds zeros and less at the surface: it is no map of resolution in Å.",
            "Choose one that blush local-resolution made, or measure it from two half-maps.",
        )
    return np.where(is_known, values, values[is_known].max()).astype(np.float32)
