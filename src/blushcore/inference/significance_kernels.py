"""Which poses count, on the CPU: thresholds on millions of weights without sorting them."""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
_FAST = {"contract", "nsz", "arcp", "reassoc"}
"""What may be done to sums for speed: not to infinities, which stand for what does not count."""

REACH = 28.0
"""Log-weights this far below an image's best are nothing: millions of them sum to less than 1e-6 of it."""
BINS = 4096
_PER_BIN = BINS / REACH
_BLOCK = 256
"""Neighbouring slices whose highest weight is kept: what is far below the best is passed over by blocks."""
_ROUNDING = np.float32(1e-6)
"""Of a log-weight, relative: it may be computed in another order from one place to the next."""


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def _highest(real: Array, imaginary: Array, of_column: Array, correlate: bool, values: Array) -> np.float32:
    """Return the highest log-weight of a block of slices; `values`, float32 ``(_BLOCK,)``, is overwritten.

    A running maximum would be computed value by value; maxima of halves are vectorised.
    """
    count = len(real)
    if correlate:
        for h in range(count):
            values[h] = of_column[h] * (real[h] + abs(imaginary[h]))
    else:
        for h in range(count):
            values[h] = of_column[h] + (real[h] + abs(imaginary[h]))
    values[count:] = -np.inf
    width = _BLOCK // 2
    while width >= 8:
        for h in range(width):
            one, other = values[h], values[h + width]
            values[h] = one if one > other else other
        width //= 2
    high: np.float32 = values[0]
    for h in range(1, 8):
        high = max(high, values[h])
    return high


@numba.njit(parallel=True, cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def dense_marks(
    real: Array,
    imaginary: Array,
    halves: Array,
    log_column: Array,
    log_offset: Array,
    fraction: float,
    correlate: bool,
    half: int,
    threshold: Array,
    orientation_marks: Array,
    offset_marks: Array,
) -> None:
    """Find, for each image, the log-weight from which on poses count, and mark what has such a weight.

    The log-weight of an offset t and a slice h is ``real + imaginary − halves + priors``; with ``− imaginary``
    it is that of the slice turned by 180° in its plane. With `correlate` it is ``(real ± imaginary) /
    √(2 halves)``, and only the best counts. An image is read from memory once: what follows on that looks only
    at blocks of slices that hold something of weight.

    Parameters
    ----------
    real, imaginary
        float32 ``(B, T, H)``.
    halves
        Half the slices' power, ``(B, H)``.
    log_column, log_offset
        Priors, ``(H,)`` and ``(B, T)``.
    half
        Half the number of in-plane angles: slice h is of orientation ``h // half · 2 half + h % half``.
    threshold
        Set: ``(B,)``.
    orientation_marks, offset_marks
        Set where something counts: bool ``(B, O)`` and ``(B, T)``.
    """
    images, offsets, columns = real.shape
    blocks = (columns + _BLOCK - 1) // _BLOCK
    for b in numba.prange(images):
        of_column = np.empty(columns, np.float32)
        for h in range(columns):
            of_column[h] = _of_column(halves[b, h], log_column[h], correlate)
        values = np.empty(_BLOCK, np.float32)
        highest = np.empty((offsets, blocks), np.float32)
        high = np.float32(-np.inf)
        for t in range(offsets):
            plus = np.float32(0) if correlate else log_offset[b, t]
            for i in range(blocks):
                some = slice(i * _BLOCK, min((i + 1) * _BLOCK, columns))
                highest[t, i] = plus + _highest(
                    real[b, t, some], imaginary[b, t, some], of_column[some], correlate, values
                )
                high = max(high, highest[t, i])
        below = np.float32(0)
        if not correlate:
            sums = np.zeros(BINS + 1)
            for t in range(offsets):
                plus = log_offset[b, t] - high
                for i in range(blocks):
                    if not highest[t, i] - high > -REACH:
                        continue
                    for h in range(i * _BLOCK, min((i + 1) * _BLOCK, columns)):
                        common = of_column[h] + real[b, t, h] + plus
                        part = imaginary[b, t, h]
                        if common + abs(part) > -REACH:
                            for value in (common + part, common - part):
                                if value > -REACH:
                                    sums[max(0, int(-value * _PER_BIN))] += math.exp(value)
            below = np.float32(_cut(sums, fraction))
        cut = high + below - abs(high) * _ROUNDING
        threshold[b] = cut
        for t in range(offsets):
            limit = cut if correlate else cut - log_offset[b, t]
            for i in range(blocks):
                if highest[t, i] < cut - abs(high) * _ROUNDING:
                    continue
                for h in range(i * _BLOCK, min((i + 1) * _BLOCK, columns)):
                    first = _weight(real[b, t, h], imaginary[b, t, h], of_column[h], correlate)
                    second = _weight(real[b, t, h], -imaginary[b, t, h], of_column[h], correlate)
                    if max(first, second) >= limit:
                        o = h // half * (2 * half) + h % half
                        offset_marks[b, t] = True
                        if first >= limit:
                            orientation_marks[b, o] = True
                        if second >= limit:
                            orientation_marks[b, o + half] = True


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def _of_column(half_power: np.float32, log_prior: np.float32, correlate: bool) -> np.float32:
    """Return what belongs to a slice, whatever the offset: a factor with `correlate`, else a summand."""
    if correlate:
        return np.float32(1) / math.sqrt(np.float32(2) * half_power + np.float32(1e-30))
    return log_prior - half_power


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def _weight(real: np.float32, imaginary: np.float32, of_column: np.float32, correlate: bool) -> np.float32:
    """Return the log-weight of a slice but for the offset's prior, or its correlation."""
    both = real + imaginary
    return of_column * both if correlate else of_column + both


@numba.njit(parallel=True, cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def dense_pairs(
    real: Array,
    imaginary: Array,
    halves: Array,
    log_column: Array,
    log_offset: Array,
    threshold: Array,
    correlate: bool,
    half: int,
    orientations: Array,
    orientation_start: Array,
    offset_list: Array,
    offset_start: Array,
    pair_start: Array,
    pairs: Array,
) -> None:
    """Fill, for each image, the table (own orientations × own offsets) of the pairs that count."""
    for b in numba.prange(len(orientation_start) - 1):
        place = pair_start[b]
        for i in range(orientation_start[b], orientation_start[b + 1]):
            o = orientations[i]
            psi = o % (2 * half)
            h = o // (2 * half) * half + psi % half
            sign = np.float32(1) if psi < half else np.float32(-1)
            of_column = _of_column(halves[b, h], log_column[h], correlate)
            for j in range(offset_start[b], offset_start[b + 1]):
                t = offset_list[j]
                limit = threshold[b] if correlate else threshold[b] - log_offset[b, t]
                pairs[place] = _weight(real[b, t, h], sign * imaginary[b, t, h], of_column, correlate) >= limit
                place += 1


@numba.njit(parallel=True, cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def ragged_significant(
    values: Array,
    start: Array,
    fraction: float,
    only_best: bool,
    significant: Array,
) -> None:
    """Mark what counts in the flat log-weights `values` of each image, ``start[b]`` to ``start[b + 1]``."""
    for b in numba.prange(len(start) - 1):
        high = np.float32(-np.inf)
        for i in range(start[b], start[b + 1]):
            high = max(high, values[i])
        if not high > -np.inf:
            continue
        cut = np.float32(0)
        if not only_best:
            sums = np.zeros(BINS + 1)
            for i in range(start[b], start[b + 1]):
                value = values[i] - high
                if value > -REACH:
                    sums[max(0, int(-value * _PER_BIN))] += math.exp(value)
            cut = np.float32(_cut(sums, fraction))
        for i in range(start[b], start[b + 1]):
            significant[i] = values[i] - high >= cut


@numba.njit(parallel=True, cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def normalise(
    values: Array,
    start: Array,
    fraction: float,
    only_best: bool,
    best: Array,
    p_max: Array,
    log_sum: Array,
    kept: Array,
) -> None:
    """Turn the flat log-weights of each image into weights that sum to 1, those that do not count into 0.

    Sets for each image the index of the best one, its weight, the log of the sum before normalisation, and the
    sum of the weights that are left.
    """
    for b in numba.prange(len(start) - 1):
        high = np.float32(-np.inf)
        best[b] = start[b]
        for i in range(start[b], start[b + 1]):
            if values[i] > high:
                high = values[i]
                best[b] = i
        if not high > -np.inf:
            for i in range(start[b], start[b + 1]):
                values[i] = 0
            p_max[b], log_sum[b], kept[b] = 0.0, -np.inf, 0.0
            continue
        if only_best:
            for i in range(start[b], start[b + 1]):
                values[i] = 1 if i == best[b] else 0
            p_max[b], log_sum[b], kept[b] = 1.0, high, 1.0
            continue
        sums = np.zeros(BINS + 1)
        total = 0.0
        for i in range(start[b], start[b + 1]):
            value = values[i] - high
            if value > -REACH:
                weight = math.exp(value)
                total += weight
                sums[max(0, int(-value * _PER_BIN))] += weight
        cut = np.float32(_cut(sums, fraction))
        left = 0.0
        for i in range(start[b], start[b + 1]):
            value = values[i] - high
            if value >= cut:
                weight = math.exp(value) / total
                values[i] = weight
                left += weight
            else:
                values[i] = 0
        p_max[b], log_sum[b], kept[b] = 1.0 / total, high + math.log(total), left


@numba.njit(cache=True, nogil=True)
def _cut(
    sums: Array,
    fraction: float,
) -> float:
    """Return the log-weight, relative to the best, from which on the weights make up `fraction` of all."""
    goal = fraction * sums.sum()
    reached = 0.0
    for i in range(BINS + 1):
        reached += sums[i]
        if reached >= goal:
            return -(i + 1) / _PER_BIN
    return -REACH


@numba.njit(parallel=True, cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def add_priors(
    values: Array,
    start: Array,
    pairs: Array,
    pair_start: Array,
    log_orientation: Array,
    orientation_start: Array,
    offsets: Array,
    offset_start: Array,
    log_offset: Array,
    none: bool,
) -> None:
    """Add the log-priors to the fine log-likelihoods; −∞ to children of pairs that do not count.

    values: flat, each image's table (8 children × orientations, 4 children × offsets) from ``start[b]`` on;
    pairs: flat bool, the same of the parents; log_offset (B, 4T), by child offset. With `none` no prior is
    added.
    """
    for b in numba.prange(len(start) - 1):
        own_offsets = offset_start[b + 1] - offset_start[b]
        for i in range(orientation_start[b + 1] - orientation_start[b]):
            plus = np.float32(0) if none else log_orientation[orientation_start[b] + i]
            for c in range(8):
                place = start[b] + (8 * i + c) * 4 * own_offsets
                for j in range(own_offsets):
                    counts = pairs[pair_start[b] + i * own_offsets + j]
                    child = 4 * offsets[offset_start[b] + j]
                    for d in range(4):
                        if not counts:
                            values[place] = -np.inf
                        elif not none:
                            values[place] += plus + log_offset[b, child + d]
                        place += 1


@numba.njit(parallel=True, cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def table_sums(
    values: Array,
    start: Array,
    orientation_start: Array,
    offset_start: Array,
    of_orientations: Array,
    of_offsets: Array,
) -> None:
    """Sum each image's table (orientations × offsets, from ``start[b]`` on) along either side."""
    for b in numba.prange(len(start) - 1):
        first, last = offset_start[b], offset_start[b + 1]
        of_offsets[first:last] = 0
        place = start[b]
        for o in range(orientation_start[b], orientation_start[b + 1]):
            total = 0.0
            for t in range(first, last):
                value = values[place]
                if value > 0:
                    total += value
                    of_offsets[t] += value
                place += 1
            of_orientations[o] = total
