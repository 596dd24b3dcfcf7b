"""What is shown of a denoising: previews, results, and what they are compared with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

from blushcore.volumes import Volume
from napari_blush.background import Background
from napari_blush.denoise.before_after import BeforeAfter
from napari_blush.denoise.contrast import SharedContrast
from napari_blush.denoise.display import Mode
from napari_blush.denoise.own_layers import OwnLayers
from napari_blush.denoise.results import Result
from napari_blush.denoise.shown import Shown
from napari_blush.denoise.states import Picture
from napari_blush.layers.contrast import contrast_of_map
from napari_blush.layers.maps import METADATA
from napari_blush.layers.split import SplitView

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Layer


@dataclass
class _Wanted:
    """What somebody wants to see beside the denoised map."""

    mode: Mode = "split"
    mask: bool = False
    strength: float = 1.0
    compare_with: Result | None = None
    """What stands left of the divider; None for the input."""


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

    mode_changed = Signal(str)
    """What is wanted changed by itself: the split view was removed by hand, or another map is looked at."""
    failed = Signal(str)
    """A sentence: something could not be shown."""
    changed = Signal()
    """The layers show what was asked for last."""

    def __init__(self, viewer: ViewerModel, background: Background) -> None:
        self._viewer = viewer
        self._background = background
        self._source: Image | None = None
        self._volume: Volume | None = None
        self._names: tuple[str, ...] = ()
        self._docks_own = OwnLayers(viewer, uuid4().hex)  # of two docks each has layers of its own
        self._own = self._docks_own.of("")
        self._groups: WeakKeyDictionary[Volume, str] = WeakKeyDictionary()
        self._contrast: SharedContrast | None = None
        self._split = BeforeAfter(viewer)
        self._split.failed.connect(self.failed.emit)
        self._split.closed_by_user.connect(self._on_split_closed)
        self._mode_before: Mode | None = None
        self._patches: dict[tuple[int, int], NDArray[np.float32]] = {}
        self._previewing = False
        self._balanced = False
        self.wanted = _Wanted()
        self.result: Result | None = None

    # --- what is shown ----------------------------------------------------------------------------------------

    @property
    def denoised(self) -> Image | None:
        """The layer of the denoised map, if there is one."""
        return self._own.find("map")

    def is_denoised_map(self, layer: Layer) -> bool:
        """Whether a layer, perhaps removed by now, shows the denoised map."""
        return self._own.was(layer, "map")

    @property
    def split(self) -> SplitView | None:
        """The split view that is open."""
        return self._split.view

    def end(self) -> None:
        """Close the split view, and leave all layers to the user: nothing changes them any more."""
        self._split.end()
        self._docks_own.let_go()

    def follow(self, source: Image | None, volume: Volume | None, names: Sequence[str]) -> None:
        """Show what is done to another map from now on; layers of the one before stay as they are.

        Parameters
        ----------
        source, volume
            The map (of two halves the first), as a layer and as what it shows.
        names
            Of the map, or of both halves.
        """
        self._split.end()
        if self._mode_before is not None and source is not self._source:
            self.wanted.mode, self._mode_before = self._mode_before, None
            self.mode_changed.emit(self.wanted.mode)
        self._source, self._volume, self._names = source, volume, tuple(names)
        self._own = self._docks_own.of(self._group_of(source, volume))
        self._contrast = None if source is None else SharedContrast(source)
        self.result = None
        self._patches.clear()
        self._previewing = False
        self.wanted.compare_with = None

    def rename(self, names: Sequence[str]) -> None:
        """Call the maps in hand something else; layers that nobody gave another name follow."""
        self._own.rename(dict(zip(self._names, names, strict=True)))
        self._names = tuple(names)
        self._split.rename()

    def _group_of(self, source: Image | None, volume: Volume | None) -> str:
        """Return one word for one source, also where its layer was removed and came back."""
        if source is None or volume is None:
            return ""
        return self._groups.setdefault(volume, str(source.unique_id))

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
            self._own.set_visible("difference", False)
            self._own.set_visible("mask", False)
            first = next(iter(self._patches.values()), None)
            if first is not None:
                shown = replace(shown, contrast=replace(shown.contrast, limits=contrast_of_map(first)))
                self._balanced = True
            self._show_map(volume, shown, f"{self._names[0]} preview", {"denoising": None})
            self._show_split()
            self.changed.emit()

        self._background.run(copy, show, self._say, instead_of="map")

    def show_picture(self, picture: Picture) -> None:
        """Show a slice of the preview."""
        self._patches[picture.axis, picture.index] = picture.values
        layer, volume, contrast = self.denoised, self._volume, self._contrast
        if not self._previewing or layer is None or volume is None or layer.data.shape != volume.shape:
            return  # `begin_preview` will put it in
        if layer.metadata[METADATA].get("denoising") is not None:
            return  # still the result before
        _slice(layer.data, picture.axis, picture.index)[...] = picture.values
        if picture.whole and not self._balanced and contrast is not None and contrast.is_ours(layer):
            contrast.balance(layer, contrast_of_map(picture.values))
            self._balanced = True
        layer.refresh(thumbnail=False, highlight=False, extent=False)
        self._split.refresh()

    def end_preview(self) -> None:
        """Let what was previewed stand as it is."""
        self._previewing = False

    # --- results ----------------------------------------------------------------------------------------------

    def show_result(self, result: Result) -> None:
        """Show a result, as `wanted`."""
        self._previewing = False
        self.result = result
        self.update()

    def want(self, **wishes: Any) -> None:
        """Change what is `wanted`, by name, and show it."""
        self.wanted = replace(self.wanted, **wishes)
        if "mode" in wishes:
            self._mode_before = None
        self.update()

    def update(self) -> None:
        """Show the result as it is `wanted` now."""
        result, wanted, own = self.result, replace(self.wanted), self._own
        if result is None:
            self._show_split()
            return

        def compute() -> dict[str, Shown]:
            shown = {"map": Shown.of(result.blended(0, wanted.strength))}
            if len(result.maps) == 2:
                shown["half2"] = Shown.of(result.blended(1, wanted.strength))
            if wanted.mode == "difference":
                shown["difference"] = Shown.of_difference(result.change(0, wanted.strength))
            if wanted.mask:
                shown["mask"] = Shown.of(np.array(result.mask))
            if wanted.mode == "split" and wanted.compare_with is not None:
                shown["other"] = Shown.of(wanted.compare_with.blended(0, 1.0))
            return shown

        def show(shown: dict[str, Shown]) -> None:
            if result is self.result and own is self._own:
                self._show_all(result, shown, wanted)

        self._background.run(compute, show, self._say, instead_of="map")

    def _show_all(self, result: Result, shown: Mapping[str, Shown], wanted: _Wanted) -> None:
        source, name, own = result.sources[0], self._names[0], self._own
        details = {"denoising": result.record(wanted.strength)}
        if "half2" in shown:
            second = f"{self._names[1]} denoised"
            own.show("half2", result.sources[1], shown["half2"], second, details, visible=False)
        other = wanted.compare_with if "other" in shown else None
        number = "" if other is None else f" (#{result.number})"
        self._show_map(source, shown["map"], f"{name} denoised{number}", details)
        if "difference" in shown:
            words = f"{name} difference (denoised − input)"
            own.show_difference(source, shown["difference"], words, details)
        if "mask" in shown:
            own.show_mask(source, shown["mask"], f"{name} solvent mask (network)", details)
        if other is not None:
            of_other = {"denoising": other.record(1.0)}
            own.show("other", source, shown["other"], f"{name} denoised (#{other.number})", of_other)
        own.set_visible("difference", wanted.mode == "difference")
        own.set_visible("mask", wanted.mask)
        self._show_split()
        own.raise_up("mask")
        own.select_if_nothing_is("difference" if wanted.mode == "difference" else "map")
        self.changed.emit()

    def _show_map(self, source: Volume, shown: Shown, name: str, details: Mapping[str, object]) -> None:
        """Show the denoised map, with a contrast that suits the input beside it too."""
        contrast, of_result = self._contrast, shown.contrast.limits
        if contrast is None or not contrast.is_ours(self.denoised):
            self._own.show("map", source, shown, name, details)
            return
        between = replace(shown, contrast=replace(shown.contrast, limits=contrast.between(of_result)))
        contrast.balance(self._own.show("map", source, between, name, details), of_result)

    def volumes_to_save(self, result: Result) -> Callable[[], list[Volume]]:
        """Return what computes a result's maps at the strength in force, with the headers of their inputs."""
        strength = self.wanted.strength
        return lambda: [
            source.with_data(result.blended(index, strength)) for index, source in enumerate(result.sources)
        ]

    # --- before and after -------------------------------------------------------------------------------------

    def _show_split(self) -> None:
        """Open, close or renew the split view, as `wanted`."""
        before = self._source if self.wanted.compare_with is None else self._own.find("other")
        self._split.show(before if self.wanted.mode == "split" else None, self.denoised)

    def _on_split_closed(self) -> None:
        self.wanted.mode, self._mode_before = "result", "split"
        self.mode_changed.emit("result")

    def _say(self, error: Exception) -> None:
        self.failed.emit(f"It cannot be shown: {error}.")


def _slice(array: NDArray[np.float32], axis: int, index: int) -> NDArray[np.float32]:
    where: list[int | slice] = [slice(None)] * 3
    where[axis] = index
    return array[tuple(where)]
