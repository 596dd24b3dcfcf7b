"""Images compared with slices, pose by pose, on the CPU: only poses that are asked for.

Where images are not sure of their poses, a quarter of an image's orientations × offsets may be all that counts:
a matrix product would compute the whole table. These loops do 16 inner products at a time, as a matrix product
does within its smallest tiles, and pass over tiles in which nothing is asked for.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
_FAST = {"contract", "nsz", "arcp", "reassoc"}
"""What may be done to sums for speed: not to infinities, which stand for what does not count."""

CHUNK_ROWS = 128
"""Slices that share an image's moved copies: making these must cost little beside comparing."""
_BLOCK = 1024
"""Components compared at one time: the moved copies of an image, so far, stay in the processor's cache."""

FIRST, LAST, IMAGE, FIRST_OFFSET, LAST_OFFSET, FIRST_VALUE, OWN_ROW, FIRST_MARK = range(8)
"""Columns of `chunks` in `compare_rows`."""


@numba.njit(parallel=True, cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def half_power(slices: Array, rows: Array, image_of_row: Array, powers: Array, halves: Array) -> None:
    """Set halves[r] = ½ Σ powers[image] · |slice|² of rows of slices ``(U, 2P)``, real parts first."""
    count = powers.shape[1]
    for r in numba.prange(len(rows)):
        row, b = rows[r], image_of_row[r]
        total = np.float32(0)
        for p in range(count):
            re, im = slices[row, p], slices[row, count + p]
            total += powers[b, p] * (re * re + im * im)
        halves[r] = np.float32(0.5) * total


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST, inline="always")
def _product(a: Array, b: Array, count: int) -> np.float32:
    total = np.float32(0)
    for k in range(count):
        total += a[k] * b[k]
    return total


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def _multiply(a_re: Array, a_im: Array, b_re: Array, b_im: Array, re: Array, im: Array) -> None:
    """Set re + i im to the product of two complex arrays; a loop that writes to one place is vectorised."""
    for p in range(len(re)):
        re[p] = a_re[p] * b_re[p] - a_im[p] * b_im[p]
    for p in range(len(im)):
        im[p] = a_re[p] * b_im[p] + a_im[p] * b_re[p]


@numba.njit(parallel=True, cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def compare_rows(
    slices: Array,
    rows: Array,
    halves: Array,
    chunks: Array,
    offsets: Array,
    marks: Array,
    ramps: Array,
    images: Array,
    correlate: bool,
    values: Array,
) -> None:
    """Set the values of rows of slices at the offsets of their images.

    A value is Re⟨slice, moved image⟩ − halves, or Re⟨slice, moved image⟩ / √(2 halves) with `correlate`.

    Parameters
    ----------
    slices
        float32 ``(U, 2P)``, real parts first.
    rows
        Which of them, int64 ``(R,)``.
    halves
        Half the power of each row as its image sees it, float32 ``(R,)``.
    chunks
        int64 ``(C, 8)``: rows `FIRST` to `LAST`, all of one `IMAGE`; the offsets of the image, a range of
        `offsets`; where the first row's values begin; the number of the first row among the image's own; where
        the image's `marks` begin.
    offsets
        Indices into `ramps`, int64.
    marks
        Of each image, its tables (rows / 8 × offsets / 4): whether anything is asked for there; empty if
        everything is. Values where nothing is have no meaning.
    ramps, images
        Phase ramps ``(T, 2P)`` and images ``(B, 2P)``, float32, real parts first.
    values
        Set; flat, a row's values at all offsets of its image one after the other.
    """
    count = slices.shape[1] // 2
    zero = np.float32(0)
    for c in numba.prange(len(chunks)):
        first, last, b = chunks[c, FIRST], chunks[c, LAST], chunks[c, IMAGE]
        first_offset = chunks[c, FIRST_OFFSET]
        width = chunks[c, LAST_OFFSET] - first_offset
        moved = np.empty((width, 2 * min(count, _BLOCK)), np.float32)
        for begin in range(0, count, _BLOCK):
            end = min(begin + _BLOCK, count)
            n = end - begin
            image = images[b]
            for j in range(width):
                ramp = ramps[offsets[first_offset + j]]
                _multiply(
                    ramp[begin:end],
                    ramp[count + begin : count + end],
                    image[begin:end],
                    image[count + begin : count + end],
                    moved[j, :n],
                    moved[j, n : 2 * n],
                )
            some = np.empty((4, 2 * n), np.float32)
            r = first
            while r < last:
                own = chunks[c, OWN_ROW] + r - first
                high = 4 if own % 4 == 0 and r + 4 <= last else 1
                for i in range(high):
                    slice_ = slices[rows[r + i]]
                    some[i, :n] = slice_[begin:end]
                    some[i, n:] = slice_[count + begin : count + end]
                place = chunks[c, FIRST_VALUE] + (r - first) * width
                j = 0
                while j < width:
                    wide = 4 if j + 4 <= width else 1
                    if len(marks) > 0 and not marks[chunks[c, FIRST_MARK] + own // 8 * (width // 4) + j // 4]:
                        j += wide
                        continue
                    if high == 4 and wide == 4:
                        a0, a1, a2, a3 = some[0], some[1], some[2], some[3]
                        b0, b1, b2, b3 = moved[j], moved[j + 1], moved[j + 2], moved[j + 3]
                        s00, s01, s02, s03 = zero, zero, zero, zero
                        s10, s11, s12, s13 = zero, zero, zero, zero
                        s20, s21, s22, s23 = zero, zero, zero, zero
                        s30, s31, s32, s33 = zero, zero, zero, zero
                        for k in range(2 * n):
                            x0, x1, x2, x3 = a0[k], a1[k], a2[k], a3[k]
                            y0, y1, y2, y3 = b0[k], b1[k], b2[k], b3[k]
                            s00 += x0 * y0
                            s01 += x0 * y1
                            s02 += x0 * y2
                            s03 += x0 * y3
                            s10 += x1 * y0
                            s11 += x1 * y1
                            s12 += x1 * y2
                            s13 += x1 * y3
                            s20 += x2 * y0
                            s21 += x2 * y1
                            s22 += x2 * y2
                            s23 += x2 * y3
                            s30 += x3 * y0
                            s31 += x3 * y1
                            s32 += x3 * y2
                            s33 += x3 * y3
                        sums = (s00, s01, s02, s03, s10, s11, s12, s13, s20, s21, s22, s23, s30, s31, s32, s33)
                        for i in range(4):
                            for d in range(4):
                                at = place + i * width + j + d
                                values[at] = sums[4 * i + d] + (zero if begin == 0 else values[at])
                    else:
                        for i in range(high):
                            for d in range(wide):
                                at = place + i * width + j + d
                                total = _product(some[i], moved[j + d], 2 * n)
                                values[at] = total + (zero if begin == 0 else values[at])
                    if end == count:
                        for i in range(high):
                            half = halves[r + i]
                            for at in range(place + i * width + j, place + i * width + j + wide):
                                if correlate:
                                    values[at] /= np.sqrt(np.float32(2) * half + np.float32(1e-30))
                                else:
                                    values[at] -= half
                    j += wide
                r += high
