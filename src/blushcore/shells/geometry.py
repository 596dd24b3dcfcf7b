"""Fourier shells of a cubic box: which component lies in which shell, and how many there are.

A shell is the rounded distance from the origin in units of 1/(n·a): s = round(|k|·n·a), half away from zero
(RELION's convention; interpolated shells differ from it by up to 0.03 in FSC). Since |k|² is an integer in
these units and (s + ½)² never is, no component of a cubic box ever lies halfway.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Floats: TypeAlias = NDArray[np.float64]
Counting: TypeAlias = Literal["sphere", "half"]
"""What the sums over a shell run over.

``"sphere"``: every component of the full transform once; what the formulas mean.
``"half"``: every component that a half transform (x ≥ 0) stores once, which counts the plane x = 0 twice
relative to the rest. It is what ``relion_postprocess`` 3.1 does, to five decimals: the choice when numbers are
held against its own. The two differ by less than the FSC's own statistical error.
"""

SHELL_BOXES_KEPT = 4


def shell_count(n: int) -> int:
    """Return the number of shells a curve of box size `n` has: 0 to ``n // 2``, the origin included."""
    return n // 2 + 1


def shell_indices(n: int, *, device: torch.device | str = "cpu") -> Tensor:
    """Return the shell of every component of a half transform.

    Parameters
    ----------
    n
        Box size in voxels, even or odd.
    device
        Where the indices shall be.

    Returns
    -------
    int16 Tensor ``(n, n, n // 2 + 1)`` in the layout of ``torch.fft.rfftn``. Components in the corners of
    the box have shells above ``n // 2``.
    """
    octant = shell_octant(n, torch.device(device))
    mirror = mirrored(n, octant.device)
    return octant.index_select(0, mirror).index_select(1, mirror)


def shell_counts(n: int, counting: Counting = "sphere") -> Floats:
    """Return how many Fourier components lie in each shell, float64 ``(n // 2 + 1,)``."""
    octant = shell_octant(n, torch.device("cpu"))
    along = torch.bincount(mirrored(n, octant.device)).double()  # how often ±k occurs along a full axis
    weights = along[:, None, None] * along[None, :, None] * half_axis_weights(n, counting)
    counts = torch.bincount(octant.flatten(), weights=weights.flatten())
    return counts[: shell_count(n)].numpy()


def shell_frequencies(n: int, voxel_size: float) -> Floats:
    """Return the spatial frequency of each shell in 1/Å for a `voxel_size` in Å, ``(n // 2 + 1,)``."""
    return np.arange(shell_count(n)) / (n * voxel_size)


def shell_resolutions(n: int, voxel_size: float) -> Floats:
    """Return the resolution of each shell in Å, ``(n // 2 + 1,)``; infinite for shell 0."""
    with np.errstate(divide="ignore"):
        return n * voxel_size / np.arange(shell_count(n), dtype=np.float64)


def half_axis_weights(n: int, counting: Counting = "sphere") -> Tensor:
    """Return how often each x of a half transform counts in a sum, float64 ``(n // 2 + 1,)``.

    All but x = 0 and, in even boxes, x = n/2 stand for their Friedel mates too.
    """
    weights = torch.ones(n // 2 + 1, dtype=torch.float64)
    if counting == "sphere":
        weights[1 : (n + 1) // 2] = 2.0
    return weights


def mirrored(n: int, device: torch.device) -> Tensor:
    """Return |k| of each index of a full axis, int64 ``(n,)``: 0, 1, …, 2, 1."""
    k = torch.arange(n, device=device)
    return torch.minimum(k, n - k)


@lru_cache(maxsize=SHELL_BOXES_KEPT)
def shell_octant(n: int, device: torch.device) -> Tensor:
    """Return the shells of the octant z, y, x ≥ 0, int16 ``(n//2+1,) * 3``: all that a box needs to keep.

    Kept for the last few boxes (4.3 MB for a box of 256, 34 MB for 512); not to be written to.
    """
    return torch.floor(radius_octant(n) + 0.5).to(torch.int16).to(device)


def radius_octant(n: int) -> Tensor:
    """Return |k| in shell units over the octant z, y, x ≥ 0, float64 ``(n//2+1,) * 3`` on the CPU."""
    squared = torch.arange(n // 2 + 1, dtype=torch.float64) ** 2
    return torch.sqrt(squared[:, None, None] + squared[None, :, None] + squared)
