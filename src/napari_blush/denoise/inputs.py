"""Which map is denoised: layers, and their voxel size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QComboBox, QDoubleSpinBox, QWidget

from napari_blush.denoise.own_layers import KEY
from napari_blush.layers.listing import list_events, map_layers
from napari_blush.layers.maps import key_of
from napari_blush.layers.units import voxel_size_of
from napari_blush.layers.view import Connections
from napari_blush.panels.boxes import choice_box, fill, index_of
from napari_blush.panels.cards import Section, form_of, hint

if TYPE_CHECKING:
    from napari.layers import Image
    from napari.viewer import Viewer

_LARGEST_VOXEL = 20.0
_NONE = ("none", None)


class InputPanel(Section):
    """Chooses a map, perhaps its other half and a mask, among the viewer's layers."""

    chosen = Signal()
    """Another map, half or mask was chosen, or one is gone."""
    content_changed = Signal()
    """What is chosen is the same, but shows other values, or lies elsewhere."""
    renamed = Signal()
    """What is chosen is the same under another name."""
    voxel_size_given = Signal(float)
    """Å; typed by the user."""

    def __init__(self, viewer: Viewer, parent: QWidget | None = None) -> None:
        super().__init__("Map", parent)
        self._viewer = viewer
        self.map_box = choice_box("The map to denoise; a file dropped on this panel is opened")
        self.half_box = choice_box(
            "The other half-map of the same reconstruction: denoised by itself; the FSC of both is shown"
        )
        self.mask_box = choice_box(
            "A soft mask (0 to 1) on the map's grid, used together with the particle's sphere"
        )
        self.voxel_size = QDoubleSpinBox()
        self.voxel_size.setRange(0, _LARGEST_VOXEL)
        self.voxel_size.setDecimals(4)
        self.voxel_size.setSingleStep(0.01)
        self.voxel_size.setSuffix(" Å")
        self.voxel_size.setSpecialValueText("not set")
        self.voxel_size.setKeyboardTracking(False)
        self.voxel_size.setToolTip(
            "Voxel size (Å), from the file's header; correct it here where that is wrong"
        )
        rows = (
            ("Map", self.map_box),
            ("Second half", self.half_box),
            ("Mask", self.mask_box),
            ("Voxel size", self.voxel_size),
        )
        self.body.addLayout(form_of(*rows))
        self.size_label = hint()
        self.body.addWidget(self.size_label)
        for box in (self.map_box, self.half_box, self.mask_box):
            box.activated.connect(self._on_activated)
        self.voxel_size.valueChanged.connect(self._on_voxel_size)
        self._connections, self._watched = Connections(), Connections()
        for emitter in list_events(viewer):
            self._connections.connect(emitter, self._on_layers)
        self._list(None, None, None)

    def disconnect_viewer(self) -> None:
        """Hear no more of the viewer."""
        self._connections.undo()
        self._watched.undo()

    @property
    def map_layer(self) -> Image | None:
        """The map that is chosen."""
        return _layer(self.map_box)

    @property
    def half_layer(self) -> Image | None:
        """Its other half."""
        return _layer(self.half_box)

    @property
    def maps(self) -> list[Image]:
        """The map and its other half, as far as they are chosen."""
        return [layer for layer in (self.map_layer, self.half_layer) if layer is not None]

    @property
    def mask_layer(self) -> Image | None:
        """The mask."""
        return _layer(self.mask_box)

    def offers(self, layer: Image) -> bool:
        """Whether a layer is among the maps to choose from."""
        return index_of(self.map_box, layer) >= 0

    def choose(
        self, map_layer: Image, half_layer: Image | None = None, mask_layer: Image | None = None
    ) -> None:
        """Choose layers, as a user does in the boxes."""
        self._list(map_layer, half_layer, mask_layer)
        self.chosen.emit()

    def _on_activated(self, index: int) -> None:
        # The map itself is no half to choose: with another map, another list.
        self._list(self.map_layer, self.half_layer, self.mask_layer)
        self.chosen.emit()

    def _on_layers(self, event: Any = None) -> None:
        before = (self.map_layer, self.half_layer, self.mask_layer)
        self._list(*before)
        if before != (self.map_layer, self.half_layer, self.mask_layer):
            self.chosen.emit()
        elif getattr(event, "type", "") == "renamed":
            self.renamed.emit()

    def _on_content(self, event: Any = None) -> None:
        self._describe()
        self.content_changed.emit()

    def _list(self, chosen: Image | None, half: Image | None, mask: Image | None) -> None:
        maps = map_layers(self._viewer, without=[f"{KEY}/"])
        masks = [layer for layer in map_layers(self._viewer) if _may_be_mask(layer)]
        fill(self.map_box, [(layer.name, layer) for layer in maps], chosen)
        taken = self.map_layer
        halves = [(layer.name, layer) for layer in maps if layer is not taken]
        fill(self.half_box, [_NONE, *halves], half)
        fill(self.mask_box, [_NONE, *((layer.name, layer) for layer in masks if layer is not taken)], mask)
        for control in (self.map_box, self.half_box, self.mask_box, self.voxel_size):
            control.setEnabled(bool(maps))
        self._watched.undo()
        for one in (self.map_layer, self.half_layer, self.mask_layer):
            if one is not None:
                for emitter in (one.events.data, one.events.scale, one.events.translate, one.events.units):
                    self._watched.connect(emitter, self._on_content)
        self._describe()

    def _describe(self) -> None:
        """Show the voxel size and the box of the map that is chosen."""
        layer = self.map_layer
        size = None if layer is None else voxel_size_of(layer)
        self.voxel_size.blockSignals(True)
        self.voxel_size.setValue(0.0 if size is None else abs(size[-1]))
        self.voxel_size.blockSignals(False)
        words = ""
        if layer is not None:
            words = " × ".join(str(n) for n in reversed(layer.data.shape)) + " voxels"
            if size is not None:
                words += f" · {extent_words(layer.data.shape, size)}"
        self.size_label.setText(words)
        self.size_label.setVisible(bool(words))

    def _on_voxel_size(self, value: float) -> None:
        if value > 0:
            self.voxel_size_given.emit(value)
        self._describe()  # 0 is no voxel size: the one that the layer has stays


def extent_words(shape: tuple[int, ...], sizes: tuple[float, ...]) -> str:
    """Say how large a box is: ``144 Å``, or its three sides where they differ."""
    sides = [f"{n * abs(size):.0f}" for n, size in zip(reversed(shape), reversed(sizes), strict=True)]
    return f"{sides[0]} Å box" if len(set(sides)) == 1 else f"{' × '.join(sides)} Å box"


def _may_be_mask(layer: Image) -> bool:
    """Whether to offer a layer as the mask: any map, and the masks that the network gave."""
    key = key_of(layer)
    return not key.startswith(f"{KEY}/") or key.endswith("/mask")


def _layer(box: QComboBox) -> Image | None:
    layer: Image | None = box.currentData()
    return layer
