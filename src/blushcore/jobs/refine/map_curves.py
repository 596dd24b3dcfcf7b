"""What is known of a map in each shell, and the grid that it lies on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class MapCurves:
    """What is known of a map in each shell, float64 ``(box // 2 + 1,)`` each.

    Attributes
    ----------
    fsc
        Of the two halves.
    ssnr
        Signal-to-noise ratio of the map.
    tau2, sigma2
        Power of the signal and variance of the noise in the reconstruction.
    coverage
        Share of the shell's components that have data.
    """

    fsc: NDArray[np.float64]
    ssnr: NDArray[np.float64]
    tau2: NDArray[np.float64]
    sigma2: NDArray[np.float64]
    coverage: NDArray[np.float64]


@dataclass(frozen=True)
class Grid:
    """The map's grid: box in pixels, voxel size in Å, and the image size in use."""

    box: int
    voxel_size: float
    current_size: int


def overall_coverage(coverage: NDArray[np.float64], current_size: int) -> float:
    """Mean coverage over the components up to the current size."""
    shells = np.arange(1, current_size // 2 + 1)
    return float(np.average(coverage[shells], weights=shells**2))
