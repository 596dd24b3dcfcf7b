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


@numba.njit(parallel=True, cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def dense_thresholds(
    real: Array,
    imaginary: Array,
    halves: Array,
    log_column: Array,
    log_offset: Array,
    fraction: float,
    correlate: bool,
    threshold: Array,
) -> None:
    """Set, for each image, the log-weight from which on poses count.

    The log-weight of an offset t and a slice h is ``real + imaginary − halves + priors``; with ``− imaginary``
    it is that of the slice turned by 180° in its plane.

    real, imaginary: float32 (B, T, H); halves (B, H), half the slices' power; log_column (H,);
    log_offset (B, T).
    With `correlate` it is ``(real ± imaginary) / √(2 halves)``, and only the best counts.
    """
    images, offsets, columns = real.shape
    for b in numba.prange(images):
        high = np.float32(-np.inf)
        if correlate:
            for t in range(offsets):
                for h in range(columns):
                    scale = np.float32(1) / math.sqrt(np.float32(2) * halves[b, h] + np.float32(1e-30))
                    high = max(high, scale * (real[b, t, h] + abs(imaginary[b, t, h])))
            threshold[b] = high - abs(high) * np.float32(1e-6)  # rounding may differ between the passes
            continue
        for t in range(offsets):
            high_here = np.float32(-np.inf)
            for h in range(columns):
                value = real[b, t, h] + abs(imaginary[b, t, h]) - halves[b, h] + log_column[h]
                high_here = max(high_here, value)
            high = max(high, high_here + log_offset[b, t])
        sums = np.zeros(BINS + 1)
        for t in range(offsets):
            plus = log_offset[b, t] - high
            if not plus > -np.inf:
                continue
            for h in range(columns):
                common = real[b, t, h] - halves[b, h] + log_column[h] + plus
                part = imaginary[b, t, h]
                if common + abs(part) > -REACH:
                    for value in (common + part, common - part):
                        if value > -REACH:
                            sums[max(0, int(-value * _PER_BIN))] += math.exp(value)
        threshold[b] = high + _cut(sums, fraction)


@numba.njit(parallel=True, cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def dense_marks(
    real: Array,
    imaginary: Array,
    halves: Array,
    log_column: Array,
    log_offset: Array,
    threshold: Array,
    correlate: bool,
    half: int,
    orientation_marks: Array,
    offset_marks: Array,
) -> None:
    """Mark the orientations ``(B, O)`` and offsets ``(B, T)`` that have a weight from the threshold on.

    `half` is half the number of in-plane angles: slice h is of orientation ``h // half · 2 half + h % half``.
    """
    images, offsets, columns = real.shape
    for b in numba.prange(images):
        for t in range(offsets):
            cut = threshold[b] - log_offset[b, t]
            for h in range(columns):
                if correlate:
                    scale = np.float32(1) / math.sqrt(np.float32(2) * halves[b, h] + np.float32(1e-30))
                    first = scale * (real[b, t, h] + imaginary[b, t, h])
                    second = scale * (real[b, t, h] - imaginary[b, t, h])
                    limit = threshold[b]
                else:
                    common = real[b, t, h] - halves[b, h] + log_column[h]
                    first = common + imaginary[b, t, h]
                    second = common - imaginary[b, t, h]
                    limit = cut
                if max(first, second) >= limit:
                    o = h // half * (2 * half) + h % half
                    offset_marks[b, t] = True
                    if first >= limit:
                        orientation_marks[b, o] = True
                    if second >= limit:
                        orientation_marks[b, o + half] = True


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
            for j in range(offset_start[b], offset_start[b + 1]):
                t = offset_list[j]
                if correlate:
                    scale = np.float32(1) / math.sqrt(np.float32(2) * halves[b, h] + np.float32(1e-30))
                    pairs[place] = scale * (real[b, t, h] + sign * imaginary[b, t, h]) >= threshold[b]
                else:
                    common = real[b, t, h] - halves[b, h] + log_column[h]
                    pairs[place] = common + sign * imaginary[b, t, h] >= threshold[b] - log_offset[b, t]
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
