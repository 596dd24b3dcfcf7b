"""Which map is denoised: layers, voxel size, files dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QComboBox, QDoubleSpinBox, QFormLayout, QWidget

from napari_blush.denoise_layers import KEY
from napari_blush.layers.maps import METADATA
from napari_blush.layers.units import voxel_size_of
from napari_blush.layers.view import Connections, unwrapped
from napari_blush.panels.cards import Section, hint

if TYPE_CHECKING:
    from napari.layers import Image
    from napari.viewer import Viewer

_LARGEST_VOXEL = 20.0
_NONE = "none"


class InputPanel(Section):
    """Chooses a map, perhaps its other half and a mask, among the viewer's layers."""

    chosen = Signal()
    """Another map, half or mask was chosen, or one is gone."""
    voxel_size_given = Signal(float)
    """Å; typed by the user."""

    def __init__(self, viewer: Viewer, parent: QWidget | None = None) -> None:
        super().__init__("Map", parent)
        self._viewer = viewer
        self.map_box, self.half_box, self.mask_box = QComboBox(), QComboBox(), QComboBox()
        self.map_box.setToolTip("The map to denoise; a file dropped on this panel is opened")
        self.half_box.setToolTip(
            "The other half-map of the same reconstruction: denoised by itself; the FSC of both is shown"
        )
        self.mask_box.setToolTip(
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
        for box in (self.map_box, self.half_box, self.mask_box):
            box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            box.setMinimumContentsLength(10)
            box.activated.connect(self._on_activated)
        form = QFormLayout()
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for label, widget in (
            ("Map", self.map_box),
            ("Second half", self.half_box),
            ("Mask", self.mask_box),
            ("Voxel size", self.voxel_size),
        ):
            form.addRow(label, widget)
        self.body.addLayout(form)
        self.size_label = hint()
        self.body.addWidget(self.size_label)
        self.voxel_size.valueChanged.connect(self._on_voxel_size)
        self._connections = Connections()
        events = viewer.layers.events
        for emitter in (events.inserted, events.removed, events.renamed):
            self._connections.connect(emitter, self._on_layers)
        self._list(None)

    def disconnect_viewer(self) -> None:
        """Hear no more of the viewer."""
        self._connections.undo()

    @property
    def map_layer(self) -> Image | None:
        """The map that is chosen."""
        return _layer(self.map_box)

    @property
    def half_layer(self) -> Image | None:
        """Its other half."""
        return _layer(self.half_box)

    @property
    def mask_layer(self) -> Image | None:
        """The mask."""
        return _layer(self.mask_box)

    def choose(
        self, map_layer: Image, half_layer: Image | None = None, mask_layer: Image | None = None
    ) -> None:
        """Choose layers, as a user does in the boxes."""
        self._list(unwrapped(map_layer))
        for box, layer in ((self.half_box, half_layer), (self.mask_box, mask_layer)):
            box.setCurrentIndex(0 if layer is None else _index(box, layer))
        self._describe()
        self.chosen.emit()

    def _on_activated(self, index: int) -> None:
        self._describe()
        self.chosen.emit()

    def _on_layers(self, event: Any = None) -> None:
        before = (self.map_layer, self.half_layer, self.mask_layer)
        self._list(self.map_layer)
        if before != (self.map_layer, self.half_layer, self.mask_layer):
            self.chosen.emit()

    def _list(self, chosen: Image | None) -> None:
        maps, masks = _maps(self._viewer), _maps(self._viewer, with_masks=True)
        kept = {self.half_box: self.half_layer, self.mask_box: self.mask_layer}
        self.map_box.clear()
        for layer in maps:
            self.map_box.addItem(layer.name, layer)
        if maps:
            self.map_box.setCurrentIndex(max(0, _index(self.map_box, chosen)))
        for box, layer in kept.items():
            box.clear()
            box.addItem(_NONE, None)
            for other in masks if box is self.mask_box else maps:
                box.addItem(other.name, other)
            box.setCurrentIndex(max(0, _index(box, layer)))
        for control in (self.map_box, *kept, self.voxel_size):
            control.setEnabled(bool(maps))
        self._describe()

    def _describe(self) -> None:
        """Show the voxel size and the box of the map that is chosen."""
        layer = self.map_layer
        sizes = None if layer is None else voxel_size_of(layer)
        self.voxel_size.blockSignals(True)
        self.voxel_size.setValue(0 if sizes is None else sizes[-1])
        self.voxel_size.blockSignals(False)
        self.size_label.setVisible(layer is not None)
        if layer is None:
            return
        voxels = " × ".join(str(n) for n in reversed(layer.data.shape))
        box = "" if sizes is None else " · " + extent_words(layer.data.shape, sizes)
        self.size_label.setText(f"{voxels} voxels{box}")

    def _on_voxel_size(self, value: float) -> None:
        if value > 0:
            self.voxel_size_given.emit(value)
            self._describe()


def extent_words(shape: tuple[int, ...], sizes: tuple[float, ...]) -> str:
    """Say how large a box is: ``144 Å``, or its three sides where they differ."""
    sides = [f"{n * size:.0f}" for n, size in zip(reversed(shape), reversed(sizes), strict=True)]
    return f"{sides[0]} Å box" if len(set(sides)) == 1 else f"{' × '.join(sides)} Å box"


def _layer(box: QComboBox) -> Image | None:
    layer: Image | None = box.currentData()
    return layer


def _index(box: QComboBox, layer: Image | None) -> int:
    """Return where a layer stands in a box: by identity, since Qt compares data by value."""
    for index in range(box.count()):
        if layer is not None and box.itemData(index) is unwrapped(layer):
            return index
    return -1


def _maps(viewer: Viewer, *, with_masks: bool = False) -> list[Image]:
    """Return the viewer's maps, without what this plugin made of them, but with its masks if wanted."""
    from napari.layers import Image

    found = []
    for layer in map(unwrapped, viewer.layers):
        if not isinstance(layer, Image) or layer.ndim != 3 or layer.rgb or layer.multiscale:
            continue
        kept = layer.metadata.get(METADATA, {})
        key = str(kept.get("key", ""))
        ours = key.startswith(f"{KEY}/") and not (with_masks and key.endswith("/mask"))
        if not kept.get("split_view") and not ours:
            found.append(layer)
    return found
