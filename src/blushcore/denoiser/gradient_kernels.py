"""The way back through what stands between the network's convolutions: compiled, as `fused_kernels`.

Arrays are as there. What comes down from above is `slope`, the gradient of the loss in a kernel's result.
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
    silu_slope,
    to_float,
    to_stored,
)

Array = NDArray[Any]


@numba.njit(fastmath=True, cache=True, error_model="numpy", nogil=True)
def norm_and_silu_gradient(x: Array, factors: Array, slope: Array, out: Array, gradients: Array) -> None:
    """Take the gradient back through `apply_silu` and `instance_norm` to what was normalised.

    `x` ``(voxels, c)`` is what was normalised, `factors` ``(4, c)`` what `instance_norm` found; of `slope`
    ``(voxels, …)`` the first channels count; `out` is ``(voxels, c)``; `gradients` float32 ``(2, c)`` is filled
    with those of the norm's weight and bias.
    """
    voxels, channels = x.shape
    rows = rows_at_once(channels)
    scale, shift, mean = (
        repeated(factors[0], rows),
        repeated(factors[1], rows),
        repeated(factors[2], rows),
    )
    width = len(scale)
    line, given = np.empty(width, np.float32), np.empty(width, np.float32)
    part, part_moments = np.zeros(width, np.float32), np.zeros(width, np.float32)
    total, moments = np.zeros(width, np.float64), np.zeros(width, np.float64)
    flat, flat_out, flat_slope = x.reshape(-1), out.reshape(-1), slope.reshape(-1)
    together = slope.shape[1] == channels
    for chunk, row in enumerate(range(0, voxels, rows)):
        piece = flat[row * channels : (row + rows) * channels]
        target = flat_out[row * channels : (row + rows) * channels]
        if together:
            source = flat_slope[row * channels : (row + rows) * channels]
            for i in range(len(piece)):
                given[i] = to_float(source[i])
        else:
            for r in range(min(rows, voxels - row)):
                source, copy = slope[row + r], given[r * channels : (r + 1) * channels]
                for c in range(channels):
                    copy[c] = to_float(source[c])
        for i in range(len(piece)):
            value = to_float(piece[i])
            line[i] = given[i] * silu_slope(value * scale[i] + shift[i])
            part[i] += line[i]
            part_moments[i] += line[i] * (value - mean[i])
        for i in range(len(piece)):
            target[i] = to_stored(line[i], target[i])
        if chunk % CHUNKS_IN_FLOAT32 == CHUNKS_IN_FLOAT32 - 1:
            move(part, total)
            move(part_moments, moments)
    move(part, total)
    move(part_moments, moments)
    # The norm takes its mean and its standard deviation from all voxels: what all have in common goes out.
    common, along = np.empty(channels, np.float32), np.empty(channels, np.float32)
    for c in range(channels):
        reciprocal = factors[3, c]
        sum_, moment = total[c::channels].sum(), moments[c::channels].sum()
        gradients[0, c] = moment * reciprocal
        gradients[1, c] = sum_
        common[c] = sum_ / voxels
        along[c] = moment * reciprocal * reciprocal / voxels
    all_common, all_along = repeated(common, rows), repeated(along, rows)
    for start in range(0, len(flat), width):
        piece, target = flat[start : start + width], flat_out[start : start + width]
        for i in range(len(piece)):
            deviation = to_float(piece[i]) - mean[i]
            given[i] = scale[i] * (to_float(target[i]) - all_common[i] - deviation * all_along[i])
        for i in range(len(piece)):
            target[i] = to_stored(given[i], target[i])


@numba.njit(fastmath=True, cache=True, error_model="numpy", nogil=True)
def projection_gradient(
    x: Array, factors: Array, weight: Array, slope: Array, out: Array, gradients: Array
) -> None:
    """Take the gradient back through the 1³ convolution of `silu_and_project`, not yet through the SiLU.

    `slope` float32 ``(k, voxels)``; `out` ``(voxels, c)``; `gradients` float32 ``(k, c + 1)`` is filled with
    those of the weight and, last, of the bias.
    """
    voxels, channels = x.shape
    rows = rows_at_once(channels)
    scale, shift = repeated(factors[0], rows), repeated(factors[1], rows)
    line = np.empty(len(scale), np.float32)
    flat = x.reshape(-1)
    outputs = len(weight)
    part, total = np.zeros((outputs, channels + 1), np.float32), np.zeros((outputs, channels + 1), np.float64)
    for chunk, row in enumerate(range(0, voxels, rows)):
        piece = flat[row * channels : (row + rows) * channels]
        for i in range(len(piece)):
            line[i] = silu(to_float(piece[i]) * scale[i] + shift[i])
        for r in range(min(rows, voxels - row)):
            values, target = line[r * channels : (r + 1) * channels], out[row + r]
            for k in range(outputs):
                above, sums = slope[k, row + r], part[k]
                sums[channels] += above
                for c in range(channels):
                    sums[c] += above * values[c]
            for c in range(channels):
                values[c] = slope[0, row + r] * weight[0, c]
            for k in range(1, outputs):
                above = slope[k, row + r]
                for c in range(channels):
                    values[c] += above * weight[k, c]
            for c in range(channels):
                target[c] = to_stored(values[c], target[c])
        if chunk % CHUNKS_IN_FLOAT32 == CHUNKS_IN_FLOAT32 - 1:
            move(part.reshape(-1), total.reshape(-1))
    move(part.reshape(-1), total.reshape(-1))
    for k in range(outputs):
        for c in range(channels + 1):
            gradients[k, c] = total[k, c]


@numba.njit(fastmath=True, cache=True, error_model="numpy", nogil=True)
def max_pool_gradient(x: Array, pooled: Array, slope: Array, out: Array) -> None:
    """Add to ``out[..., :c]`` what `max_pool` passes on: to the first of each 2³ voxels that is the largest.

    `x` and `out` ``(z, y, x, …)``, `pooled` and `slope` ``(z/2, y/2, x/2, c)``.
    """
    depth, height, width, channels = pooled.shape
    best, left = np.empty(channels, np.float32), np.empty(channels, np.float32)
    for z in range(depth):
        for y in range(height):
            for i in range(width):
                largest, above = pooled[z, y, i], slope[z, y, i]
                for c in range(channels):
                    best[c] = to_float(largest[c])
                    left[c] = to_float(above[c])
                for corner in range(8):
                    at = 2 * z + (corner >> 2), 2 * y + ((corner >> 1) & 1), 2 * i + (corner & 1)
                    value, target = x[at], out[at]
                    for c in range(channels):
                        is_it = to_float(value[c]) == best[c]
                        passed = left[c] if is_it else np.float32(0)
                        left[c] = np.float32(0) if is_it else left[c]
                        target[c] = to_stored(to_float(target[c]) + passed, target[c])


@numba.njit(fastmath=True, cache=True, error_model="numpy", nogil=True)
def upsample_gradient(slope: Array, first: int, out: Array) -> None:
    """Add to `out` ``(z, y, x, c)`` what `upsample` passes on of ``slope[..., first : first + c]``.

    `out` is float32.
    """
    depth, height, width, channels = out.shape
    row = np.empty(2 * width * channels, np.float32)
    half = np.empty((height, 2 * width * channels), np.float32)
    plane = np.empty((height, width * channels), np.float32)
    planes = out.reshape(depth, -1)
    for z in range(2 * depth):
        half[:] = 0
        for y in range(2 * height):
            for i in range(2 * width):
                source, copy = slope[z, y, i, first : first + channels], row[i * channels : (i + 1) * channels]
                for c in range(channels):
                    copy[c] = to_float(source[c])
            y0, y1, fy = between(y, height)
            _add_times(half[y0], row, np.float32(1) - fy)
            _add_times(half[y1], row, fy)
        plane[:] = 0
        for y in range(height):
            for i in range(2 * width):
                i0, i1, fi = between(i, width)
                source = half[y, i * channels : (i + 1) * channels]
                _add_times(plane[y, i0 * channels : (i0 + 1) * channels], source, np.float32(1) - fi)
                _add_times(plane[y, i1 * channels : (i1 + 1) * channels], source, fi)
        z0, z1, fz = between(z, depth)
        _add_times(planes[z0], plane.reshape(-1), np.float32(1) - fz)
        _add_times(planes[z1], plane.reshape(-1), fz)


@numba.njit(fastmath=True, inline="always")
def _add_times(target: Array, source: Array, factor: Any) -> None:
    for i in range(len(target)):
        target[i] += factor * source[i]
