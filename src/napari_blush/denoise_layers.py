"""The layers of a denoising: what is shown of previews and results, made once and updated in place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

from blushcore.protocol import BlushError
from blushcore.volumes import Volume
from napari_blush.background import Background
from napari_blush.denoise_results import Result
from napari_blush.denoise_states import Picture
from napari_blush.layers.contrast import MapContrast, contrast_of_map
from napari_blush.layers.maps import METADATA, add_or_update_map, find_map
from napari_blush.layers.split import SplitView
from napari_blush.panels.display import Mode

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Layer

KEY = "denoise"
"""What the keys of this module's layers begin with."""
_MASK_COLORMAP, _DIFFERENCE_COLORMAP = "cyan", "twilight_shifted"
_MASK_OPACITY = 0.35
_DIFFERENCE_SIGMAS = 3.0
_INPUTS_SHARE_OF_CONTRAST = 0.25


@dataclass
class _Wanted:
    """What somebody wants to see beside the denoised map."""

    mode: Mode = "split"
    mask: bool = False
    strength: float = 1.0
    compare_with: Result | None = None
    """What stands left of the divider; None for the input."""


@dataclass(frozen=True, eq=False)
class Shown:
    """An array and the contrast to show it with: all that takes long, done before the GUI gets it."""

    array: NDArray[np.float32]
    contrast: MapContrast

    @classmethod
    def of(cls, array: NDArray[np.float32]) -> Shown:
        """Look at a map or mask."""
        return cls(array, MapContrast.of(array))

    @classmethod
    def of_difference(cls, array: NDArray[np.float32]) -> Shown:
        """Look at a difference: no change is the middle."""
        sample = array.reshape(-1)[:: max(1, array.size // 1_000_000)]
        reach = _DIFFERENCE_SIGMAS * float(sample.std(dtype=np.float64)) or 1.0
        return cls(array, MapContrast((-reach, reach), (float(array.min()), float(array.max()))))


class DenoiseLayers:
    """Shows previews and results of one map (or two halves) in a viewer.

    Everything that runs over whole maps is done by `background`.

    Parameters
    ----------
    viewer
        Where the layers are.
    background
        For arithmetic on whole maps.
    """

    split_changed = Signal(bool)
    """The split view was opened, or closed, also by itself."""
    failed = Signal(str)
    """A sentence: something could not be shown."""
    changed = Signal()
    """The layers show what was asked for last."""

    def __init__(self, viewer: ViewerModel, background: Background) -> None:
        self._viewer = viewer
        self._background = background
        self._source: Image | None = None
        self._volume: Volume | None = None
        self._name = ""
        self._group = ""
        self._split: SplitView | None = None
        self._patches: dict[tuple[int, int], NDArray[np.float32]] = {}
        self._previewing = False
        self._limits_of_input: tuple[float, float] | None = None
        self._balanced = False
        self.wanted = _Wanted()
        self.result: Result | None = None

    # --- what is shown ----------------------------------------------------------------------------------------

    @property
    def denoised(self) -> Image | None:
        """The layer of the denoised map, if there is one."""
        return find_map(self._viewer, self._key("map"))

    def is_denoised_map(self, layer: Layer) -> bool:
        """Whether a layer, perhaps removed by now, shows the denoised map."""
        return bool(layer.metadata.get(METADATA, {}).get("key") == self._key("map"))

    @property
    def split(self) -> SplitView | None:
        """The split view that is open."""
        return self._split

    def _key(self, role: str) -> str:
        return f"{KEY}/{self._group}/{role}"

    def follow(self, source: Image | None, volume: Volume | None, name: str) -> None:
        """Show what is done to another map from now on; layers of the one before stay as they are."""
        self.end_split()
        self._source, self._volume, self._name = source, volume, name
        self._group = "" if source is None else str(source.unique_id)
        self.result = None
        self._patches.clear()
        self._previewing = False
        self.wanted.compare_with = None
        self._limits_of_input = None if source is None else _own_limits(source)

    # --- previews ---------------------------------------------------------------------------------------------

    def begin_preview(self) -> None:
        """Show the input in the denoised map's layer: pictures will come slice by slice."""
        volume = self._volume
        if volume is None:
            return
        self._previewing = True
        self._balanced = False
        self._patches.clear()
        self.result = None

        def copy() -> Shown:
            return Shown.of(np.array(volume.data))

        def show(shown: Shown) -> None:
            if not self._previewing:
                return
            for (axis, index), values in self._patches.items():
                _slice(shown.array, axis, index)[...] = values
            self._set_visible("difference", False)
            self._set_visible("mask", False)
            first = next(iter(self._patches.values()), None)
            if first is not None:
                shown = replace(shown, contrast=replace(shown.contrast, limits=contrast_of_map(first)))
                self._balanced = True
            name = f"{self._name} preview"
            self._show_map(volume, shown, name, {"denoising": None})
            self._show_split()
            self.changed.emit()

        self._background.run(copy, show, self._say, instead_of="map")

    def show_picture(self, picture: Picture) -> None:
        """Show a slice of the preview."""
        self._patches[picture.axis, picture.index] = picture.values
        layer = self.denoised
        if not self._previewing or layer is None or layer.data.shape != self._shape:
            return  # `begin_preview` will put it in
        if layer.metadata[METADATA].get("denoising") is not None:
            return  # still the result before
        _slice(layer.data, picture.axis, picture.index)[...] = picture.values
        if picture.whole and not self._balanced and self._contrast_is_ours():
            self._balance(contrast_of_map(picture.values))
            self._balanced = True
        layer.refresh(thumbnail=False, highlight=False, extent=False)
        if self._split is not None:
            self._split.refresh()

    def end_preview(self) -> None:
        """Let what was previewed stand as it is."""
        self._previewing = False

    @property
    def _shape(self) -> tuple[int, ...]:
        return () if self._volume is None else self._volume.shape

    # --- results ----------------------------------------------------------------------------------------------

    def show_result(self, result: Result) -> None:
        """Show a result, as `wanted`."""
        self._previewing = False
        self.result = result
        self.update()

    def update(self) -> None:
        """Show the result as it is `wanted` now."""
        result, wanted = self.result, self.wanted
        if result is None:
            self._show_split()
            return
        strength, group = wanted.strength, self._group
        halves = len(result.maps) == 2
        difference_wanted = wanted.mode == "difference"
        other = wanted.compare_with if wanted.mode == "split" else None

        mask_wanted = wanted.mask

        def compute() -> dict[str, Shown]:
            shown = {"map": Shown.of(result.blended(0, strength))}
            if halves:
                shown["half2"] = Shown.of(result.blended(1, strength))
            if difference_wanted:
                shown["difference"] = Shown.of_difference(result.change(0, strength))
            if mask_wanted:
                shown["mask"] = Shown.of(result.mask)
            if other is not None:
                shown["other"] = Shown.of(other.blended(0, 1.0))
            return shown

        def show(shown: dict[str, Shown]) -> None:
            if result is self.result and group == self._group:
                self._show_all(result, shown, strength)

        self._background.run(compute, show, self._say, instead_of="map")

    def _show_all(self, result: Result, shown: Mapping[str, Shown], strength: float) -> None:
        source, name = result.sources[0], self._name
        details = {"denoising": result.record(strength)}
        if "half2" in shown:
            second = f"{result.names[1]} denoised"
            self._show("half2", result.sources[1], shown["half2"], second, details, visible=False)
        self._show_map(source, shown["map"], f"{name} denoised", details)
        if "difference" in shown:
            words = f"{name} difference (denoised − input)"
            self._show("difference", source, shown["difference"], words, details, colormap=_DIFFERENCE_COLORMAP)
        if "mask" in shown:
            is_new = find_map(self._viewer, self._key("mask")) is None
            words = f"{name} solvent mask (network)"
            layer = self._show("mask", source, shown["mask"], words, details, colormap=_MASK_COLORMAP)
            if is_new:
                layer.blending, layer.opacity = "additive", _MASK_OPACITY
        other = self.wanted.compare_with
        if "other" in shown and other is not None:
            of_other = {"denoising": other.record(1.0)}
            self._show("other", source, shown["other"], f"{name} denoised (#{other.number})", of_other)
        self._set_visible("difference", self.wanted.mode == "difference")
        self._set_visible("mask", self.wanted.mask)
        self._show_split()
        self._raise("mask")
        self.changed.emit()

    def _show_map(self, source: Volume, shown: Shown, name: str, details: Mapping[str, object]) -> None:
        """Show the denoised map, with a contrast that suits the input beside it too."""
        if self._contrast_is_ours():
            limits = self._between(shown.contrast.limits)
            self._show(
                "map", source, replace(shown, contrast=replace(shown.contrast, limits=limits)), name, details
            )
            self._balance(shown.contrast.limits)
        else:
            self._show("map", source, shown, name, details)

    def _show(
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

    def _raise(self, role: str) -> None:
        """Put a layer that is seen through on top of the others."""
        layers = self._viewer.layers
        layer = find_map(self._viewer, self._key(role))
        if layer is not None and layer.visible and layers.index(layer) != len(layers) - 1:
            layers.move(layers.index(layer), len(layers))

    def _contrast_is_ours(self) -> bool:
        """Whether neither input nor result has a contrast that the user chose."""
        layers = [layer for layer in (self._source, self.denoised) if layer is not None]
        return self._limits_of_input is not None and all(_untouched(layer) for layer in layers)

    def _between(self, limits_of_result: tuple[float, float]) -> tuple[float, float]:
        """Return contrast limits between what would suit the input and the result.

        Those of the noisy input leave the result dim, its own drive the input into black and white.
        """
        assert self._limits_of_input is not None  # `_contrast_is_ours`
        (black, white), (other_black, other_white) = self._limits_of_input, limits_of_result
        share = _INPUTS_SHARE_OF_CONTRAST
        return share * black + (1 - share) * other_black, share * white + (1 - share) * other_white

    def _balance(self, limits_of_result: tuple[float, float]) -> None:
        """Give input and result, which share their contrast, limits that suit both."""
        limits = self._between(limits_of_result)
        for layer in (self.denoised, self._source):
            if layer is not None:
                layer.metadata[METADATA]["contrast_limits"] = limits
                if not np.allclose(layer.contrast_limits, limits):
                    layer.contrast_limits = limits

    def _set_visible(self, role: str, visible: bool) -> None:
        layer = find_map(self._viewer, self._key(role))
        if layer is not None and layer.visible != visible:
            layer.visible = visible

    # --- before and after -------------------------------------------------------------------------------------

    def _show_split(self) -> None:
        """Open, close or renew the split view, as `wanted`."""
        before: Image | None = self._source
        if self.wanted.compare_with is not None:
            before = find_map(self._viewer, self._key("other"))
        after = self.denoised
        if self.wanted.mode != "split" or before is None or after is None or before not in self._viewer.layers:
            self.end_split()
            return
        if self._split is not None and self._split.before is before and self._split.after is after:
            self._split.layer.name = f"{before.name} | {after.name}"
            return
        self.end_split()
        try:
            self._split = SplitView(self._viewer, before, after)
        except BlushError as error:
            self.failed.emit(str(error))
            return
        self._split.closed.connect(self._on_split_closed)
        self.split_changed.emit(True)

    def end_split(self) -> None:
        """Close the split view."""
        split, self._split = self._split, None
        if split is not None:
            split.closed.disconnect(self._on_split_closed)
            split.close()
            self.split_changed.emit(False)

    def _on_split_closed(self) -> None:
        self._split = None
        self.wanted.mode = "result"
        self.split_changed.emit(False)

    def _say(self, error: Exception) -> None:
        self.failed.emit(f"It cannot be shown: {error}.")

    def volumes_to_save(self, result: Result) -> Callable[[], list[Volume]]:
        """Return what computes a result's maps at the strength in force, with the headers of their inputs."""
        strength = self.wanted.strength
        return lambda: [
            source.with_data(result.blended(index, strength)) for index, source in enumerate(result.sources)
        ]


def _slice(array: NDArray[np.float32], axis: int, index: int) -> NDArray[np.float32]:
    where: list[int | slice] = [slice(None)] * 3
    where[axis] = index
    return array[tuple(where)]


def _own_limits(source: Image) -> tuple[float, float] | None:
    """Return the contrast limits that its reader chose for a map by itself; None for layers of others."""
    kept = source.metadata.get(METADATA, {})
    limits = kept.setdefault("own_contrast_limits", kept.get("contrast_limits"))
    return None if limits is None else (float(limits[0]), float(limits[1]))


def _untouched(layer: Image) -> bool:
    """Whether a layer's contrast is what was chosen for it, not by the user."""
    chosen = layer.metadata.get(METADATA, {}).get("contrast_limits")
    return chosen is not None and bool(np.allclose(layer.contrast_limits, chosen))
