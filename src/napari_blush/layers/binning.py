"""Maps at half the resolution, to look at: a quarter of the pixels a slice, an eighth of the voxels in 3D."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from blushcore.protocol import BlushError
from napari_blush.layers.maps import METADATA
from napari_blush.notices import errors_are_told

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image
    from numpy.typing import NDArray


@errors_are_told(otherwise=None)
def bin_selected_maps(viewer: ViewerModel) -> None:
    """Add a binned copy of each selected map and hide the map itself; for the menu.

    Raises
    ------
    BlushError
        If no map is selected.
    """
    from napari.layers import Image

    selected = [layer for layer in viewer.layers.selection if isinstance(layer, Image) and layer.ndim == 3]
    if not selected:
        raise BlushError("No map is selected.", "Select one in the list of layers.")
    for layer in selected:
        viewer.add_layer(binned_for_display(layer))
        layer.visible = False


def binned_for_display(layer: Image, factor: int = 2) -> Image:
    """Return a new layer with the means of blocks of ``factor³`` voxels, at the same place.

    Edges that do not fill a block are left out. The copy is for looking at: it carries no header, and its
    metadata says so (``binned`` is the factor).

    Raises
    ------
    BlushError
        If the map has fewer than `factor` voxels along an axis.
    """
    from napari.layers import Image

    if min(layer.data.shape) < factor:
        raise BlushError(f"{layer.name} is too small to be binned {factor} times.", "Look at it as it is.")
    scale = np.asarray(layer.scale, dtype=np.float64)
    return Image(
        binned(np.asarray(layer.data), factor),
        name=f"{layer.name} (binned {factor}×)",
        scale=scale * factor,
        # The first voxel's centre is the middle of its block.
        translate=np.asarray(layer.translate) + scale * (factor - 1) / 2,
        units=layer.units,
        axis_labels=layer.axis_labels,
        contrast_limits=layer.contrast_limits,
        colormap=layer.colormap,
        interpolation2d=layer.interpolation2d,
        metadata={METADATA: {"binned": factor, "voxel_size_known": True}},
    )


def binned(data: NDArray[np.floating], factor: int) -> NDArray[np.float32]:
    """Return the means of blocks of ``factor³`` voxels ``[z, y, x]``; incomplete blocks are left out."""
    z, y, x = (n // factor for n in data.shape)
    whole = data[: z * factor, : y * factor, : x * factor]
    blocks = whole.reshape(z, factor, y, factor, x, factor)
    means: NDArray[np.float32] = blocks.mean(axis=(1, 3, 5), dtype=np.float32)
    return means
