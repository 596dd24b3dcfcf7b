"""The coloured surface as one of napari's layers: made once, updated in place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_blush.layers.maps import AXES, METADATA, key_of
from napari_blush.layers.units import ANGSTROM
from napari_blush.layers.view import unwrapped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel
    from napari.layers import Surface
    from numpy.typing import NDArray

    from napari_blush.surface.mesh import Mesh

KEY = "surface"
_EDGES = 2.0, 98.0
_LEAST_SPAN = 0.2
"""Å between the ends of the colours at least: less is noise."""


def usual_limits(values: NDArray[np.float32]) -> tuple[float, float]:
    """Return the values (Å) at which colours begin and end: the middle 96 %, rounded outwards to 0.1 Å."""
    low, high = (float(value) for value in np.percentile(values, _EDGES))
    low, high = np.floor(10 * low) / 10, np.ceil(10 * high) / 10
    if high - low < _LEAST_SPAN:
        middle = (low + high) / 2
        low, high = middle - _LEAST_SPAN / 2, middle + _LEAST_SPAN / 2
    return round(float(low), 2), round(float(high), 2)


def find_surface(viewer: ViewerModel) -> Surface | None:
    """Return the coloured surface of a viewer, if there is one."""
    from napari.layers import Surface

    for layer in map(unwrapped, viewer.layers):
        if isinstance(layer, Surface) and key_of(layer) == KEY:
            return layer
    return None


def show_surface(
    viewer: ViewerModel,
    mesh: Mesh,
    values: NDArray[np.float32],
    *,
    limits: tuple[float, float],
    colormap: str,
    details: dict[str, object],
) -> Surface:
    """Show a mesh coloured by values in Å, in the layer that there is or a new one.

    Parameters
    ----------
    viewer
        Where.
    mesh, values
        Corners and triangles; the value at each corner.
    limits, colormap
        Å at which the colours begin and end, and their name.
    details
        What goes into ``metadata["blush"]``: what it was made of.
    """
    from napari.layers import Surface

    data = (mesh.vertices, mesh.faces, values)
    metadata = {METADATA: {"key": KEY, **details}}
    layer = find_surface(viewer)
    if layer is None:
        layer = Surface(
            data,
            name="Local resolution (Å)",
            colormap=colormap,
            contrast_limits=limits,
            shading="smooth",
            units=(ANGSTROM,) * 3,
            axis_labels=AXES,
            metadata=metadata,
        )
        viewer.add_layer(layer)
        return layer
    layer.data = data
    layer.metadata = metadata
    set_colours(layer, limits, colormap)
    return layer


def set_colours(layer: Surface, limits: tuple[float, float], colormap: str) -> None:
    """Give the surface other colours, or other values at which they begin and end (Å)."""
    low, high = layer.contrast_limits_range
    layer.contrast_limits_range = (min(low, limits[0]), max(high, limits[1]))
    layer.contrast_limits = limits
    if layer.colormap.name != colormap:
        layer.colormap = colormap


def colours_of(layer: Surface, count: int = 128) -> NDArray[np.floating]:
    """Return a layer's colours from its lower to its upper limit, ``(count, 4)`` from 0 to 1."""
    colours: NDArray[np.floating] = layer.colormap.map(np.linspace(0, 1, count))
    return colours


def hide_maps(viewer: ViewerModel, maps: Sequence[object]) -> None:
    """Hide the layers that the surface was made of: in 3D they would stand in front of it."""
    for layer in map(unwrapped, viewer.layers):
        if any(layer is unwrapped(one) for one in maps):
            layer.visible = False
