"""A first guess of the threshold that tells a particle from the solvent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from blushcore.protocol import BlushError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BINS = 512
_LEAST_SEPARATION = 4.5
"""Solvent standard deviations between the two means. On 44 maps simulated from models at falling signal,
guesses that had found the particle had 5.7 or more, those lost in the noise 3.6 or less."""


def suggest_threshold(volume: NDArray[np.float32]) -> float:
    """Guess a mask's threshold for a map low-passed to about 15 Å.

    Otsu's threshold (Otsu 1979, IEEE Trans. SMC 9:62): the one that best splits the values inside the sphere
    that fits the box into two groups, particle and solvent. On maps simulated from models what lies above it
    encloses 92 to 96 % of the atoms in 1.2 to 1.35 times the volume of the protein: extend the mask by some 3
    to 6 Å. It is a start to look at, not a decision: weak parts, micelles and unmasked neighbours move it.

    Parameters
    ----------
    volume
        ``[z, y, x]``, low-passed.

    Raises
    ------
    BlushError
        If the values do not fall into two groups, or are no finite numbers.
    """
    offsets = [(np.arange(n, dtype=np.float32) - n // 2) ** 2 for n in volume.shape]
    squared = offsets[0][:, None, None] + offsets[1][:, None] + offsets[2]
    values = volume[squared <= (min(volume.shape) / 2) ** 2]
    remedy = "Choose the threshold by eye, on the command line with --threshold."
    if not np.isfinite(values.min()) or not np.isfinite(values.max()):
        raise BlushError("No threshold can be suggested for a map that holds no finite numbers.", remedy)
    if values.min() == values.max():
        raise BlushError("No threshold can be suggested for a constant map.", remedy)
    threshold = _otsu(values)
    solvent, particle = values[values < threshold], values[values >= threshold]
    spread = float(solvent.std(dtype=np.float64))
    if float(particle.mean()) - float(solvent.mean()) < _LEAST_SEPARATION * spread:
        raise BlushError("No threshold can be suggested: particle and solvent do not stand apart.", remedy)
    return threshold


def _otsu(values: NDArray[np.float32]) -> float:
    lowest = values.min()  # taken off: bins on a large offset would be finer than float32 is there
    counts, edges = np.histogram(values - lowest, _BINS)
    centres = (edges[1:] + edges[:-1]) / 2
    below = np.cumsum(counts)[:-1].astype(np.float64)
    sum_below = np.cumsum(counts * centres)[:-1]
    size, total = float(values.size), float((counts * centres).sum())
    # σ²_between up to a constant factor; both groups hold something: the outermost bins are never empty
    between = (total * below - sum_below * size) ** 2 / (below * (size - below))
    return float(lowest) + float(edges[1:-1][np.argmax(between)])
