"""Arithmetic that the network's kernels share: stored values, SiLU, sums.

Stored values are float32, or bfloat16 as the uint16 of its bits; all arithmetic is float32.
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
CHUNKS_IN_FLOAT32 = 64
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


to_float: Any = intrinsic(_generate_to_float)


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


to_stored: Any = intrinsic(_generate_to_stored)


# Not fastmath, which would take the summand that rounds for one that cancels.
@numba.njit(fastmath={"contract"})
def _exp(y: Any) -> Any:
    t = min(max(y * _LOG2_E, np.float32(-126)), np.float32(126))
    shifted = t + _TO_WHOLE
    f = t - (shifted - _TO_WHOLE)
    power = np.float32(1) + f * (_E1 + f * (_E2 + f * (_E3 + f * (_E4 + f * (_E5 + f * _E6)))))
    return _from_bits(_as_bits(power) + (_as_bits(shifted) << np.int32(23)))


@numba.njit(fastmath={"contract"})
def silu(y: Any) -> Any:
    """Y σ(y) of a float32."""
    return y / (np.float32(1) + _exp(-y))


@numba.njit(fastmath={"contract"})
def silu_slope(y: Any) -> Any:
    """Return the derivative of `silu`: σ(y) (1 + y (1 − σ(y)))."""
    sigmoid = np.float32(1) / (np.float32(1) + _exp(-y))
    return sigmoid * (np.float32(1) + y * (np.float32(1) - sigmoid))


@numba.njit(inline="always")
def rows_at_once(channels: int) -> int:
    """How many voxels an inner loop takes."""
    return max(1, _AT_ONCE // channels)


@numba.njit(nogil=True)
def repeated(per_channel: Array, rows: int) -> Array:
    """Write a value a channel out for as many voxels."""
    out = np.empty(rows * len(per_channel), np.float32)
    for i in range(len(out)):
        out[i] = per_channel[i % len(per_channel)]
    return out


@numba.njit(nogil=True)
def move(part: Array, total: Array) -> None:
    """Add a float32 sum to a float64 one, and begin it anew."""
    for i in range(len(part)):
        total[i] += part[i]
        part[i] = 0


@numba.njit(inline="always")
def between(i: int, n: int) -> tuple[int, int, Any]:
    """Which two of `n` samples the `i`-th of 2n lies between, and how far along."""
    place = i * (n - 1) / (2 * n - 1)
    low = min(int(place), n - 1)
    return low, min(low + 1, n - 1), np.float32(place - low)
