"""Surfaces of maps as triangles, and the values of another map at their corners. No Qt in here."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from blushcore.protocol import BlushError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blushcore.volumes import Volume

LONGEST_EDGE = 256
"""Voxels that a surface is drawn of along an axis at most; of more, every second or third is taken."""
_MARGIN = 2


@dataclass(frozen=True, eq=False)
class Mesh:
    """A surface of triangles.

    Attributes
    ----------
    vertices
        Corners in Å, ``(V, 3)`` float32, as (z, y, x) in space: the map's position counts.
    faces
        Three corners each, ``(F, 3)`` int32; seen from outside anticlockwise in (x, y, z), as napari draws.
    step
        Every how many voxels were taken.
    """

    vertices: NDArray[np.float32]
    faces: NDArray[np.int32]
    step: int = 1

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to draw."""
        return len(self.faces) == 0


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation of a map's voxels, and how many σ its highest lies above the mean."""

    mean: float
    sigma: float
    highest: float

    @classmethod
    def of(cls, volume: Volume) -> Spread:
        """Look at all voxels.

        Raises
        ------
        BlushError
            If the map is constant.
        """
        mean, sigma = float(volume.data.mean(dtype=np.float64)), float(volume.data.std(dtype=np.float64))
        if not sigma > 0:
            raise BlushError("The map is constant: it has no surface.", "Choose another map.")
        return cls(mean, sigma, (float(volume.data.max()) - mean) / sigma)

    def density(self, level: float) -> float:
        """Return the density that lies so many σ above the mean."""
        return self.mean + level * self.sigma


def surface_of(volume: Volume, density: float, *, least_angstrom: float = 0.0) -> Mesh:
    """Return where a map has a density, by marching cubes (Lewiner et al. 2003, J Graph Tools 8:1).

    Parameters
    ----------
    volume
        The map.
    density
        Of the surface; its inside is above.
    least_angstrom
        Pieces whose bounding box has a shorter diagonal are left out: noise.
    """
    from skimage.measure import marching_cubes  # takes a while, and whoever opens a map does not wait for it

    inside = volume.data > density
    if not inside.any() or inside.all():
        return Mesh(np.empty((0, 3), np.float32), np.empty((0, 3), np.int32))
    first, last = _bounds(inside)
    cut = tuple(slice(a, b) for a, b in zip(first, last, strict=True))
    # Beyond the box there is nothing: surfaces are closed at its faces, and not cut open.
    padded = np.pad(volume.data[cut], 1, constant_values=min(float(volume.data.min()), density))
    step = max(1, math.ceil(max(padded.shape) / LONGEST_EDGE))
    # Steps may leave the last voxels out; some more of nothing keeps the surface closed there too.
    padded = np.pad(padded, [(0, step)] * 3, mode="edge") if step > 1 else padded
    corners, faces, _, _ = marching_cubes(padded, density, step_size=step, gradient_direction="descent")
    spacing = np.asarray(volume.voxel_size)
    place = np.asarray(volume.position) + (np.asarray(first) - 1) * spacing
    mesh = Mesh((corners * spacing + place).astype(np.float32), faces.astype(np.int32), step)
    return without_pieces(mesh, least_angstrom) if least_angstrom > 0 else mesh


def without_pieces(mesh: Mesh, least_angstrom: float) -> Mesh:
    """Return a mesh without the pieces whose bounding box has a shorter diagonal than `least_angstrom`."""
    if mesh.is_empty:
        return mesh
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    count = len(mesh.vertices)
    one, two = mesh.faces[:, [0, 1]].ravel(), mesh.faces[:, [1, 2]].ravel()
    joined = coo_matrix((np.ones(len(one), bool), (one, two)), shape=(count, count))
    pieces, label = connected_components(joined, directed=False)
    lowest, highest = (np.full((pieces, 3), value) for value in (np.inf, -np.inf))
    np.minimum.at(lowest, label, mesh.vertices)
    np.maximum.at(highest, label, mesh.vertices)
    is_kept = (np.linalg.norm(highest - lowest, axis=1) >= least_angstrom)[label]
    new_number = np.cumsum(is_kept) - 1
    faces = new_number[mesh.faces[is_kept[mesh.faces[:, 0]]]]
    return Mesh(mesh.vertices[is_kept], faces.astype(np.int32), mesh.step)


def values_at(points: NDArray[np.float32], volume: Volume) -> NDArray[np.float32]:
    """Return a map's values at points in space, interpolated linearly; beyond its box those at its faces.

    Parameters
    ----------
    points
        In Å, ``(V, 3)``, as (z, y, x).
    volume
        On whichever grid.

    Returns
    -------
    float32 ``(V,)``.

    Raises
    ------
    BlushError
        If more than half of the points lie beyond the map's box.
    """
    from scipy.ndimage import map_coordinates

    at = ((points - np.asarray(volume.position)) / np.asarray(volume.voxel_size)).T
    beyond = np.any([(x < -1) | (x > n) for x, n in zip(at, volume.shape, strict=True)], axis=0)
    if beyond.size and beyond.mean() > 0.5:
        raise BlushError(
            "The map to colour by lies elsewhere in space than the surface.",
            "Choose one of the same reconstruction: their origins differ.",
        )
    found: NDArray[np.float32] = map_coordinates(volume.data, at, order=1, mode="nearest", output=np.float32)
    return found


def _bounds(inside: NDArray[np.bool_]) -> tuple[list[int], list[int]]:
    """Return where the voxels inside begin and end along each axis, with a margin within the box."""
    first, last = [], []
    for axis in range(3):
        places = np.flatnonzero(inside.any(axis=tuple(other for other in range(3) if other != axis)))
        first.append(max(0, int(places[0]) - _MARGIN))
        last.append(min(inside.shape[axis], int(places[-1]) + 1 + _MARGIN))
    return first, last
