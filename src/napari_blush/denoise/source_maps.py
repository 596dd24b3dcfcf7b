"""Layers as maps: the same map as long as a layer shows the same, and a layer for a map once more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from blushcore.volumes import Volume
from napari_blush.layers.maps import map_arguments, volume_of
from napari_blush.layers.view import unwrapped

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Layer


@dataclass(frozen=True)
class _Known:
    data: Any
    placement: tuple[Any, ...]
    volume: Volume


class SourceMaps:
    """The maps of a viewer's layers.

    Parameters
    ----------
    viewer
        Whose layers.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self._known: WeakKeyDictionary[Layer, _Known] = WeakKeyDictionary()

    def of(self, layer: Image) -> Volume:
        """Return what a layer shows; the same object until its data or its place changes.

        Raises
        ------
        BlushError
            If it is no map, has no voxel size, or is turned.
        """
        layer = unwrapped(layer)
        known, placement = self._known.get(layer), _placement(layer)
        if known is None or known.data is not layer.data or known.placement != placement:
            known = _Known(layer.data, placement, volume_of(layer))
            self._known[layer] = known
        return known.volume

    def layer_of(self, volume: Volume, name: str) -> Image:
        """Return the layer that shows a map that came from `of`; a new one if it was removed or has changed."""
        from napari.layers import Image

        for layer in map(unwrapped, self._viewer.layers):
            known = self._known.get(layer)
            if known is not None and known.volume is volume and _placement(layer) == known.placement:
                assert isinstance(layer, Image)
                return layer
        layer = Image(volume.data, **map_arguments(volume, name=name))
        self._known[layer] = _Known(layer.data, _placement(layer), volume)
        self._viewer.add_layer(layer)
        return layer


def _placement(layer: Layer) -> tuple[Any, ...]:
    return (
        tuple(layer.scale),
        tuple(layer.translate),
        tuple(str(unit) for unit in layer.units),
        layer.affine.affine_matrix.tobytes(),
        layer.rotate.tobytes(),
        layer.shear.tobytes(),
    )
