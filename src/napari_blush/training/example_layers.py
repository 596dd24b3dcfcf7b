"""A training's example slices as image layers side by side: what went in, what came out, what was wanted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from blushcore.jobs.train.example_files import PARTS
from napari_blush.layers.units import ANGSTROM

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

VOXEL_SIZE_ANGSTROM = 1.5
_GAP_PX = 4
_TITLES = {
    "input": "input",
    "output": "output",
    "target": "target",
    "mask": "mask",
    "mask_output": "mask found",
}
_MASKS = ("mask", "mask_output")


def mosaic(slices: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return slices ``(blocks, y, x)`` under one another with gaps of NaN, ``(rows, x)``."""
    gap = np.full((_GAP_PX, slices.shape[2]), np.nan, np.float32)
    rows = [part for one in slices for part in (one, gap)]
    return np.concatenate(rows[:-1])


class ExampleLayers:
    """One image layer for each of the parts, a block a row; densities share their contrast.

    Parameters
    ----------
    viewer
        Where they are shown.
    name
        Of the run; stands in the layers' names.
    """

    def __init__(self, viewer: ViewerModel, name: str) -> None:
        self._viewer = viewer
        self._name = name
        self.layers: dict[str, Image] = {}

    def show(self, slices: Mapping[str, NDArray[np.float32]]) -> None:
        """Show slices; layers that somebody removed come back, what was changed about the others stays."""
        low, high = (float(np.percentile(slices["target"], share)) for share in (0.5, 99.5))
        high = max(high, low + 1e-3)
        for column, part in enumerate(PARTS):
            data = mosaic(slices[part])
            layer = self.layers.get(part)
            if layer is not None and layer in self._viewer.layers and layer.data.shape == data.shape:
                layer.data = data
                continue
            width = (data.shape[1] + _GAP_PX) * VOXEL_SIZE_ANGSTROM
            arguments: dict[str, Any] = {
                "name": f"{_TITLES[part]} · {self._name}",
                "scale": (VOXEL_SIZE_ANGSTROM,) * 2,
                "translate": (0.0, column * width),
                "units": (ANGSTROM,) * 2,
                "contrast_limits": (0.0, 1.0) if part in _MASKS else (low, high),
                "colormap": "gray",
                "metadata": {"blush": {"examples": part}},
            }
            added: Any = self._viewer.add_image(data, **arguments)
            self.layers[part] = added
