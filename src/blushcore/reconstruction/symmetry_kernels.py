"""Sums over the mates of each component of a padded half transform, on the processor."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

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
        float32 ``(z, y, x, 2)`` and ``(z, y, x)``: a half transform with x ≥ 0 and k = 0 at (reach, reach, 0).
    radius
        Components beyond it are left as they are.
    operators
        float32 ``(G, 3, 3)``, without the identity.
    planes
        The z planes, in the order in which threads share them out.
    """
    one = np.float32(1.0)
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
                    sign = one
                    if x < 0:
                        x, y, z, sign = -x, -y, -z, -one
                    y += middle
                    z += middle
                    i, j, k = int(x), int(y), int(z)
                    fx, fy, fz = x - np.float32(i), y - np.float32(j), z - np.float32(k)
                    gx = one - fx
                    w00 = (one - fz) * (one - fy)
                    w01 = (one - fz) * fy
                    w10 = fz * (one - fy)
                    w11 = fz * fy
                    real = gx * (
                        w00 * data[k, j, i, 0]
                        + w01 * data[k, j + 1, i, 0]
                        + w10 * data[k + 1, j, i, 0]
                        + w11 * data[k + 1, j + 1, i, 0]
                    ) + fx * (
                        w00 * data[k, j, i + 1, 0]
                        + w01 * data[k, j + 1, i + 1, 0]
                        + w10 * data[k + 1, j, i + 1, 0]
                        + w11 * data[k + 1, j + 1, i + 1, 0]
                    )
                    imaginary = gx * (
                        w00 * data[k, j, i, 1]
                        + w01 * data[k, j + 1, i, 1]
                        + w10 * data[k + 1, j, i, 1]
                        + w11 * data[k + 1, j + 1, i, 1]
                    ) + fx * (
                        w00 * data[k, j, i + 1, 1]
                        + w01 * data[k, j + 1, i + 1, 1]
                        + w10 * data[k + 1, j, i + 1, 1]
                        + w11 * data[k + 1, j + 1, i + 1, 1]
                    )
                    total = gx * (
                        w00 * weight[k, j, i]
                        + w01 * weight[k, j + 1, i]
                        + w10 * weight[k + 1, j, i]
                        + w11 * weight[k + 1, j + 1, i]
                    ) + fx * (
                        w00 * weight[k, j, i + 1]
                        + w01 * weight[k, j + 1, i + 1]
                        + w10 * weight[k + 1, j, i + 1]
                        + w11 * weight[k + 1, j + 1, i + 1]
                    )
                    out[plane, row, kx, 0] += real
                    out[plane, row, kx, 1] += sign * imaginary
                    out_weight[plane, row, kx] += total
