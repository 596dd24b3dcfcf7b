"""Slices out of a padded half transform on the processor: compiled loops over slices and components.

Positions are in padded units, u = Aᵀ(k, 0).
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from blushcore.projection.trilinear_kernels import part_at, place_of

Array = NDArray[Any]


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
            i, j, k, fx, fy, fz, sign = place_of(reach, x, y, z)
            out[o, p, 0] = part_at(volume, 0, i, j, k, fx, fy, fz)
            out[o, p, 1] = sign * part_at(volume, 1, i, j, k, fx, fy, fz)


@numba.njit(parallel=True, fastmath=True, cache=True, error_model="numpy", nogil=True)
def slices_split(volume: Array, reach: np.float32, rotations: Array, kx: Array, ky: Array, out: Array) -> None:
    """Fill ``out`` (O, 2, P) with the slices' components, all real parts before all imaginary parts."""
    for o in numba.prange(rotations.shape[0]):
        a, b, c = rotations[o, 0, 0], rotations[o, 0, 1], rotations[o, 0, 2]
        d, e, f = rotations[o, 1, 0], rotations[o, 1, 1], rotations[o, 1, 2]
        for p in range(kx.shape[0]):
            x, y, z = a * kx[p] + d * ky[p], b * kx[p] + e * ky[p], c * kx[p] + f * ky[p]
            i, j, k, fx, fy, fz, sign = place_of(reach, x, y, z)
            out[o, 0, p] = part_at(volume, 0, i, j, k, fx, fy, fz)
            out[o, 1, p] = sign * part_at(volume, 1, i, j, k, fx, fy, fz)
