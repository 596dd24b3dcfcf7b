"""Maps interpolated where they are looked at: a slice costs milliseconds, a whole box most of a second.

Without torch: importing it would hold the GUI up. Slices are made without threaded matrix products too: where
a refinement keeps the cores busy, those wait for each other.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

_CONTRACTIONS = ("a,abc->bc", "b,abc->ac", "c,abc->ab")
_PLANES_KEPT = 6


class InterpolatedMap:
    """A cubic periodic map on another grid, made in Fourier space when it is indexed, and only as far as it is.

    Voxel (0, 0, 0) stays in place and values are kept. What both grids can hold is kept, but for the Nyquist
    component of even sizes, which is for one grid only and left out.

    Parameters
    ----------
    data
        float32 ``[z, y, x]``, cubic; not copied.
    n
        Voxels along an axis of the new grid.
    """

    dtype = np.dtype(np.float32)
    ndim = 3

    def __init__(self, data: NDArray[np.float32], n: int) -> None:
        self.data = data
        self.shape: tuple[int, int, int] = (n, n, n)
        self._planes: dict[tuple[int, int], NDArray[np.float32]] = {}
        self._whole: NDArray[np.float32] | None = None

    @property
    def size(self) -> int:
        """Number of voxels."""
        return self.shape[0] ** 3

    def __len__(self) -> int:
        return self.shape[0]

    def plane(self, axis: int, index: int) -> NDArray[np.float32]:
        """Return the plane `index` across an axis; the last few are kept. To be called from any thread."""
        if self._whole is not None:
            return np.take(self._whole, [index], axis).squeeze(axis)
        place = (axis, index % self.shape[axis])
        made = self._planes.get(place)
        if made is None:
            row = interpolation(len(self.data), self.shape[0])[place[1]]
            made = resampled_plane(np.einsum(_CONTRACTIONS[axis], row, self.data), self.shape[0])
            if len(self._planes) >= _PLANES_KEPT:
                self._planes.pop(next(iter(self._planes)), None)
            self._planes[place] = made
        return made

    def whole(self) -> NDArray[np.float32]:
        """Return all of it, which is kept from then on. To be called from any thread."""
        if self._whole is None:
            self._whole = resampled(self.data, self.shape[0])
            self._planes.clear()
        return self._whole

    def __getitem__(self, key: Any) -> NDArray[np.float32]:
        keys = list(key) if isinstance(key, tuple) else [key]
        if Ellipsis in keys:
            where = keys.index(Ellipsis)
            keys[where : where + 1] = [slice(None)] * (4 - len(keys))
        keys += [slice(None)] * (3 - len(keys))
        for axis, one in enumerate(keys):
            indices = range(*one.indices(self.shape[axis])) if isinstance(one, slice) else (int(one),)
            if len(indices) == 1:  # napari asks for slices one voxel thick
                rest = tuple(keys[:axis] + keys[axis + 1 :])
                plane = self.plane(axis, indices[0])
                if not isinstance(one, slice):
                    return np.asarray(plane[rest])
                thick = np.expand_dims(plane, axis)
                return np.asarray(thick[(*keys[:axis], slice(None), *keys[axis + 1 :])])
        return np.asarray(self.whole()[tuple(keys)])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.whole(), dtype=dtype or self.dtype, copy=copy)


def resampled(data: NDArray[np.float32], n: int) -> NDArray[np.float32]:
    """Resample a whole map as `InterpolatedMap` does: by products with the interpolation matrix, axis by axis.

    At the sizes of maps they take half the time of Fourier transforms there and back.
    """
    m = len(data)
    matrix = interpolation(m, n)
    values = np.matmul(matrix, data.reshape(m, -1)).reshape(n, m, m)
    values = np.matmul(matrix, values)
    resampled: NDArray[np.float32] = np.matmul(values.reshape(-1, m), matrix.T).reshape(n, n, n)
    return resampled


def resampled_plane(plane: NDArray[np.float32], n: int) -> NDArray[np.float32]:
    """Resample a square periodic image to `n` pixels an axis in the same way, by Fourier transforms."""
    m = len(plane)
    kept = _highest(m, n) + 1
    spectrum = np.fft.rfft2(plane, norm="forward")
    wider = np.zeros((n, n // 2 + 1), np.complex64)
    wider[:kept, :kept] = spectrum[:kept, :kept]
    if kept > 1:
        wider[1 - kept :, :kept] = spectrum[1 - kept :, :kept]
    return np.asarray(np.fft.irfft2(wider, (n, n), norm="forward"), dtype=np.float32)


@lru_cache(maxsize=8)
def interpolation(m: int, n: int) -> NDArray[np.float32]:
    """Return what takes `m` periodic samples to `n`, ``(n, m)``: Dirichlet's kernel of shared frequencies."""
    angle = 2 * np.pi * (np.arange(n)[:, None] / n - np.arange(m) / m)
    kernel = 1 + 2 * sum((np.cos(k * angle) for k in range(1, _highest(m, n) + 1)), np.zeros_like(angle))
    return (kernel / m).astype(np.float32)


def _highest(m: int, n: int) -> int:
    """Return the highest frequency that grids of `m` and `n` samples both hold, in cycles a box."""
    return (min(m, n) - 1) // 2
