"""Loops over one image's own slices, on the CPU: weighing and summing without copies in between."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
_FAST = {"contract", "nsz", "arcp", "reassoc"}
"""What may be done to sums for speed: not to infinities, which stand for what does not count."""


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


@numba.njit(parallel=True, cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def add_moved(
    slices: Array,
    rows: Array,
    moved: Array,
    unmasked: Array,
    masked: Array,
    data: Array,
    cross: Array,
) -> None:
    """Add one image, moved by all its offsets at once, to the sums of its slices.

    slices (K, 2P), real parts first; rows (R,): which of them, each once; moved (R, 2P): posterior-weighted
    sums of the phase ramps; unmasked, masked (2P,): the image as reconstructed from and as compared.
    data (K, 2P): the moved image is added to it; cross (C, P): in C parts, Re(moved image · conj(slice)) is.

    Each inner loop writes to one place and reads few: only then is it vectorised.
    """
    count = len(unmasked) // 2
    parts = len(cross)
    for part in numba.prange(parts):
        for r in range(part * len(rows) // parts, (part + 1) * len(rows) // parts):
            row = rows[r]
            for p in range(count):
                data[row, p] += moved[r, p] * unmasked[p] - moved[r, count + p] * unmasked[count + p]
            for p in range(count):
                data[row, count + p] += moved[r, p] * unmasked[count + p] + moved[r, count + p] * unmasked[p]
            for p in range(count):
                real = moved[r, p] * masked[p] - moved[r, count + p] * masked[count + p]
                imaginary = moved[r, p] * masked[count + p] + moved[r, count + p] * masked[p]
                cross[part, p] += real * slices[row, p] + imaginary * slices[row, count + p]
