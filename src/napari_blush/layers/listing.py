"""Which of a viewer's layers are maps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_blush.layers.maps import METADATA, key_of
from napari_blush.layers.view import unwrapped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel
    from napari.layers import Image, Layer

IMAGES_AXIS = "image"
"""Name of the first axis of layers that hold images, not a map."""


def is_map(layer: Layer) -> bool:
    """Whether a layer shows a map: three axes in space, one scale, no colours; not that of a split view."""
    from napari.layers import Image

    layer = unwrapped(layer)
    if not isinstance(layer, Image) or layer.ndim != 3 or layer.rgb or layer.multiscale:
        return False
    kept = layer.metadata.get(METADATA, {})
    return not kept.get("split_view") and layer.axis_labels[0] != IMAGES_AXIS


def map_layers(viewer: ViewerModel, *, without: Sequence[str] = ()) -> list[Image]:
    """Return the maps of a viewer, in the order of its list.

    Parameters
    ----------
    viewer
        Whose layers.
    without
        Layers of the plugin whose key begins with one of these are left out.
    """
    layers: Any = map(unwrapped, viewer.layers)
    return [layer for layer in layers if is_map(layer) and not key_of(layer).startswith(tuple(without))]


def list_events(viewer: ViewerModel) -> list[Any]:
    """Return the events after which a list of layers is another."""
    events = viewer.layers.events
    return [events.inserted, events.removed, events.renamed, events.reordered]
