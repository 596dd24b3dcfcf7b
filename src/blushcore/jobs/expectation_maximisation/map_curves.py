"""What is known of a map in each shell, and the grid that it lies on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

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


def overall_coverage(coverage: NDArray[np.float64], resolution_shell: int) -> float:
    """Return the mean coverage up to a map's resolution, as RELION's program has it in its STAR files.

    With s the resolution's shell, the mean runs over the components k of the unpadded grid whose coordinates
    are at most s − 1 and whose length, rounded *down*, is at most s; each has the coverage of that shell.
    (Found from the program's output: of ``rlnFourierCompleteness`` it gives
    ``rlnOverallFourierCompleteness`` to all six digits.)

    Parameters
    ----------
    coverage
        Of each shell, float64 ``(box // 2 + 1,)``.
    resolution_shell
        Shell of the map's resolution; 0 of a map that nothing is known of, whose coverage is 0.
    """
    if resolution_shell < 1:
        return 0.0
    counts = _components_within(min(resolution_shell, len(coverage) - 1))
    return float(coverage[: len(counts)] @ counts / counts.sum())


@lru_cache(maxsize=16)
def _components_within(shell: int) -> NDArray[np.float64]:
    """Return how many components the mean takes of each shell from 0 to `shell`."""
    line = np.arange(1 - shell, shell)
    plane = line[:, None] ** 2 + line**2
    counts = np.zeros(shell + 1)
    for k in line:
        length = np.sqrt(plane + k**2).astype(np.int64)
        counts += np.bincount(length[length <= shell], minlength=shell + 1)
    return counts
