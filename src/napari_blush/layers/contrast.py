"""Contrast limits that show a map, from the spread of its values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BELOW, _ABOVE = 1.5, 3.0
"""σ below the middle, where black lies, and above it, where white lies at least: solvent is a dark grey."""

_SAMPLE = 1_000_000
_BRIGHTEST = 0.9995
"""Share of the values below white: particles in clean maps lie tens of σ above the solvent and have detail."""

_PROJECTION = 0.02, 0.998


def contrast_of_map(data: NDArray[np.floating]) -> tuple[float, float]:
    """Return contrast limits for a map ``[z, y, x]``.

    From 1.5 σ below the median to where one voxel in 2000 is brighter, at least 3 σ above the median; not
    counting exact zeros, of which masked maps are full, nor in σ that brightest part, and not beyond the values
    that occur. A mask (0 to 1) is shown from 0 to 1. About a million voxels are looked at, of maps that hold
    some NaN or infinity all others.
    """
    lowest, highest = float(data.min()), float(data.max())
    if not np.isfinite(lowest + highest):
        data = data[np.isfinite(data)]
        if not data.size:
            return (0.0, 1.0)
        lowest, highest = float(data.min()), float(data.max())
    if lowest == highest:
        return (lowest, lowest + 1.0)
    sample = data.reshape(-1)[:: max(1, data.size // _SAMPLE)]
    values = sample[sample != 0]
    if (lowest == 0 and highest == 1) or values.size < 2:
        return lowest, highest
    brightest = float(np.quantile(values, _BRIGHTEST))
    middle, sigma = float(np.median(values)), float(np.minimum(values, brightest).std(dtype=np.float64))
    black = max(lowest, middle - _BELOW * sigma)
    white = min(highest, max(brightest, middle + _ABOVE * sigma))
    return (black, white) if black < white else (lowest, highest)


def contrast_of_projection(data: NDArray[np.floating]) -> tuple[float, float]:
    """Return contrast limits for the maximum projection of a map ``[z, y, x]``, as napari draws it in 3D.

    From its darkest part to where one pixel in 500 is brighter. Limits that suit a slice leave the projection
    of a noisy map all white: the brightest of a hundred values is far above their spread. napari interpolates
    before it projects, which takes the peaks off noise: the means of four neighbours across the projection are
    looked at. Of a large map every n-th voxel is.
    """
    step = max(1, round((data.size / _SAMPLE) ** (1 / 3)))
    if min(data.shape[1:]) < 2:
        return contrast_of_map(data)
    planes = np.asarray(data[::step])
    neighbours = slice(0, -1, step), slice(1, None, step)
    [first, *others] = [planes[:, rows, columns] for rows in neighbours for columns in neighbours]
    sums = np.array(first, dtype=np.float32)
    for other in others:
        sums += other
    projection = sums.max(axis=0) / 4
    black, white = (float(limit) for limit in np.quantile(projection, _PROJECTION))
    return (black, white) if black < white else contrast_of_map(data)


@dataclass(frozen=True)
class MapContrast:
    """How a map is to be shown: contrast limits, and how far the sliders reach.

    To be found out in another thread where the map is large: all voxels are looked at.
    """

    limits: tuple[float, float]
    value_range: tuple[float, float]
    """Lowest and highest value."""

    @classmethod
    def of(cls, data: NDArray[np.floating]) -> MapContrast:
        """Look at a map ``[z, y, x]``."""
        return cls(contrast_of_map(data), (float(data.min()), float(data.max())))


def contrast_of_images(images: NDArray[np.floating]) -> tuple[float, float]:
    """Return contrast limits for particle images: 3 σ about the mean of the few that are given."""
    mean, sigma = float(images.mean(dtype=np.float64)), float(images.std(dtype=np.float64))
    return (mean - 3 * sigma, mean + 3 * sigma) if sigma > 0 else (mean - 1.0, mean + 1.0)
