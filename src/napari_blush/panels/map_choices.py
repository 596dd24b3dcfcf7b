"""Boxes in which maps of the viewer are chosen: what they offer, and what they propose."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QComboBox

from napari_blush.panels.boxes import fill

if TYPE_CHECKING:
    from napari.layers import Image

_CHOSEN = "blushChosen"
_MASK = re.compile(r"mask", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class MapChoice:
    """A box, and what is chosen in it until the user chooses.

    `nothing` is what no map at all is called, where that can be chosen.
    """

    box: QComboBox
    proposed: Image | None
    nothing: str | None = None


def offer_maps(layers: Sequence[Image], choices: Sequence[MapChoice]) -> None:
    """List maps in all boxes; what the user chose stays, the rest is proposed."""
    named: list[tuple[str, Any]] = [(layer.name, layer) for layer in layers]
    for choice in choices:
        box = choice.box
        entries = named if choice.nothing is None else [(choice.nothing, None), *named]
        if not (box.property(_CHOSEN) and fill(box, entries, box.currentData())):
            box.setProperty(_CHOSEN, False)
            fill(box, entries, choice.proposed)


def keep(*boxes: QComboBox) -> None:
    """Take what is chosen in these boxes for the user's choice: no proposal replaces it."""
    for box in boxes:
        box.setProperty(_CHOSEN, True)


def is_half(layer: Image, number: int) -> bool:
    """Whether a layer's name says that it is half-map 1 or 2."""
    return bool(re.search(rf"half[ _-]?(map)?[ _-]?{number}(?!\d)", layer.name, re.IGNORECASE))


def is_mask(layer: Image) -> bool:
    """Whether a layer's name says that it is a mask."""
    return bool(_MASK.search(layer.name))


def likely_halves(plain: Sequence[Image]) -> tuple[Image | None, Image | None]:
    """Return which of some maps are most likely the two halves: by their names, else the first and the last."""
    first = next((layer for layer in plain if is_half(layer, 1)), next(iter(plain), None))
    second = next((layer for layer in plain if is_half(layer, 2)), plain[-1] if plain else None)
    return first, second
