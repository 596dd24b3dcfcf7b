"""Trilinear interpolation in a half transform: what the compiled loops of slices and of symmetry share.

The half transform holds x ≥ 0 and has k = 0 at (z, y, x) = (reach, reach, 0); a component with x < 0 is the
conjugate of its opposite. Everything here is inlined into the loops that use it. They are kept compiled by the
date of their own file: whoever changes this one touches theirs.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numba
import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]


@numba.njit(fastmath=True, error_model="numpy", inline="always")
def place_of(
    reach: np.float32, x: np.float32, y: np.float32, z: np.float32
) -> tuple[np.int32, np.int32, np.int32, np.float32, np.float32, np.float32, np.float32]:
    """Return where a position with any x lies, and −1 where its opposite was taken, else 1.

    First the indices along x, y and z of the corner below, then the way on from there, 0 to 1.

    Whole numbers are 32 bits wide and turned back to float32 by hand: only then are the loops vectorised.
    """
    sign = np.float32(1.0)
    if x < 0:
        x, y, z, sign = -x, -y, -z, np.float32(-1.0)
    y += reach
    z += reach
    i, j, k = np.int32(x), np.int32(y), np.int32(z)
    return i, j, k, x - np.float32(i), y - np.float32(j), z - np.float32(k), sign


@numba.njit(fastmath=True, error_model="numpy", inline="always")
def part_at(
    volume: Array,
    part: int,
    i: np.int32,
    j: np.int32,
    k: np.int32,
    fx: np.float32,
    fy: np.float32,
    fz: np.float32,
) -> np.float32:
    """Return the trilinear value of ``volume[z, y, x, part]``: of real parts (0) or imaginary ones (1)."""
    one = np.float32(1.0)
    gx, gy, gz = one - fx, one - fy, one - fz
    near, up, far, both = gz * gy, gz * fy, fz * gy, fz * fy
    value: np.float32 = gx * (
        near * volume[k, j, i, part]
        + up * volume[k, j + 1, i, part]
        + far * volume[k + 1, j, i, part]
        + both * volume[k + 1, j + 1, i, part]
    ) + fx * (
        near * volume[k, j, i + 1, part]
        + up * volume[k, j + 1, i + 1, part]
        + far * volume[k + 1, j, i + 1, part]
        + both * volume[k + 1, j + 1, i + 1, part]
    )
    return value
