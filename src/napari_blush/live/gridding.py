"""Maps of a run on one grid: its history is kept in boxes of many sizes, its layers have one.

Without torch: importing it would hold the GUI up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from blushcore.volumes import MapHeader, Volume
from napari_blush.layers.binning import binned

LARGEST_SHOWN = 256
"""Voxels along an axis up to which maps are shown as they are while a run goes on."""

_WORKERS = 2
_AXES = (0, 1, 2)


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
    one grid only and left out.
    """
    m = len(data)
    kept = (min(m, n) - 1) // 2  # the highest frequency of both grids, in cycles a box
    spectrum = scipy.fft.rfft(data, axis=2, workers=_WORKERS)[..., : kept + 1]
    for axis in (1, 0):
        spectrum = _cut(scipy.fft.fft(spectrum, axis=axis, workers=_WORKERS, overwrite_x=True), axis, kept)
    for axis in (0, 1):
        spectrum = scipy.fft.ifft(
            _padded(spectrum, axis, kept, n), axis=axis, workers=_WORKERS, overwrite_x=True
        )
    values: NDArray[np.float32] = scipy.fft.irfft(spectrum, n=n, axis=2, workers=_WORKERS, overwrite_x=True)
    values *= np.float32((n / m) ** 3)
    return values


def _cut(spectrum: NDArray[np.complex64], axis: int, kept: int) -> NDArray[np.complex64]:
    low = np.take(spectrum, range(kept + 1), axis=axis)
    high = np.take(spectrum, range(spectrum.shape[axis] - kept, spectrum.shape[axis]), axis=axis)
    return np.concatenate([low, high], axis=axis)


def _padded(spectrum: NDArray[np.complex64], axis: int, kept: int, n: int) -> NDArray[np.complex64]:
    shape = list(spectrum.shape)
    shape[axis] = n
    padded = np.zeros(shape, dtype=spectrum.dtype)
    low: list[slice] = [slice(None)] * 3
    high = list(low)
    low[axis], high[axis] = slice(0, kept + 1), slice(n - kept, n) if kept else slice(0, 0)
    source_high = list(low)
    source_high[axis] = slice(kept + 1, None)
    padded[tuple(low)] = spectrum[tuple(low)]
    padded[tuple(high)] = spectrum[tuple(source_high)]
    return padded
