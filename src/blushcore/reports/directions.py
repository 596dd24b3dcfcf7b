"""Views on the sphere: counted in equal areas, drawn on an equal-area map."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LEAST_PER_CELL = 4.0
_LARGEST_NSIDE, _SMALLEST_NSIDE = 16, 2


@dataclass(frozen=True, eq=False)
class DirectionCounts:
    """How many views fall into each cell of a HEALPix grid (ring order).

    Attributes
    ----------
    nside
        Of the grid: ``12·nside²`` cells of one area.
    counts
        ``(12·nside²,)`` views in each cell, mates by symmetry counted too.
    images
        How many images there are.
    """

    nside: int
    counts: NDArray[np.int64]
    images: int

    @classmethod
    def of(
        cls, rot_deg: NDArray[np.float64], tilt_deg: NDArray[np.float64], symmetry: str = "C1"
    ) -> DirectionCounts:
        """Count directions, with their mates by symmetry; cells are as small as there are views for.

        Parameters
        ----------
        rot_deg, tilt_deg
            RELION's angles, ``(N,)``.
        symmetry
            A point group in RELION's setting.
        """
        import healpix

        rot, tilt = directions_with_mates(rot_deg, tilt_deg, symmetry)
        nside = _LARGEST_NSIDE
        while nside > _SMALLEST_NSIDE and len(rot) / (12 * nside**2) < _LEAST_PER_CELL:
            nside //= 2
        cells = healpix.ang2pix(nside, np.radians(np.clip(tilt, 0, 180)), np.radians(rot % 360))
        return cls(nside, np.bincount(cells, minlength=12 * nside**2), len(rot_deg))

    @property
    def relative(self) -> NDArray[np.float64]:
        """How dense each cell is: 1 where views are spread evenly."""
        mean = self.counts.mean() or 1.0
        return self.counts / mean

    def cell_at(self, rot_deg: float, tilt_deg: float) -> int:
        """Return the cell of a direction."""
        import healpix

        return int(healpix.ang2pix(self.nside, math.radians(tilt_deg), math.radians(rot_deg % 360)))

    def centres_deg(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return rot and tilt of the cells' centres."""
        import healpix

        theta, phi = healpix.pix2ang(self.nside, np.arange(len(self.counts)))
        return (np.degrees(phi) + 180) % 360 - 180, np.degrees(theta)


def directions_with_mates(
    rot_deg: NDArray[np.float64], tilt_deg: NDArray[np.float64], symmetry: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return directions and all that are equivalent to them by symmetry.

    Cn and Dn by hand: their mates are other rots, and for Dn (−rot, 180° − tilt). The others' rotations come
    from the engine, and with it torch, which takes a second to import.
    """
    rot, tilt = np.asarray(rot_deg, dtype=np.float64), np.asarray(tilt_deg, dtype=np.float64)
    name = symmetry.strip().upper()
    if name[:1] in ("C", "D") and name[1:].isdigit():
        if name[0] == "D":
            rot, tilt = np.concatenate([rot, -rot]), np.concatenate([tilt, 180 - tilt])
        fold = int(name[1:])
        rot = (rot + 360 / fold * np.arange(fold)[:, None]).reshape(-1)
        return rot, np.tile(tilt, fold)
    from blushcore.poses import SymmetryGroup

    rotations = SymmetryGroup.of(name).matrices.numpy()
    a, b = np.radians(rot), np.radians(tilt)
    vectors = np.stack([np.cos(a) * np.sin(b), np.sin(a) * np.sin(b), np.cos(b)], axis=-1)
    mates = (vectors @ rotations).reshape(-1, 3)  # g runs over a group: its inverse is in it too
    return np.degrees(np.arctan2(mates[:, 1], mates[:, 0])), np.degrees(np.arccos(np.clip(mates[:, 2], -1, 1)))


def mollweide(rot_deg: NDArray[np.float64], tilt_deg: NDArray[np.float64]) -> NDArray[np.float64]:
    """Project directions onto Mollweide's equal-area map.

    Parameters
    ----------
    rot_deg, tilt_deg
        ``(N,)``; rot in −180 … 180 is the longitude, 90 − tilt the latitude.

    Returns
    -------
    ``(N, 2)``: x in −2 … 2, y in −1 … 1.
    """
    latitude = np.radians(90 - np.asarray(tilt_deg, dtype=np.float64))
    angle = latitude.copy()
    for _ in range(30):  # Newton: 2a + sin 2a = π sin(latitude); slow at the poles only
        slope = 2 + 2 * np.cos(2 * angle)
        step = (2 * angle + np.sin(2 * angle) - np.pi * np.sin(latitude)) / np.where(
            slope < 1e-9, np.inf, slope
        )
        angle -= step
    return np.stack([np.asarray(rot_deg) / 90 * np.cos(angle), np.sin(angle)], axis=-1)


def mollweide_inverse(
    x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Return rot and tilt in degrees of places on the map, and whether they are on it."""
    inside = (x / 2) ** 2 + y**2 < 1
    angle = np.arcsin(np.clip(y, -1, 1))
    cosine = np.maximum(np.cos(angle), 1e-9)
    rot = np.where(inside, 90 * x / cosine, 0.0)
    sine = (2 * angle + np.sin(2 * angle)) / np.pi
    tilt = 90 - np.degrees(np.arcsin(np.clip(sine, -1, 1)))
    return np.clip(rot, -180, 180), np.where(inside, tilt, 90.0), inside


@lru_cache(maxsize=8)
def cells_of_picture(nside: int, width: int) -> NDArray[np.int64]:
    """Return the cell that each pixel of the map shows, ``(width / 2, width)``, y upwards; −1 outside."""
    import healpix

    height = width // 2
    x = (np.arange(width) + 0.5) / width * 4 - 2
    y = (np.arange(height) + 0.5) / height * 2 - 1
    rot, tilt, inside = mollweide_inverse(*np.broadcast_arrays(x, y[:, None]))
    cells = healpix.ang2pix(nside, np.radians(tilt), np.radians(rot % 360))
    return np.where(inside, cells, -1).astype(np.int64)
