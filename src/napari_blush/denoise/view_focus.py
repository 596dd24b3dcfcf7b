"""Which slice of a map somebody looks at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from blushcore.interactive.messages import SliceInView

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

_CENTRE_STEP_VOXELS = 8.0
"""Panning by less changes nothing in what is computed first."""


def slice_in_view(viewer: ViewerModel, layer: Image) -> SliceInView | None:
    """Return the slice of a map's layer that the viewer shows, and where the canvas is centred in it.

    None in 3D, where the slice lies outside the map, and where the viewer slices across none of the map's axes.
    """
    dims = viewer.dims
    if dims.ndisplay != 2:
        return None
    offset = dims.ndim - 3
    displayed = [axis - offset for axis in dims.displayed]
    if min(displayed) < 0:
        return None
    [axis] = [axis for axis in range(3) if axis not in displayed]
    place = np.array(dims.point[-3:], dtype=np.float64)
    place[displayed] = viewer.scene.camera.center[-2:]
    at = np.asarray(layer.world_to_data(place), dtype=np.float64)
    index = round(float(at[axis]))
    if not 0 <= index < layer.data.shape[axis]:
        return None
    first, second = (
        float(
            np.clip(
                _CENTRE_STEP_VOXELS * round(at[other] / _CENTRE_STEP_VOXELS), 0, layer.data.shape[other] - 1
            )
        )
        for other in sorted(displayed)
    )
    return SliceInView.model_validate({"axis": axis, "index": index, "centre": (first, second)})
