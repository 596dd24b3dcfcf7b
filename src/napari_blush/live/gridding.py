"""Maps of a run on one grid: its history is kept in boxes of many sizes, its layers have one.

Without torch: importing it would hold the GUI up.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from blushcore.volumes import MapHeader, Volume
from napari_blush.layers.binning import binned

LARGEST_SHOWN = 256
"""Voxels along an axis up to which maps are shown as they are while a run goes on."""


@dataclass(frozen=True)
class RunGrid:
    """The cubic box of a run: voxels along an axis, and their size in Å."""

    box: int
    voxel_size: float

    def shown(self, largest: int | None) -> int:
        """Return how many voxels along an axis are shown, of at most `largest`; None: all."""
        if largest is None or self.box <= largest:
            return self.box
        return self.box // -(-self.box // largest)  # a whole number of voxels into one


def on_grid(volume: Volume, grid: RunGrid, largest: int | None) -> Volume:
    """Return a map of a run as it is shown.

    A smaller box, as a run's history has it, is brought to the grid by padding its Fourier transform: it then
    has the voxels of the others and looks as smooth as it is. A box larger than `largest` is binned or cropped
    in Fourier space.

    Parameters
    ----------
    volume
        ``[z, y, x]``, cubic, over the same box in Å as `grid`, its point ``n // 2`` the grid's ``box // 2``.
    grid
        The run's box.
    largest
        Voxels along an axis that are shown at most; None for all.

    Returns
    -------
    A map of ``grid.shown(largest)`` voxels along each axis, placed (header's origin, Å) so that its points lie
    where those of the whole box do, whose voxel (0, 0, 0) is at 0.
    """
    size, shown = len(volume.data), grid.shown(largest)
    voxel_size = grid.box * grid.voxel_size / size
    first = (grid.box // 2) * grid.voxel_size - (size // 2) * voxel_size  # Å, of voxel (0, 0, 0)
    data = volume.data
    if size >= 2 * shown:
        factor = size // shown
        data = binned(data, factor)
        first += voxel_size * (factor - 1) / 2
        voxel_size *= factor
        size = len(data)
    if size != shown:
        data = resampled(data, shown)
        voxel_size *= size / shown
    header = MapHeader(origin=(first,) * 3)
    return Volume(np.ascontiguousarray(data, dtype=np.float32), (voxel_size,) * 3, header)


def resampled(data: NDArray[np.float32], n: int) -> NDArray[np.float32]:
    """Resample a cubic periodic map to `n` voxels an axis in Fourier space; voxel (0, 0, 0) stays in place.

    Values are kept. What both grids can hold is kept, but for the Nyquist component of even sizes, which is for
    one grid only and left out. Products with the interpolation matrix, axis by axis: at the sizes of maps they
    take half the time of Fourier transforms there and back.
    """
    m = len(data)
    matrix = _interpolation(m, n)
    values = np.matmul(matrix, data.reshape(m, -1)).reshape(n, m, m)
    values = np.matmul(matrix, values)
    resampled: NDArray[np.float32] = np.matmul(values.reshape(-1, m), matrix.T).reshape(n, n, n)
    return resampled


@lru_cache(maxsize=8)
def _interpolation(m: int, n: int) -> NDArray[np.float32]:
    """Return what takes `m` periodic samples to `n`, ``(n, m)``: Dirichlet's kernel of shared frequencies."""
    kept = (min(m, n) - 1) // 2  # the highest frequency of both grids, in cycles a box
    angle = 2 * np.pi * (np.arange(n)[:, None] / n - np.arange(m) / m)
    kernel = 1 + 2 * sum((np.cos(k * angle) for k in range(1, kept + 1)), np.zeros_like(angle))
    return (kernel / m).astype(np.float32)
