"""Sums over the mates of each component of a padded half transform, on the processor."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from blushcore.projection.trilinear_kernels import part_at, place_of

Array = NDArray[Any]


@numba.njit(parallel=True, fastmath=True, cache=True, error_model="numpy", nogil=True)
def add_mates(
    data: Array,
    weight: Array,
    reach: int,
    radius: np.float32,
    operators: Array,
    planes: Array,
    out: Array,
    out_weight: Array,
) -> None:
    """Add ``Σ_g data(g·k)`` to `out` and ``Σ_g weight(g·k)`` to `out_weight`, trilinearly interpolated.

    Parameters
    ----------
    data, weight
        float32 ``(z, y, x, 2)`` and ``(z, y, x, 1)``: a half transform, x ≥ 0 and k = 0 at (reach, reach, 0).
    radius
        Components beyond it are left as they are.
    operators
        float32 ``(G, 3, 3)``, without the identity.
    planes
        The z planes, in the order in which threads share them out.
    """
    middle = np.float32(reach)
    for index in numba.prange(planes.shape[0]):
        plane = planes[index]
        kz = np.float32(plane - reach)
        for row in range(2 * reach + 1):
            ky = np.float32(row - reach)
            left = radius * radius - ky * ky - kz * kz
            if left < 0:
                continue
            count = min(reach, int(np.sqrt(left))) + 1
            for g in range(operators.shape[0]):
                x0 = operators[g, 0, 1] * ky + operators[g, 0, 2] * kz
                y0 = operators[g, 1, 1] * ky + operators[g, 1, 2] * kz
                z0 = operators[g, 2, 1] * ky + operators[g, 2, 2] * kz
                ax, ay, az = operators[g, 0, 0], operators[g, 1, 0], operators[g, 2, 0]
                for kx in range(count):
                    x, y, z = x0 + ax * kx, y0 + ay * kx, z0 + az * kx
                    i, j, k, fx, fy, fz, sign = place_of(middle, x, y, z)
                    out[plane, row, kx, 0] += part_at(data, 0, i, j, k, fx, fy, fz)
                    out[plane, row, kx, 1] += sign * part_at(data, 1, i, j, k, fx, fy, fz)
                    out_weight[plane, row, kx] += part_at(weight, 0, i, j, k, fx, fy, fz)
