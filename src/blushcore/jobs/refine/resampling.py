"""A reference of another pixel size or box, brought onto the particles' grid."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


def on_other_grid(
    data: NDArray[np.float32], voxel_size: float, box: int, new_voxel_size: float
) -> NDArray[np.float32]:
    """Return a cubic map on another grid about the same centre, voxel ``n // 2``.

    Cubic splines, after a Gaussian that takes away what the new grid cannot hold; the scale of the values is
    kept. Made for references, which are low-passed to far less than either grid could hold.

    Parameters
    ----------
    data
        ``[z, y, x]``.
    voxel_size, new_voxel_size
        Å.
    box
        Voxels along each side of the result; what lies outside of the map is 0.
    """
    ratio = new_voxel_size / voxel_size
    values = data.astype(np.float64)
    if ratio > 1:
        values = ndimage.gaussian_filter(values, 0.5 * ratio, mode="constant")
    centre = len(data) // 2 - ratio * (box // 2)
    moved = ndimage.affine_transform(
        values, np.full(3, ratio), offset=centre, output_shape=(box,) * 3, order=3, mode="constant"
    )
    return moved.astype(np.float32)
