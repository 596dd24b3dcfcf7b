"""Which layers the dock offers, and which it proposes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from napari_blush.layers.listing import map_layers
from napari_blush.layers.maps import key_of
from napari_blush.panels.map_choices import MapChoice, is_half, is_mask, likely_halves, offer_maps

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

    from napari_blush.surface.panels import MapsSection

LOCAL_KEY = "local-resolution"
_FROM_HALVES = "two half-maps, measured here"
_NO_MASK = "the whole sphere"
_LOCAL = re.compile(r"loc(al)?[ _-]?res|^local", re.IGNORECASE)


def is_local(layer: Image) -> bool:
    """Whether a layer is most likely a map of local resolution: it was made here, or its name says so."""
    return key_of(layer) == LOCAL_KEY or bool(_LOCAL.search(layer.name))


def offer(section: MapsSection, viewer: ViewerModel) -> None:
    """List the viewer's maps in all boxes; what the user chose stays, the rest is proposed by names."""
    layers = map_layers(viewer)
    local = next((layer for layer in layers if is_local(layer)), None)
    plain = [layer for layer in layers if not is_local(layer) and not is_mask(layer)]
    active = next((layer for layer in plain if layer in viewer.layers.selection), None)
    whole = next((layer for layer in plain if not is_half(layer, 1) and not is_half(layer, 2)), None)
    half1, half2 = likely_halves(plain)
    offer_maps(
        layers,
        [
            MapChoice(section.map_box, active or whole or next(iter(plain), None)),
            MapChoice(section.local_box, local, _FROM_HALVES),
            MapChoice(section.half1_box, half1),
            MapChoice(section.half2_box, half2),
            MapChoice(section.mask_box, None, _NO_MASK),
        ],
    )
