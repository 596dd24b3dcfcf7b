"""Boxes in which maps of the viewer are chosen: what they offer, and what they propose."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QComboBox

from blushcore.denoiser.provenance import says_denoised
from blushcore.volumes import MapHeader
from napari_blush.layers.maps import METADATA
from napari_blush.panels.boxes import fill

if TYPE_CHECKING:
    from napari.layers import Image

_CHOSEN = "blushChosen"
_MASK = re.compile(r"mask(?!ed)", re.IGNORECASE)
"""A masked or unmasked map is none."""


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
    """Whether a layer's name says that it is half-map 1 or 2: by number, or by letter as cryoSPARC does."""
    which = rf"({number}(?!\d)|{'AB'[number - 1]}(?![a-z]))"
    return bool(re.search(rf"half[ _-]?(map)?[ _-]?{which}", layer.name, re.IGNORECASE))


def is_mask(layer: Image) -> bool:
    """Whether a layer's name says that it is a mask."""
    return bool(_MASK.search(layer.name))


def was_denoised(layer: Image) -> bool:
    """Whether a layer shows what the denoiser made of a map, here or in the file it was read from."""
    kept = layer.metadata.get(METADATA, {})
    return "denoising" in kept or says_denoised(kept.get("header", MapHeader()))


def likely_halves(plain: Sequence[Image]) -> tuple[Image | None, Image | None]:
    """Return which of some maps are most likely the two halves: by their names, else the first and the last.

    Denoised ones are not: what is measured of them measures the network as well.
    """
    raw = [layer for layer in plain if not was_denoised(layer)]
    first = next((layer for layer in raw if is_half(layer, 1)), next(iter(raw), None))
    second = next((layer for layer in raw if is_half(layer, 2)), raw[-1] if raw else None)
    return first, second
