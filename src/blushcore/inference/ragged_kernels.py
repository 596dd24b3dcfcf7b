"""Loops over one image's own slices, on the CPU: gathering, weighing, summing without copies in between."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
_FAST = {"contract", "nsz", "arcp", "reassoc"}
"""What may be done to sums for speed: not to infinities, which stand for what does not count."""


@numba.njit(parallel=True, cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def half_power(slices: Array, image_of_row: Array, powers: Array, halves: Array) -> None:
    """Set halves[r] = ½ Σ powers[image] · |slice|² of slices ``(R, 2P)``, real parts first."""
    count = powers.shape[1]
    for r in numba.prange(len(slices)):
        b = image_of_row[r]
        total = np.float32(0)
        for p in range(count):
            re, im = slices[r, p], slices[r, count + p]
            total += powers[b, p] * (re * re + im * im)
        halves[r] = np.float32(0.5) * total


@numba.njit(parallel=True, cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def gather_with_power(
    slices: Array,
    rows: Array,
    image_of_row: Array,
    powers: Array,
    gathered: Array,
    halves: Array,
) -> None:
    """Copy the rows of `slices` ``(U, 2P)`` (real parts first).

    Sets halves[r] = ½ Σ powers[image] · |slice|².
    """
    count = powers.shape[1]
    for r in numba.prange(len(rows)):
        row, b = rows[r], image_of_row[r]
        total = np.float32(0)
        for p in range(count):
            re, im = slices[row, p], slices[row, count + p]
            gathered[r, p] = re
            gathered[r, count + p] = im
            total += powers[b, p] * (re * re + im * im)
        halves[r] = np.float32(0.5) * total


@numba.njit(parallel=True, cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def add_posterior_sums(
    slices: Array,
    rows: Array,
    image_of_row: Array,
    moved: Array,
    weights: Array,
    masked: Array,
    unmasked: Array,
    ctf: Array,
    inverse_noise: Array,
    data: Array,
    weight: Array,
    cross: Array,
    power: Array,
    parts: int,
) -> None:
    """Add the shares of images to the sums over their slices.

    slices: (K, P) complex64; rows (R,): which of them; image_of_row (R,): the image of each; moved (R, P):
    posterior-weighted sum of the phase ramps of the offsets; weights (R,): sum of the posterior over them.
    data (K, P), weight (K, P): for the reconstruction; cross, power (B, P): of the residuals.

    Threads share the components, so that no two write to one place and the order of the sums is fixed.
    """
    count = ctf.shape[1]
    for part in numba.prange(parts):
        first, last = part * count // parts, (part + 1) * count // parts
        for r in range(len(rows)):
            row, b, w = rows[r], image_of_row[r], weights[r]
            for p in range(first, last):
                transfer = ctf[b, p]
                factor = transfer * inverse_noise[p]
                ramp = moved[r, p]
                s = slices[row, p]
                x = ramp * masked[b, p]
                data[row, p] += ramp * unmasked[b, p] * factor
                weight[row, p] += w * transfer * factor
                cross[b, p] += (x.real * s.real + x.imag * s.imag) * transfer
                power[b, p] += w * (s.real * s.real + s.imag * s.imag) * transfer * transfer
