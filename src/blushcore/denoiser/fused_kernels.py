"""What stands between the network's convolutions, on the processor: compiled, each in one pass over memory.

Arrays are channels-last, ``(z, y, x, c)`` or ``(voxels, c)``: float32, or bfloat16 as the uint16 of its bits.
All arithmetic is float32. The kernels run on one thread and let go of the interpreter's lock, so that several
blocks are worked on side by side.

Inner loops run over slices from 0: an index that might be negative, for all the compiler knows, keeps a loop
scalar.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from blushcore.denoiser.kernel_arithmetic import (
    CHUNKS_IN_FLOAT32,
    between,
    move,
    repeated,
    rows_at_once,
    silu,
    to_float,
    to_stored,
)

Array = NDArray[Any]


@numba.njit(fastmath=True, cache=True, error_model="numpy", nogil=True)
def instance_norm(x: Array, weight: Array, bias: Array, epsilon: float, factors: Array) -> None:
    """Find the factor and the summand that normalise each channel.

    `x` ``(voxels, c)``; `weight` and `bias` float32 ``(c,)``; `factors` float32 ``(2, c)`` is filled such that
    ``x * factors[0] + factors[1]`` is the affine instance norm of `x`. Where it has four rows the others get
    the mean and the reciprocal of the standard deviation.
    """
    voxels, channels = x.shape
    rows = rows_at_once(channels)
    flat = x.reshape(-1)
    # Sums about a value that is near the mean: float32 would lose the variance beside a large mean.
    near = np.empty(channels, np.float32)
    for c in range(channels):
        near[c] = to_float(x[voxels // 2, c])
    pivot = repeated(near, rows)
    width = len(pivot)
    part, part_squares = np.zeros(width, np.float32), np.zeros(width, np.float32)
    total, squares = np.zeros(width, np.float64), np.zeros(width, np.float64)
    for chunk, start in enumerate(range(0, len(flat), width)):
        piece = flat[start : start + width]
        for i in range(len(piece)):
            value = to_float(piece[i]) - pivot[i]
            part[i] += value
            part_squares[i] += value * value
        if chunk % CHUNKS_IN_FLOAT32 == CHUNKS_IN_FLOAT32 - 1:
            move(part, total)
            move(part_squares, squares)
    move(part, total)
    move(part_squares, squares)
    for c in range(channels):
        mean = total[c::channels].sum() / voxels
        variance = max(0.0, squares[c::channels].sum() / voxels - mean * mean)
        deviation = np.sqrt(variance + epsilon)
        factor = weight[c] / deviation
        factors[0, c] = factor
        factors[1, c] = bias[c] - (pivot[c] + mean) * factor
        if len(factors) > 2:
            factors[2, c] = pivot[c] + mean
            factors[3, c] = 1 / deviation


@numba.njit(fastmath=True, cache=True, error_model="numpy", nogil=True)
def apply_silu(x: Array, factors: Array, out: Array, first: int) -> None:
    """Fill ``out[:, first : first + c]`` with ``silu(x * factors[0] + factors[1])``; `x` is ``(voxels, c)``."""
    voxels, channels = x.shape
    rows = rows_at_once(channels)
    scale, shift = repeated(factors[0], rows), repeated(factors[1], rows)
    # By way of a line of its own: `out` may be `x`, and loops over two arrays that may be one stay scalar.
    line = np.empty(len(scale), x.dtype)
    flat = x.reshape(-1)
    for row in range(0, voxels, rows):
        piece = flat[row * channels : (row + rows) * channels]
        for i in range(len(piece)):
            line[i] = to_stored(silu(to_float(piece[i]) * scale[i] + shift[i]), line[i])
        for r in range(min(rows, voxels - row)):
            source, target = line[r * channels : (r + 1) * channels], out[row + r, first : first + channels]
            for c in range(channels):
                target[c] = source[c]


@numba.njit(fastmath=True, cache=True, error_model="numpy", nogil=True)
def silu_and_project(x: Array, factors: Array, weight: Array, bias: Array, out: Array) -> None:
    """Fill `out`, float32 ``(k, voxels)``, with the 1³ convolution of ``silu(x * factors[0] + factors[1])``.

    `x` is ``(voxels, c)``; `weight` float32 ``(k, c)``, `bias` float32 ``(k,)``.
    """
    voxels, channels = x.shape
    rows = rows_at_once(channels)
    scale, shift = repeated(factors[0], rows), repeated(factors[1], rows)
    line = np.empty(len(scale), np.float32)
    flat = x.reshape(-1)
    for row in range(0, voxels, rows):
        piece = flat[row * channels : (row + rows) * channels]
        for i in range(len(piece)):
            line[i] = silu(to_float(piece[i]) * scale[i] + shift[i])
        for r in range(min(rows, voxels - row)):
            values = line[r * channels : (r + 1) * channels]
            for k in range(weight.shape[0]):
                total = np.float32(0)
                for c in range(channels):
                    total += weight[k, c] * values[c]
                out[k, row + r] = total + bias[k]


@numba.njit(fastmath=True, cache=True, error_model="numpy", nogil=True)
def max_pool(x: Array, out: Array) -> None:
    """Fill `out` ``(z/2, y/2, x/2, c)`` with the largest of each 2³ voxels of ``x[..., :c]``."""
    depth, height, width, channels = out.shape
    best = np.empty(channels, np.float32)
    for z in range(depth):
        for y in range(height):
            for i in range(width):
                target = out[z, y, i]
                for c in range(channels):
                    best[c] = to_float(x[2 * z, 2 * y, 2 * i, c])
                for corner in range(1, 8):
                    other = x[2 * z + (corner >> 2), 2 * y + ((corner >> 1) & 1), 2 * i + (corner & 1)]
                    for c in range(channels):
                        best[c] = max(best[c], to_float(other[c]))
                for c in range(channels):
                    target[c] = to_stored(best[c], target[c])


@numba.njit(fastmath=True, cache=True, error_model="numpy", nogil=True)
def upsample(x: Array, out: Array, first: int) -> None:
    """Fill ``out[..., first : first + c]`` with `x`, trilinearly twice as large, corners on corners.

    `x` is ``(z, y, x, c)``, `out` ``(2z, 2y, 2x, …)``: ``F.interpolate(..., align_corners=True)``.
    """
    depth, height, width, channels = x.shape
    line = np.empty((width, channels), np.float32)
    for z in range(2 * depth):
        z0, z1, fz = between(z, depth)
        for y in range(2 * height):
            y0, y1, fy = between(y, height)
            w00, w01 = (np.float32(1) - fz) * (np.float32(1) - fy), (np.float32(1) - fz) * fy
            w10, w11 = fz * (np.float32(1) - fy), fz * fy
            for i in range(width):
                a, b, c_, d = x[z0, y0, i], x[z0, y1, i], x[z1, y0, i], x[z1, y1, i]
                row = line[i]
                for c in range(channels):
                    row[c] = (w00 * to_float(a[c]) + w01 * to_float(b[c])) + (
                        w10 * to_float(c_[c]) + w11 * to_float(d[c])
                    )
            for i in range(2 * width):
                i0, i1, fi = between(i, width)
                low, high = line[i0], line[i1]
                target = out[z, y, i, first : first + channels]
                for c in range(channels):
                    target[c] = to_stored(low[c] + fi * (high[c] - low[c]), target[c])
