"""Maps of a run on one grid: its history is kept in boxes of many sizes, its layers have one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from blushcore.volumes import MapHeader, Volume
from napari_blush.layers.binning import binned
from napari_blush.live.interpolated import InterpolatedMap

LARGEST_SHOWN = 256
"""Voxels along an axis up to which maps are shown as they are while a run goes on."""

Values: TypeAlias = "NDArray[np.float32] | InterpolatedMap"


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


@dataclass(frozen=True, eq=False)
class GridMap:
    """A map as it is shown: what a `Volume` has, but for values that may be made when they are looked at.

    Attributes
    ----------
    data
        float32 ``[z, y, x]``, an array or what stands for one.
    voxel_size
        Å along (z, y, x).
    header
        Position and labels.
    """

    data: Values
    voxel_size: tuple[float, float, float]
    header: MapHeader = field(default_factory=MapHeader)

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of voxels along (z, y, x)."""
        return self.data.shape

    @property
    def position(self) -> tuple[float, float, float]:
        """Position of voxel (0, 0, 0) in Å."""
        return self.header.origin

    @property
    def samples(self) -> NDArray[np.float32]:
        """The values that are at hand without making others: enough for statistics."""
        return self.data.data if isinstance(self.data, InterpolatedMap) else self.data


def on_grid(volume: Volume, grid: RunGrid, largest: int | None) -> GridMap:
    """Return a map of a run as it is shown.

    A smaller box, as a run's history has it, is brought to the grid by padding its Fourier transform, slice by
    slice as they are looked at: it then has the voxels of the others and looks as smooth as it is. A box larger
    than `largest` is binned or cropped in Fourier space.

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
    data: NDArray[np.float32] = volume.data
    if size >= 2 * shown:
        factor = size // shown
        data = binned(data, factor)
        first += voxel_size * (factor - 1) / 2
        voxel_size *= factor
        size = len(data)
    values: Values = data
    if size != shown:
        values = InterpolatedMap(data, shown)
        voxel_size *= size / shown
    return GridMap(values, (voxel_size,) * 3, MapHeader(origin=(first,) * 3))
