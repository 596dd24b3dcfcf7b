"""Slices out of a padded half transform on the processor: compiled loops over slices and components.

Positions are in padded units, u = Aᵀ(k, 0). The half transform holds x ≥ 0; a component with x < 0 is the
conjugate of its opposite.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@numba.njit(fastmath=True, error_model="numpy", inline="always")
def _interpolated(
    volume: Array, reach: np.float32, x: np.float32, y: np.float32, z: np.float32
) -> tuple[np.float32, np.float32]:
    """Return the trilinear value (real, imaginary) of ``volume[z, y, x, 2]`` at a position with any x.

    Whole numbers are 32 bits wide and turned back to float32 by hand: only then are the loops vectorised.
    """
    sign = np.float32(1.0)
    if x < 0:
        x, y, z, sign = -x, -y, -z, np.float32(-1.0)
    y += reach
    z += reach
    i, j, k = np.int32(x), np.int32(y), np.int32(z)
    fx, fy, fz = x - np.float32(i), y - np.float32(j), z - np.float32(k)
    one = np.float32(1.0)
    gx, gy, gz = one - fx, one - fy, one - fz
    near, up, far, both = gz * gy, gz * fy, fz * gy, fz * fy
    real = gx * (
        near * volume[k, j, i, 0]
        + up * volume[k, j + 1, i, 0]
        + far * volume[k + 1, j, i, 0]
        + both * volume[k + 1, j + 1, i, 0]
    ) + fx * (
        near * volume[k, j, i + 1, 0]
        + up * volume[k, j + 1, i + 1, 0]
        + far * volume[k + 1, j, i + 1, 0]
        + both * volume[k + 1, j + 1, i + 1, 0]
    )
    imaginary = gx * (
        near * volume[k, j, i, 1]
        + up * volume[k, j + 1, i, 1]
        + far * volume[k + 1, j, i, 1]
        + both * volume[k + 1, j + 1, i, 1]
    ) + fx * (
        near * volume[k, j, i + 1, 1]
        + up * volume[k, j + 1, i + 1, 1]
        + far * volume[k + 1, j, i + 1, 1]
        + both * volume[k + 1, j + 1, i + 1, 1]
    )
    return real, sign * imaginary


@numba.njit(parallel=True, fastmath=True, cache=True, error_model="numpy", nogil=True)
def slices_complex(
    volume: Array, reach: np.float32, rotations: Array, kx: Array, ky: Array, out: Array
) -> None:
    """Fill ``out`` (O, P, 2) with the slices' components, real and imaginary part side by side."""
    for o in numba.prange(rotations.shape[0]):
        a, b, c = rotations[o, 0, 0], rotations[o, 0, 1], rotations[o, 0, 2]
        d, e, f = rotations[o, 1, 0], rotations[o, 1, 1], rotations[o, 1, 2]
        for p in range(kx.shape[0]):
            x, y, z = a * kx[p] + d * ky[p], b * kx[p] + e * ky[p], c * kx[p] + f * ky[p]
            real, imaginary = _interpolated(volume, reach, x, y, z)
            out[o, p, 0] = real
            out[o, p, 1] = imaginary


@numba.njit(parallel=True, fastmath=True, cache=True, error_model="numpy", nogil=True)
def slices_split(volume: Array, reach: np.float32, rotations: Array, kx: Array, ky: Array, out: Array) -> None:
    """Fill ``out`` (O, 2, P) with the slices' components, all real parts before all imaginary parts."""
    for o in numba.prange(rotations.shape[0]):
        a, b, c = rotations[o, 0, 0], rotations[o, 0, 1], rotations[o, 0, 2]
        d, e, f = rotations[o, 1, 0], rotations[o, 1, 1], rotations[o, 1, 2]
        for p in range(kx.shape[0]):
            x, y, z = a * kx[p] + d * ky[p], b * kx[p] + e * ky[p], c * kx[p] + f * ky[p]
            real, imaginary = _interpolated(volume, reach, x, y, z)
            out[o, 0, p] = real
            out[o, 1, p] = imaginary
