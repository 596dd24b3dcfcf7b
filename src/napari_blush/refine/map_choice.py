"""A map that is needed as a file: chosen among the viewer's layers, or as a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QComboBox, QFileDialog, QVBoxLayout, QWidget

from blushcore.volumes import write_map
from napari_blush.layers.listing import list_events, map_layers
from napari_blush.layers.maps import METADATA, volume_of
from napari_blush.layers.view import Connections, unwrapped
from napari_blush.panels.cards import hint
from napari_blush.panels.files import MAP_FILES

if TYPE_CHECKING:
    from napari.layers import Image
    from napari.viewer import Viewer

_OPEN = "a file …"
_LIVE = "live/"


class MapChoice(QWidget):
    """A box with the viewer's maps, a file that was chosen, and the way to choose one.

    Parameters
    ----------
    viewer
        Whose layers are offered.
    title
        Of the dialog.
    nothing
        What choosing none is called.
    tooltip
        What it is for, with units.
    """

    changed = Signal()

    def __init__(self, viewer: Viewer, title: str, nothing: str, tooltip: str) -> None:
        super().__init__()
        self.setObjectName("blushPlain")
        self._viewer, self._title, self._nothing = viewer, title, nothing
        self._files: list[Path] = []
        self.box = QComboBox()
        self.box.setToolTip(tooltip)
        self.box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.box.setMinimumContentsLength(10)
        self.error_label = hint()
        self.error_label.setObjectName("blushError")
        self.error_label.hide()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(3)
        column.addWidget(self.box)
        column.addWidget(self.error_label)
        self._connections = Connections()
        for emitter in list_events(viewer):
            self._connections.connect(emitter, self._on_layers)
        self.box.activated.connect(self._on_activated)
        self._chosen: Any = None
        self._list()

    def disconnect_viewer(self) -> None:
        """Hear no more of the viewer."""
        self._connections.undo()

    @property
    def layer(self) -> Image | None:
        """The layer that is chosen; None for a file or nothing."""
        return None if self._chosen is None or isinstance(self._chosen, Path) else self._chosen

    @property
    def path(self) -> Path | None:
        """The file that is chosen, or that the chosen layer was read from."""
        if isinstance(self._chosen, Path):
            return self._chosen
        path = None if self._chosen is None else _file_of(self._chosen)
        return path if path is not None and path.is_file() else None

    @property
    def is_chosen(self) -> bool:
        """Whether anything is chosen."""
        return self._chosen is not None

    def choose(self, chosen: Image | Path | None) -> None:
        """Choose a layer, a file or nothing, as a user does."""
        if isinstance(chosen, Path):
            shown = next(
                (layer for layer in map_layers(self._viewer, without=(_LIVE,)) if _file_of(layer) == chosen),
                None,
            )
            if shown is None and chosen not in self._files:
                self._files.append(chosen)
            self._chosen = chosen if shown is None else shown
        else:
            self._chosen = None if chosen is None else unwrapped(chosen)
        self._list()
        self.changed.emit()

    def file_for(self, folder: Path) -> Path | None:
        """Return a file of what is chosen: its own, or, of a layer that has none, one written into `folder`.

        Raises
        ------
        BlushError
            If the layer is no map, has no voxel size, or the file cannot be written.
        """
        if self.path is not None or self.layer is None:
            return self.path
        safe = "".join(c if c.isalnum() or c in "-_." else "_" for c in self.layer.name) or "map"
        path = folder / f"{safe}.mrc"
        write_map(path, volume_of(self.layer))
        return path

    def set_error(self, sentence: str) -> None:
        """Say what is wrong with it, or nothing."""
        self.error_label.setText(sentence)
        self.error_label.setVisible(bool(sentence))

    def _list(self) -> None:
        self.box.clear()
        self.box.addItem(self._nothing, None)
        for layer in map_layers(self._viewer, without=(_LIVE,)):
            self.box.addItem(layer.name, layer)
        for path in self._files:
            self.box.addItem(path.name, path)
            self.box.setItemData(self.box.count() - 1, str(path), 3)  # Qt.ToolTipRole
        self.box.addItem(_OPEN, _OPEN)
        self.box.setCurrentIndex(max(0, self._index()))

    def _index(self) -> int:
        for index in range(self.box.count()):
            data = self.box.itemData(index)
            if data is self._chosen or (isinstance(data, Path) and data == self._chosen):
                return index
        return -1

    def _on_layers(self, event: Any = None) -> None:
        self._list()
        if self._index() < 0:  # the layer was removed
            self._chosen = None
            self.changed.emit()

    def _on_activated(self, index: int) -> None:
        chosen = self.box.itemData(index)
        if isinstance(chosen, str):
            name, _ = QFileDialog.getOpenFileName(self, self._title, "", MAP_FILES)
            self.choose(Path(name) if name else self._chosen)
        else:
            self._chosen = chosen
            self.changed.emit()


def _file_of(layer: Image) -> Path | None:
    """Return the file that a layer was read from."""
    kept = layer.metadata.get(METADATA, {}).get("path")
    return Path(kept) if kept else None
