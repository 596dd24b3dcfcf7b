"""The layers that one map's denoising has: made once, updated in place, found again by their keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from blushcore.volumes import Volume
from napari_blush.denoise.shown import Shown
from napari_blush.layers.maps import METADATA, add_or_update_map, find_map, key_of, remember
from napari_blush.layers.view import unwrapped

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Layer

KEY = "denoise"
"""What the keys of these layers begin with."""
_MASK_COLORMAP, _MASK_OPACITY = "cyan", 0.35
_DIFFERENCE_COLORMAP = "twilight_shifted"


class OwnLayers:
    """The layers ``map``, ``half2``, ``difference``, ``mask`` and ``other`` of one source in one dock.

    Parameters
    ----------
    viewer
        Where they are.
    group
        Which dock, and of that which source, as `of` makes it: a word of its own.
    """

    def __init__(self, viewer: ViewerModel, group: str) -> None:
        self._viewer = viewer
        self._group = group

    def _key(self, role: str) -> str:
        return f"{KEY}/{self._group}/{role}"

    def of(self, group: str) -> OwnLayers:
        """Return the layers of one group among these."""
        return OwnLayers(self._viewer, f"{self._group}/{group}")

    def let_go(self) -> None:
        """Make the layers of all groups among these ordinary ones."""
        for layer in self._all():
            remember(layer, key="")

    def _all(self) -> list[Layer]:
        layers: list[Layer] = [unwrapped(layer) for layer in self._viewer.layers]
        return [layer for layer in layers if key_of(layer).startswith(f"{KEY}/{self._group}/")]

    def find(self, role: str) -> Image | None:
        """Return a layer, if it is there."""
        return find_map(self._viewer, self._key(role))

    def was(self, layer: Layer, role: str) -> bool:
        """Whether a layer, perhaps removed by now, is that of a role."""
        return key_of(layer) == self._key(role)

    def show(
        self,
        role: str,
        source: Volume,
        shown: Shown,
        name: str,
        details: Mapping[str, object],
        *,
        colormap: str = "gray",
        visible: bool = True,
    ) -> Image:
        """Show an array on the grid of `source`; what is selected stays selected."""
        selected = set(self._viewer.layers.selection)
        layer = add_or_update_map(
            self._viewer,
            self._key(role),
            source.with_data(shown.array),
            name=name,
            colormap=colormap,
            visible=visible,
            contrast=shown.contrast,
            details=details,
        )
        if selected and set(self._viewer.layers.selection) != selected:  # a new layer takes the selection
            self._viewer.layers.selection = selected & set(self._viewer.layers)
        return layer

    def show_mask(self, source: Volume, shown: Shown, name: str, details: Mapping[str, object]) -> None:
        """Show a mask as a veil over the others."""
        is_new = self.find("mask") is None
        layer = self.show("mask", source, shown, name, details, colormap=_MASK_COLORMAP)
        if is_new:
            layer.blending, layer.opacity = "additive", _MASK_OPACITY

    def rename(self, names: Mapping[str, str]) -> None:
        """Let layers follow new names of what they were made of; a name that somebody gave stays.

        Parameters
        ----------
        names
            The new name for each old one.
        """
        for layer in self._all():
            given = layer.metadata[METADATA]["given_name"]
            new = [name + given[len(old) :] for old, name in names.items() if given.startswith(f"{old} ")]
            if new and layer.name == given:
                layer.name = new[0]
                remember(layer, given_name=new[0])

    def show_difference(self, source: Volume, shown: Shown, name: str, details: Mapping[str, object]) -> None:
        """Show a difference, with a bar of what its colours mean, in the map's own units."""
        is_new = self.find("difference") is None
        layer = self.show("difference", source, shown, name, details, colormap=_DIFFERENCE_COLORMAP)
        if is_new:
            layer.colorbar.visible = True

    def select_if_nothing_is(self, role: str) -> None:
        """Select a layer where none is any more, so that napari shows its controls."""
        layer = self.find(role)
        if layer is not None and not self._viewer.layers.selection:
            self._viewer.layers.selection = {layer}

    def set_visible(self, role: str, visible: bool) -> None:
        """Show or hide a layer, if it is there."""
        layer = self.find(role)
        if layer is not None and layer.visible != visible:
            layer.visible = visible

    def raise_up(self, role: str) -> None:
        """Put a layer that is seen through on top of all others."""
        layers, layer = self._viewer.layers, self.find(role)
        if layer is not None and layer.visible and layers.index(layer) != len(layers) - 1:
            layers.move(layers.index(layer), len(layers))
