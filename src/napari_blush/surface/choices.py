"""Which layers the dock offers, and which it proposes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QComboBox

from napari_blush.layers.listing import map_layers
from napari_blush.layers.maps import key_of
from napari_blush.panels.boxes import fill

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

    from napari_blush.surface.panels import MapsSection

LOCAL_KEY = "local-resolution"
_FROM_HALVES = "two half-maps, measured here"
_NO_MASK = "the whole sphere"
_CHOSEN = "blushChosen"
_LOCAL = re.compile(r"loc(al)?[ _-]?res|^local", re.IGNORECASE)
_MASK = re.compile(r"mask", re.IGNORECASE)


def is_local(layer: Image) -> bool:
    """Whether a layer is most likely a map of local resolution: it was made here, or its name says so."""
    return key_of(layer) == LOCAL_KEY or bool(_LOCAL.search(layer.name))


def is_half(layer: Image, number: int) -> bool:
    """Whether a layer's name says that it is half-map 1 or 2."""
    return bool(re.search(rf"half[ _-]?(map)?[ _-]?{number}(?!\d)", layer.name, re.IGNORECASE))


def offer(section: MapsSection, viewer: ViewerModel) -> None:
    """List the viewer's maps in all boxes; what the user chose stays, the rest is proposed by names."""
    layers = map_layers(viewer)
    named: list[tuple[str, Any]] = [(layer.name, layer) for layer in layers]
    local = next((layer for layer in layers if is_local(layer)), None)
    plain = [layer for layer in layers if not is_local(layer) and not _MASK.search(layer.name)]
    active = next((layer for layer in plain if layer in viewer.layers.selection), None)
    whole = next((layer for layer in plain if not is_half(layer, 1) and not is_half(layer, 2)), None)
    proposals: dict[Any, Any] = {
        section.map_box: active or whole or next(iter(plain), None),
        section.local_box: local,
        section.half1_box: next((layer for layer in plain if is_half(layer, 1)), next(iter(plain), None)),
        section.half2_box: next((layer for layer in plain if is_half(layer, 2)), plain[-1] if plain else None),
        section.mask_box: None,
    }
    extra = {section.local_box: _FROM_HALVES, section.mask_box: _NO_MASK}
    for box, proposed in proposals.items():
        entries = [(extra[box], None), *named] if box in extra else named
        if not (box.property(_CHOSEN) and fill(box, entries, box.currentData())):
            box.setProperty(_CHOSEN, False)
            fill(box, entries, proposed)


def keep(*boxes: QComboBox) -> None:
    """Take what is chosen in these boxes for the user's choice: no proposal replaces it."""
    for box in boxes:
        box.setProperty(_CHOSEN, True)
