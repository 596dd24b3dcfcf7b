"""Which particles are refined: a STAR file, what is in it, and how its images look."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QLineEdit, QPushButton, QWidget

from blushcore.particles import read_star_images
from napari_blush.background import Background
from napari_blush.panels.cards import Section, hint, restyle
from napari_blush.refine.gallery import COLUMNS, ROWS, Gallery, tile_of

if TYPE_CHECKING:
    from napari.viewer import Viewer

STAR_FILES = "Particles (*.star);;All files (*)"


@dataclass(frozen=True)
class ParticleFacts:
    """What a STAR file says of its particles, and the first images."""

    path: Path
    count: int
    box: int
    pixel_size: float | None
    warnings: tuple[str, ...]
    tiles: tuple[NDArray[np.uint8], ...]

    @classmethod
    def of(cls, path: Path) -> ParticleFacts:
        """Read the file and its first images.

        Raises
        ------
        BlushError
            If it cannot be read, or its stacks are not there.
        """
        images = read_star_images(path)
        count, box = int(images.shape[0]), int(images.shape[1])
        tiles = tuple(tile_of(images.image(index)) for index in range(min(count, COLUMNS * ROWS)))
        return cls(path, count, box, images.pixel_size, tuple(images.warnings), tiles)

    @property
    def words(self) -> str:
        """Count, box and pixel size in a line."""
        size = "pixel size not known" if self.pixel_size is None else f"{self.pixel_size:.4g} Å a pixel"
        extent = "" if self.pixel_size is None else f" · {self.box * self.pixel_size:.0f} Å box"
        return f"{self.count:,} images · {self.box} pixels · {size}{extent}".replace(",", "\u202f")


class FileLine(QWidget):
    """A file's or folder's name that can be typed, and a button that opens a dialog for it."""

    changed = Signal()
    asked = Signal()

    def __init__(
        self, placeholder: str, tooltip: str, button: str = "…", parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setObjectName("blushPlain")
        self.line = QLineEdit()
        self.line.setPlaceholderText(placeholder)
        self.button = QPushButton(button)
        self.button.setMaximumWidth(34)
        for widget in (self.line, self.button):
            widget.setToolTip(tooltip)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        row.addWidget(self.line, 1)
        row.addWidget(self.button)
        self.line.editingFinished.connect(self.changed)
        self.button.clicked.connect(self.asked)

    @property
    def path(self) -> Path | None:
        """What is in the line; None for nothing."""
        text = self.line.text().strip()
        return Path(text).expanduser() if text else None

    @path.setter
    def path(self, path: Path | None) -> None:
        self.line.setText("" if path is None else str(path))
        self.line.setCursorPosition(len(self.line.text()))
        self.changed.emit()


class ParticlesPanel(Section):
    """Chooses the particles; shows count, box, pixel size and the first images."""

    chosen = Signal()
    """Another file was named; `facts` come later."""
    came = Signal()
    """`facts` are those of the file that is named, or there is an error."""

    opened = Signal()
    """The images are a layer of the viewer now."""

    def __init__(self, viewer: Viewer, background: Background, parent: QWidget | None = None) -> None:
        super().__init__("Particles", parent)
        self._viewer, self._background = viewer, background
        self._path: Path | None = None
        self.facts: ParticleFacts | None = None
        self.file = FileLine(
            "particles.star", "STAR file of particles (RELION 3.0 to 5); drop one on this panel"
        )
        self.size_label = hint()
        self.size_label.setToolTip("Number of images, box (pixels and Å), pixel size (Å)")
        self.gallery = Gallery()
        self.warning_label = hint()
        self.warning_label.setObjectName("blushWarning")
        self.error_label = hint()
        self.error_label.setObjectName("blushError")
        self.open_button = QPushButton("Show all images")
        self.open_button.setObjectName("blushPlainButton")
        self.open_button.setToolTip("Open the images as a layer, with the circle of the diameter (Å) on it")
        self.open_button.clicked.connect(self.open_images)
        parts = (self.file, self.error_label, self.size_label, self.gallery, self.open_button)
        for widget in (*parts, self.warning_label):
            self.body.addWidget(widget)
            widget.setVisible(widget is self.file)
        self.file.changed.connect(self._on_changed)
        self.file.asked.connect(self._ask)

    @property
    def path(self) -> Path | None:
        """The STAR file."""
        return self._path

    def choose(self, path: Path | None) -> None:
        """Take a STAR file, as a user does."""
        self.file.path = path

    def set_error(self, sentence: str) -> None:
        """Say what is wrong with the file, or nothing."""
        self.error_label.setText(sentence)
        self.error_label.setVisible(bool(sentence))
        self.file.line.setProperty("wrong", bool(sentence))
        restyle(self.file.line)

    def open_images(self) -> None:
        """Open the images as a layer; they are read when they are looked at."""
        path = self._path
        if path is None:
            return
        from napari.layers import Image

        from napari_blush.reading import read_images

        def add(found: Any) -> None:
            if path == self._path:
                self._viewer.add_layer(Image(found[0][0], **found[0][1]))
                self.opened.emit()

        self._background.run(lambda: read_images(str(path)), add, self._on_failure)

    def show_diameter(self, diameter: float) -> None:
        """Draw the circle of a diameter in Å on the images; 0 for none."""
        size = None if self.facts is None else self.facts.pixel_size
        self.gallery.diameter_px = 0.0 if size is None else diameter / size

    def _ask(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, "Particles", str(self._path or ""), STAR_FILES)
        if name:
            self.choose(Path(name))

    def _on_changed(self) -> None:
        path = self.file.path
        if path == self._path:
            return
        self._path, self.facts = path, None
        self.set_error("")
        self._show()
        self.chosen.emit()
        if path is not None:
            self._background.run(
                lambda: ParticleFacts.of(path), self._on_facts, self._on_failure, instead_of="particles"
            )

    def _on_facts(self, facts: ParticleFacts) -> None:
        if facts.path == self._path:
            self.facts = facts
            self._show()
            self.came.emit()

    def _on_failure(self, error: Exception) -> None:
        self.set_error(str(error))
        self.came.emit()

    def _show(self) -> None:
        facts = self.facts
        warnings = "" if facts is None else "\n".join(facts.warnings)
        self.size_label.setText("" if facts is None else facts.words)
        self.warning_label.setText(warnings)
        self.gallery.set_tiles([] if facts is None else list(facts.tiles), 1 if facts is None else facts.box)
        self.size_label.setVisible(facts is not None)
        self.gallery.setVisible(facts is not None)
        self.open_button.setVisible(facts is not None)
        self.warning_label.setVisible(bool(warnings))
