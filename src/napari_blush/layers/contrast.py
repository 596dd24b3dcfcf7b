"""Contrast limits that show a map, from the spread of its values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BELOW, _ABOVE = 1.5, 6.0
"""σ below and above the middle: solvent a dark grey, protein white, as masks and thresholds are chosen."""

_SAMPLE = 1_000_000
_BRIGHTEST = 0.9999


def contrast_of_map(data: NDArray[np.floating]) -> tuple[float, float]:
    """Return contrast limits for a map ``[z, y, x]``.

    1.5 σ below the median to 6 σ above it, over the voxels that are not exactly zero (a masked map is mostly
    zeros), but not beyond the values that occur; a mask (0 to 1) is shown from 0 to 1. About a million voxels
    are looked at.
    """
    lowest, highest = float(data.min()), float(data.max())
    if lowest == highest:
        return (lowest, lowest + 1.0)
    sample = data.reshape(-1)[:: max(1, data.size // _SAMPLE)]
    values = sample[sample != 0]
    if (lowest == 0 and highest == 1) or values.size < 2:
        return lowest, highest
    middle, sigma = float(np.median(values)), float(values.std(dtype=np.float64))
    black = max(lowest, middle - _BELOW * sigma)
    white = min(float(np.quantile(values, _BRIGHTEST)), middle + _ABOVE * sigma)
    return (black, white) if black < white else (lowest, highest)


def contrast_of_images(images: NDArray[np.floating]) -> tuple[float, float]:
    """Return contrast limits for particle images: 3 σ about the mean of the few that are given."""
    mean, sigma = float(images.mean(dtype=np.float64)), float(images.std(dtype=np.float64))
    return (mean - 3 * sigma, mean + 3 * sigma) if sigma > 0 else (mean - 1.0, mean + 1.0)
