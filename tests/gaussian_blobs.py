"""A map whose pieces lie where they are told to."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def blobs(places: NDArray[np.floating], n: int) -> NDArray[np.float32]:
    """Return Gaussians about points (x, y, z) in voxels off the centre, each as strong as its number."""
    axis = np.arange(n) - n // 2
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    total = np.zeros((n,) * 3)
    for strength, (px, py, pz) in enumerate(places, 1):
        total += strength * np.exp(-((x - px) ** 2 + (y - py) ** 2 + (z - pz) ** 2) / 3)
    return total.astype(np.float32)
