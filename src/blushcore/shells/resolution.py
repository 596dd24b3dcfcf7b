"""The resolution at which a curve falls below a threshold."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

HALF_MAP_THRESHOLD = 0.143
"""For two halves of the data (Rosenthal & Henderson 2003)."""
MAP_MODEL_THRESHOLD = 0.5
"""For a map against a model or a perfect map."""


@dataclass(frozen=True, kw_only=True)
class Resolution:
    """Up to where two maps agree.

    Attributes
    ----------
    angstrom
        Resolution in Å of `shell`; infinite if there is no agreement even in shell 1.
    shell
        The last shell before the curve first falls below the threshold: RELION's figure. 0 if there is none.
    interpolated_angstrom
        Where the straight line between that shell and the next crosses the threshold, in Å: for display.
    threshold
        The threshold.
    reaches_nyquist
        Whether the curve never falls below it: then the voxel size limits the resolution, not the data.
    """

    angstrom: float
    shell: int
    interpolated_angstrom: float
    threshold: float
    reaches_nyquist: bool

    def __str__(self) -> str:
        if self.reaches_nyquist:
            return f"{self.angstrom:.2f} Å (Nyquist; the curve never falls below {self.threshold:g})"
        if self.shell == 0:
            return f"none (the curve is below {self.threshold:g} from the first shell on)"
        return f"{self.angstrom:.2f} Å (at {self.threshold:g})"


def resolution(curve: ArrayLike, box_size_angstrom: float, threshold: float = HALF_MAP_THRESHOLD) -> Resolution:
    """Find the resolution of an FSC curve.

    Parameters
    ----------
    curve
        One value a shell, from shell 0 to the last.
    box_size_angstrom
        Length of the box's side in Å: voxels times voxel size.
    threshold
        0.143 for two halves, 0.5 for a map against a model.

    Raises
    ------
    ValueError
        If the curve has fewer than two shells or holds NaN.
    """
    values = np.asarray(curve, dtype=np.float64)
    if values.ndim != 1 or len(values) < 2 or not np.isfinite(values).all():
        raise ValueError("the curve needs at least two shells and finite values")
    below = np.flatnonzero(values[1:] < threshold)
    shell = int(below[0]) if below.size else len(values) - 1
    crossing = float(shell)
    if below.size and shell > 0:
        crossing += float((values[shell] - threshold) / (values[shell] - values[shell + 1]))
    return Resolution(
        angstrom=box_size_angstrom / shell if shell else math.inf,
        shell=shell,
        interpolated_angstrom=box_size_angstrom / crossing if shell else math.inf,
        threshold=threshold,
        reaches_nyquist=not below.size,
    )
