"""The dock widget *Compare maps*: any two maps in a split view."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QComboBox, QFormLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from blushcore.protocol import BlushError
from napari_blush.layers.maps import METADATA
from napari_blush.layers.scale_bar import ScaleBar
from napari_blush.layers.split import SplitView
from napari_blush.layers.units import voxel_size_of
from napari_blush.layers.view import Connections, unwrapped

if TYPE_CHECKING:
    from napari.layers import Image
    from napari.viewer import Viewer

_HINT = "Drag the divider on the canvas. In 3D the two maps stand side by side."
_TOO_FEW = "Open two maps of the same size to compare them."


class CompareWidget(QWidget):
    """Choose two maps, and compare them at a divider (2D) or side by side (3D).

    Parameters
    ----------
    napari_viewer
        The viewer whose maps are compared.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self._split: SplitView | None = None
        self._scale_bar = ScaleBar(napari_viewer)
        self._left, self._right = QComboBox(), QComboBox()
        self._left.setToolTip("The map left of the divider")
        self._right.setToolTip("The map right of the divider")
        self._button = QPushButton("Compare")
        self._button.setCheckable(True)
        self._button.clicked.connect(self._on_clicked)
        self._message = QLabel(_HINT)
        self._message.setWordWrap(True)
        form = QFormLayout()
        form.addRow("Left", self._left)
        form.addRow("Right", self._right)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addWidget(self._button)
        layout.addWidget(self._message)
        layout.addStretch(1)
        for box in (self._left, self._right):
            box.activated.connect(self._on_chosen)
        self._connections = Connections()
        events = napari_viewer.layers.events
        for emitter in (events.inserted, events.removed, events.renamed, events.reordered):
            self._connections.connect(emitter, self._list_maps)
        self.destroyed.connect(self._connections.undo)
        self._list_maps()

    @property
    def split_view(self) -> SplitView | None:
        """The comparison that is open."""
        return self._split

    def choose(self, left: Image, right: Image) -> None:
        """Choose the two maps, as a user does in the boxes."""
        for box, layer in ((self._left, left), (self._right, right)):
            box.setCurrentIndex(box.findData(unwrapped(layer)))
        self._on_chosen()

    def start(self) -> None:
        """Open the comparison; what stands in the way is said in the widget."""
        self._button.setChecked(True)
        self._on_clicked()

    def stop(self) -> None:
        """End the comparison."""
        if self._split is not None:
            self._split.close()

    def closeEvent(self, event: Any) -> None:  # noqa: N802
        """End the comparison with the widget."""
        self.stop()
        self._connections.undo()
        super().closeEvent(event)

    def _maps(self) -> list[Image]:
        from napari.layers import Image

        layers = [unwrapped(layer) for layer in self._viewer.layers]
        return [
            layer
            for layer in layers
            if isinstance(layer, Image)
            and layer.ndim == 3
            and not layer.rgb
            and not layer.metadata.get(METADATA, {}).get("split_view")
        ]

    def _list_maps(self, event: Any = None) -> None:
        maps = self._maps()
        for number, box in enumerate((self._left, self._right)):
            chosen = box.currentData()
            box.clear()
            for layer in maps:
                box.addItem(layer.name, layer)
            kept = box.findData(chosen) if chosen is not None else -1
            box.setCurrentIndex(kept if kept >= 0 else min(number, len(maps) - 1))
        enough = len(maps) > 1
        if enough and self._left.currentIndex() == self._right.currentIndex():
            self._right.setCurrentIndex((self._left.currentIndex() + 1) % len(maps))
        self._button.setEnabled(enough)
        if self._split is None:
            self._message.setText(_HINT if enough else _TOO_FEW)

    def _on_chosen(self, index: int = 0) -> None:
        if self._split is not None:
            self._split.close()
            self.start()

    def _on_clicked(self, checked: bool = True) -> None:
        if self._split is not None:
            self._split.close()
        if not self._button.isChecked():
            return
        try:
            self._split = SplitView(self._viewer, self._left.currentData(), self._right.currentData())
        except BlushError as error:
            self._button.setChecked(False)
            self._message.setText(str(error))
            return
        self._split.closed.connect(self._on_closed)
        if voxel_size_of(self._split.before) is not None:
            self._scale_bar.show_once()
        self._message.setText(_HINT)
        self._button.setText("Stop comparing")

    def _on_closed(self) -> None:
        self._split = None
        self._button.setChecked(False)
        self._button.setText("Compare")
        self._list_maps()
