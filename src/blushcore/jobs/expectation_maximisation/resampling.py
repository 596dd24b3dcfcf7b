"""A reference of another pixel size or box, brought onto the particles' grid."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from blushcore.volumes import lowpass


def on_other_grid(
    data: NDArray[np.float32], voxel_size: float, box: int, new_voxel_size: float
) -> NDArray[np.float32]:
    """Return a cubic map on another grid about the same centre, voxel ``n // 2``.

    Cubic splines, after a low-pass where the new grid cannot hold all; the scale of the values is kept. For
    references, which are low-passed to far less than either grid could hold.

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
    values = data
    if ratio > 1:
        values = lowpass(torch.from_numpy(data), 2 * new_voxel_size, voxel_size).numpy()
    centre = len(data) // 2 - ratio * (box // 2)
    moved = ndimage.affine_transform(
        values.astype(np.float64),
        np.full(3, ratio),
        offset=centre,
        output_shape=(box,) * 3,
        order=3,
        mode="constant",
    )
    return moved.astype(np.float32)
