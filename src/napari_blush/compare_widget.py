"""The dock widget *Compare maps*: any two maps in a split view."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QPushButton, QVBoxLayout

from blushcore.protocol import BlushError
from napari_blush.background import Background
from napari_blush.layers.listing import list_events, map_layers
from napari_blush.layers.scale_bar import ScaleBar
from napari_blush.layers.split import SplitView
from napari_blush.layers.units import voxel_size_of
from napari_blush.layers.view import Connections, unwrapped
from napari_blush.panels.boxes import choice_box, fill
from napari_blush.panels.cards import Section, form_of, hint, restyle
from napari_blush.panels.dock import Dock
from napari_blush.panels.files import read_as_maps
from napari_blush.plots.theme import follow_theme
from napari_blush.reading import LayerData

if TYPE_CHECKING:
    from napari.layers import Image
    from napari.viewer import Viewer

_HINT = "Drag the divider on the canvas. In 3D the two maps stand side by side."
_TOO_FEW = "Open two maps of the same size to compare them: drop them here, or use File > Open."
_COMPARE, _STOP = "Compare", "Stop comparing"


class CompareWidget(Dock):
    """Choose two maps, and compare them at a divider (2D) or side by side (3D).

    Parameters
    ----------
    napari_viewer
        The viewer whose maps are compared.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__(napari_viewer)
        self._split: SplitView | None = None
        self._scale_bar = ScaleBar(napari_viewer)
        self._background = Background(self)
        self._left = choice_box("The map left of the divider")
        self._right = choice_box("The map right of the divider")
        self._button = QPushButton(_COMPARE)
        self._button.setObjectName("blushToggle")
        self._button.setCheckable(True)
        self._button.setToolTip("Show both in one view, with the same contrast; again: end that")
        self._message = hint(_HINT)
        section = Section("Two maps of one grid")
        section.body.addLayout(form_of(("Left", self._left), ("Right", self._right)))
        section.body.addWidget(self._button)
        section.body.addWidget(self._message)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 10, 6)
        layout.addWidget(section)
        layout.addStretch(1)
        self._button.clicked.connect(self._on_clicked)
        for box in (self._left, self._right):
            box.activated.connect(self._on_chosen)
        self._connections = Connections()
        for emitter in list_events(napari_viewer):
            self._connections.connect(emitter, self._list_maps)
        self.end_with(self._background.close, self._end_split, self._connections.undo)
        follow_theme(self, self.take_palette, napari_viewer)
        self._list_maps()

    @property
    def split_view(self) -> SplitView | None:
        """The comparison that is open."""
        return self._split

    def choose(self, left: Image, right: Image) -> None:
        """Choose the two maps, as a user does in the boxes."""
        self._list(unwrapped(left), unwrapped(right))
        self._on_chosen()

    def start(self) -> None:
        """Open the comparison; what stands in the way is said in the widget."""
        self._button.setChecked(True)
        self._on_clicked()

    def stop(self) -> None:
        """End the comparison."""
        if self._split is not None:
            self._split.close()

    def take_files(self, paths: list[Path]) -> None:
        """Open one map or two as layers, and choose them."""

        def add(found: list[LayerData]) -> None:
            from napari.layers import Image

            added = [Image(data, **arguments) for data, arguments, _ in found]
            for layer in added:
                self._viewer.add_layer(layer)
            if len(added) == 2:
                self.choose(*added)

        self._background.run(lambda: read_as_maps(paths), add, self.say_error)

    def _list_maps(self, event: Any = None) -> None:
        self._list(self._left.currentData(), self._right.currentData())

    def _list(self, left: Image | None, right: Image | None) -> None:
        """Offer the maps that there are; what is gone makes way for another, and the two differ."""
        maps = map_layers(self._viewer)
        entries = [(layer.name, layer) for layer in maps]
        fill(self._left, entries, left)
        others = [layer for layer in maps if layer is not self._left.currentData()]
        fill(self._right, entries, right if right in others else next(iter(others), None))
        self._button.setEnabled(len(maps) > 1)
        if self._split is None:
            self._say(_HINT if len(maps) > 1 else _TOO_FEW)

    def _on_chosen(self, index: int = 0) -> None:
        if self._split is not None:
            self._split.close()
            self.start()
        else:
            self._say(_HINT)

    def _on_clicked(self, checked: bool = True) -> None:
        if self._split is not None:
            self._split.close()
        if not self._button.isChecked():
            return
        try:
            self._split = SplitView(self._viewer, self._left.currentData(), self._right.currentData())
        except BlushError as error:
            self._button.setChecked(False)
            self._say(str(error), wrong=True)
            return
        self._split.closed.connect(self._on_closed)
        if voxel_size_of(self._split.before) is not None:
            self._scale_bar.show_once()
        self._say(_HINT)
        self._button.setText(_STOP)

    def _on_closed(self) -> None:
        self._split = None
        self._button.setChecked(False)
        self._button.setText(_COMPARE)
        self._list_maps()

    def _end_split(self) -> None:
        """Close the view with the dock, whose own controls are not touched any more."""
        split, self._split = self._split, None
        if split is not None:
            split.closed.disconnect(self._on_closed)
            split.close()

    def _say(self, sentence: str, *, wrong: bool = False) -> None:
        self._message.setText(sentence)
        self._message.setObjectName("blushError" if wrong else "blushHint")
        restyle(self._message)
