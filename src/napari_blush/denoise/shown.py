"""An array on its way to a layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_blush.layers.contrast import MapContrast

_DIFFERENCE_SIGMAS = 3.0


@dataclass(frozen=True, eq=False)
class Shown:
    """An array and the contrast to show it with: all that takes long, done before the GUI gets it."""

    array: NDArray[np.float32]
    contrast: MapContrast

    @classmethod
    def of(cls, array: NDArray[np.float32]) -> Shown:
        """Look at a map or mask."""
        return cls(array, MapContrast.of(array))

    @classmethod
    def of_difference(cls, array: NDArray[np.float32]) -> Shown:
        """Look at a difference: no change is the middle."""
        sample = array.reshape(-1)[:: max(1, array.size // 1_000_000)]
        reach = _DIFFERENCE_SIGMAS * float(sample.std(dtype=np.float64)) or 1.0
        return cls(array, MapContrast((-reach, reach), (float(array.min()), float(array.max()))))
