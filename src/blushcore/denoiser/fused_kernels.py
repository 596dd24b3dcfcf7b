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
from llvmlite import ir
from numba import types
from numba.core.typing.templates import Signature
from numba.extending import intrinsic
from numpy.typing import NDArray

Array = NDArray[Any]

_AT_ONCE = 1024
"""Values that an inner loop takes: long enough for vector instructions, short enough for the nearest cache."""
_CHUNKS_IN_FLOAT32 = 64
"""How many values a float32 sum takes up before it joins a float64 one."""

_TO_WHOLE = np.float32(3 << 22)
"""Added to a float32 of less than 2²², it leaves the nearest whole number in the lowest bits."""
_LOG2_E = np.float32(1.4426950408889634)
# 2^f = e^(f ln 2) on [−½, ½], Taylor series to the seventh power: 3e-9 off.
_E1, _E2, _E3, _E4, _E5, _E6 = (
    np.float32(np.log(2) ** k / float(np.prod(np.arange(1, k + 1)))) for k in range(1, 7)
)


def _generate_to_float(_typing: Any, stored: Any) -> tuple[Signature, Any]:
    """Turn a stored value into float32."""

    def generate(_context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if signature.args[0] == types.float32:
            return arguments[0]
        wide = builder.zext(arguments[0], ir.IntType(32))
        return builder.bitcast(builder.shl(wide, ir.Constant(ir.IntType(32), 16)), ir.FloatType())

    return types.float32(stored), generate


_to_float: Any = intrinsic(_generate_to_float)


def _generate_as_bits(_typing: Any, _value: Any) -> tuple[Signature, Any]:
    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.IntType(32))

    return types.int32(types.float32), generate


_as_bits: Any = intrinsic(_generate_as_bits)


def _generate_from_bits(_typing: Any, _bits: Any) -> tuple[Signature, Any]:
    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.int32), generate


_from_bits: Any = intrinsic(_generate_from_bits)


def _generate_to_stored(_typing: Any, _value: Any, like: Any) -> tuple[Signature, Any]:
    """Turn a float32 into a value like `like`: itself, or bfloat16's bits, rounded to nearest even."""

    def generate(_context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if signature.return_type == types.float32:
            return arguments[0]
        word = ir.IntType(32)
        bits = builder.bitcast(arguments[0], word)
        odd = builder.and_(builder.lshr(bits, ir.Constant(word, 16)), ir.Constant(word, 1))
        rounded = builder.add(bits, builder.add(odd, ir.Constant(word, 0x7FFF)))
        return builder.trunc(builder.lshr(rounded, ir.Constant(word, 16)), ir.IntType(16))

    return like(types.float32, like), generate


_to_stored: Any = intrinsic(_generate_to_stored)


# Not fastmath, which would take the summand that rounds for one that cancels.
@numba.njit(fastmath={"contract"})
def _silu(y: Any) -> Any:
    t = min(max(y * -_LOG2_E, np.float32(-126)), np.float32(126))
    shifted = t + _TO_WHOLE
    f = t - (shifted - _TO_WHOLE)
    power = np.float32(1) + f * (_E1 + f * (_E2 + f * (_E3 + f * (_E4 + f * (_E5 + f * _E6)))))
    exp = _from_bits(_as_bits(power) + (_as_bits(shifted) << np.int32(23)))
    return y / (np.float32(1) + exp)


@numba.njit(inline="always")
def _rows_at_once(channels: int) -> int:
    return max(1, _AT_ONCE // channels)


@numba.njit(nogil=True)
def _repeated(per_channel: Array, rows: int) -> Array:
    out = np.empty(rows * len(per_channel), np.float32)
    for i in range(len(out)):
        out[i] = per_channel[i % len(per_channel)]
    return out


@numba.njit(fastmath=True, cache=True, error_model="numpy", nogil=True)
def instance_norm(x: Array, weight: Array, bias: Array, epsilon: float, factors: Array) -> None:
    """Find the factor and the summand that normalise each channel.

    `x` ``(voxels, c)``; `weight` and `bias` float32 ``(c,)``; `factors` float32 ``(2, c)`` is filled such that
    ``x * factors[0] + factors[1]`` is the affine instance norm of `x`.
    """
    voxels, channels = x.shape
    rows = _rows_at_once(channels)
    flat = x.reshape(-1)
    # Sums about a value that is near the mean: float32 would lose the variance beside a large mean.
    near = np.empty(channels, np.float32)
    for c in range(channels):
        near[c] = _to_float(x[voxels // 2, c])
    pivot = _repeated(near, rows)
    width = len(pivot)
    part, part_squares = np.zeros(width, np.float32), np.zeros(width, np.float32)
    total, squares = np.zeros(width, np.float64), np.zeros(width, np.float64)
    for chunk, start in enumerate(range(0, len(flat), width)):
        piece = flat[start : start + width]
        for i in range(len(piece)):
            value = _to_float(piece[i]) - pivot[i]
            part[i] += value
            part_squares[i] += value * value
        if chunk % _CHUNKS_IN_FLOAT32 == _CHUNKS_IN_FLOAT32 - 1:
            _move(part, total)
            _move(part_squares, squares)
    _move(part, total)
    _move(part_squares, squares)
    for c in range(channels):
        mean = total[c::channels].sum() / voxels
        variance = max(0.0, squares[c::channels].sum() / voxels - mean * mean)
        factor = weight[c] / np.sqrt(variance + epsilon)
        factors[0, c] = factor
        factors[1, c] = bias[c] - (pivot[c] + mean) * factor


@numba.njit(nogil=True)
def _move(part: Array, total: Array) -> None:
    for i in range(len(part)):
        total[i] += part[i]
        part[i] = 0


@numba.njit(fastmath=True, cache=True, error_model="numpy", nogil=True)
def apply_silu(x: Array, factors: Array, out: Array, first: int) -> None:
    """Fill ``out[:, first : first + c]`` with ``silu(x * factors[0] + factors[1])``; `x` is ``(voxels, c)``."""
    voxels, channels = x.shape
    rows = _rows_at_once(channels)
    scale, shift = _repeated(factors[0], rows), _repeated(factors[1], rows)
    # By way of a line of its own: `out` may be `x`, and loops over two arrays that may be one stay scalar.
    line = np.empty(len(scale), x.dtype)
    flat = x.reshape(-1)
    for row in range(0, voxels, rows):
        piece = flat[row * channels : (row + rows) * channels]
        for i in range(len(piece)):
            line[i] = _to_stored(_silu(_to_float(piece[i]) * scale[i] + shift[i]), line[i])
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
    rows = _rows_at_once(channels)
    scale, shift = _repeated(factors[0], rows), _repeated(factors[1], rows)
    line = np.empty(len(scale), np.float32)
    flat = x.reshape(-1)
    for row in range(0, voxels, rows):
        piece = flat[row * channels : (row + rows) * channels]
        for i in range(len(piece)):
            line[i] = _silu(_to_float(piece[i]) * scale[i] + shift[i])
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
                    best[c] = _to_float(x[2 * z, 2 * y, 2 * i, c])
                for corner in range(1, 8):
                    other = x[2 * z + (corner >> 2), 2 * y + ((corner >> 1) & 1), 2 * i + (corner & 1)]
                    for c in range(channels):
                        best[c] = max(best[c], _to_float(other[c]))
                for c in range(channels):
                    target[c] = _to_stored(best[c], target[c])


@numba.njit(fastmath=True, cache=True, error_model="numpy", nogil=True)
def upsample(x: Array, out: Array, first: int) -> None:
    """Fill ``out[..., first : first + c]`` with `x`, trilinearly twice as large, corners on corners.

    `x` is ``(z, y, x, c)``, `out` ``(2z, 2y, 2x, …)``: ``F.interpolate(..., align_corners=True)``.
    """
    depth, height, width, channels = x.shape
    line = np.empty((width, channels), np.float32)
    for z in range(2 * depth):
        z0, z1, fz = _between(z, depth)
        for y in range(2 * height):
            y0, y1, fy = _between(y, height)
            w00, w01 = (np.float32(1) - fz) * (np.float32(1) - fy), (np.float32(1) - fz) * fy
            w10, w11 = fz * (np.float32(1) - fy), fz * fy
            for i in range(width):
                a, b, c_, d = x[z0, y0, i], x[z0, y1, i], x[z1, y0, i], x[z1, y1, i]
                row = line[i]
                for c in range(channels):
                    row[c] = (w00 * _to_float(a[c]) + w01 * _to_float(b[c])) + (
                        w10 * _to_float(c_[c]) + w11 * _to_float(d[c])
                    )
            for i in range(2 * width):
                i0, i1, fi = _between(i, width)
                low, high = line[i0], line[i1]
                target = out[z, y, i, first : first + channels]
                for c in range(channels):
                    target[c] = _to_stored(low[c] + fi * (high[c] - low[c]), target[c])


@numba.njit(inline="always")
def _between(i: int, n: int) -> tuple[int, int, Any]:
    """Which two of `n` samples the `i`-th of 2n lies between, and how far along."""
    place = i * (n - 1) / (2 * n - 1)
    low = min(int(place), n - 1)
    return low, min(low + 1, n - 1), np.float32(place - low)
