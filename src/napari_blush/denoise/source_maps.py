"""Layers as maps: the same map as long as a layer shows the same, and a layer for a map once more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from blushcore.volumes import Volume
from napari_blush.layers.maps import map_arguments, reader_of, volume_of
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

    def is_at_hand(self, layer: Image) -> bool:
        """Whether `of` is quick: values on a disk, or of another type than ours, are read first by `reader`."""
        layer = unwrapped(layer)
        data = layer.data
        is_ours = type(data) is np.ndarray and data.dtype == np.float32 and data.flags.c_contiguous
        return is_ours or self._known_of(layer) is not None

    def reader(self, layer: Image) -> Callable[[], Callable[[], None]]:
        """Return what reads a layer, in any thread; of that comes what makes it known, in the GUI's thread."""
        layer = unwrapped(layer)
        data, placement, read = layer.data, _placement(layer), reader_of(layer)

        def work() -> Callable[[], None]:
            known = _Known(data, placement, read())
            return lambda: self._known.update({layer: known})

        return work

    def _known_of(self, layer: Image) -> _Known | None:
        known = self._known.get(layer)
        is_so = known is not None and known.data is layer.data and known.placement == _placement(layer)
        return known if is_so else None

    def of(self, layer: Image) -> Volume:
        """Return what a layer shows; the same object until its data or its place changes.

        Raises
        ------
        BlushError
            If it is no map, has no voxel size, or is turned.
        """
        layer = unwrapped(layer)
        known = self._known_of(layer)
        if known is None:
            known = self._known[layer] = _Known(layer.data, _placement(layer), volume_of(layer))
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
