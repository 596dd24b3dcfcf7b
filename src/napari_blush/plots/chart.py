"""What charts in docks share: napari's colours, a line of words about what is under the mouse, export."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyqtgraph as pg
from qtpy.QtCore import QPointF, Qt
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QLabel, QToolButton, QVBoxLayout, QWidget

from blushcore.protocol import BlushError
from blushcore.volumes import atomic_file
from napari_blush.notices import say_error
from napari_blush.plots.theme import Palette, current_palette, follow_theme

if TYPE_CHECKING:
    from napari.components import ViewerModel

_FORMATS = "Picture (*.png);;Drawing (*.svg);;Table (*.csv)"
_READOUT_LINES = 2


class Chart(QWidget):
    """A chart in a dock. Subclasses add plots to `graphics` in `_build` and say what they show.

    Parameters
    ----------
    parent
        Qt's parent.
    viewer
        Whose theme to follow; without one, that of napari's settings.
    """

    file_name = "chart"
    """Of an exported file, without its ending."""

    def __init__(self, parent: QWidget | None = None, *, viewer: ViewerModel | None = None) -> None:
        super().__init__(parent)
        self.palette_of_theme = current_palette(viewer)
        self.graphics = pg.GraphicsLayoutWidget()
        self.graphics.ci.layout.setContentsMargins(2, 4, 10, 4)
        self.readout = WrappedLabel(" ", least_lines=_READOUT_LINES)
        self.readout.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
        button = QToolButton()
        button.setText("Export…")
        button.setToolTip("Save it as a picture (PNG, SVG) or a table (CSV)")
        button.clicked.connect(self._ask_and_export)
        below = QHBoxLayout()
        below.addWidget(self.readout, 1)
        below.addWidget(button, 0, Qt.AlignmentFlag.AlignTop)
        self.column = QVBoxLayout(self)
        self.column.setContentsMargins(4, 4, 4, 4)
        self.column.addWidget(self.graphics, 1)
        self.column.addLayout(below)
        self.setMinimumWidth(260)
        self._build()
        self.graphics.scene().sigMouseMoved.connect(self._on_hover)
        follow_theme(self, self._on_theme, viewer)

    def export(self, path: str | Path) -> None:
        """Write what is shown; the name's ending says how: ``.png`` or ``.svg`` a figure, ``.csv`` a table.

        Raises
        ------
        BlushError
            If the ending is another, or the file cannot be written; what was there before is then untouched.
        """
        path = Path(path)
        ending = path.suffix.lower()
        if ending not in (".png", ".svg", ".csv"):
            raise BlushError(
                f"It was not exported: {path.name} ends in none of .png, .svg and .csv.", "Give another name."
            )
        content = self._csv() if ending == ".csv" else self._figure(ending[1:])
        with atomic_file(path) as file:
            file.write(content)

    @abstractmethod
    def _build(self) -> None:
        """Make the plots."""

    @abstractmethod
    def _draw(self, palette: Palette) -> None:
        """Draw everything anew in these colours."""

    @abstractmethod
    def _words_at(self, place: QPointF | None) -> str:
        """Return what is to be said of a place in the scene; None: of the whole."""

    @abstractmethod
    def _csv(self) -> bytes:
        """Return the table."""

    @abstractmethod
    def _figure(self, file_format: str) -> bytes:
        """Return a figure on white, ``png`` or ``svg``."""

    def _redraw(self) -> None:
        self._draw(self.palette_of_theme)
        self.readout.setText(self._words_at(None))

    def _on_theme(self, palette: Palette) -> None:
        self.palette_of_theme = palette
        self.graphics.setBackground(palette.background)
        self._redraw()

    def _on_hover(self, place: QPointF) -> None:
        self.readout.setText(self._words_at(place))

    def _ask_and_export(self) -> None:
        name, kind = QFileDialog.getSaveFileName(self, "Export", f"{self.file_name}.png", _FORMATS)
        if not name:
            return
        if not Path(name).suffix:
            name += kind[kind.index("(*") + 2 : -1]
        try:
            self.export(name)
        except BlushError as error:
            say_error(error)


class WrappedLabel(QLabel):
    """A label whose lines are wrapped: a long text does not widen the dock, but is as high as it needs to be.

    Layouts know of that height too late, and put what has too little room over its neighbours. Once it was
    higher it stays so at that width: what stands above does not jump with each text.
    """

    def __init__(self, text: str = "", *, least_lines: int = 0) -> None:
        super().__init__()
        self.setWordWrap(True)
        self.setMinimumWidth(1)
        self._least_px = least_lines * self.fontMetrics().lineSpacing()
        self.setMinimumHeight(self._least_px)
        self.setText(text)

    def setText(self, text: str | None) -> None:  # noqa: N802
        """Show a text."""
        super().setText(text)
        self._claim(self.minimumHeight())

    def resizeEvent(self, event: Any) -> None:  # noqa: N802
        """Find out anew how high it needs to be."""
        super().resizeEvent(event)
        if event.oldSize().width() != event.size().width():
            self._claim(self._least_px)

    def _claim(self, least_px: int) -> None:
        if self.isVisible() and self.text().strip():
            least_px = max(least_px, self.heightForWidth(self.width()))
        if least_px != self.minimumHeight():
            self.setMinimumHeight(least_px)


def colour_axes(plot: pg.PlotItem, palette: Palette) -> None:
    """Draw the axes that a plot shows in the colours of a theme."""
    for name in ("left", "bottom", "right", "top"):
        axis = plot.getAxis(name)
        axis.setPen(pg.mkPen(palette.faint))
        axis.setTextPen(pg.mkPen(palette.ink))


def quiet_plot(plot: pg.PlotItem, owner: QWidget) -> None:
    """Take a plot's menus and buttons away."""
    plot.setMenuEnabled(False)
    menu = plot.ctrlMenu  # made all the same, and without a parent it would stay for ever
    menu.setParent(owner)
    menu.hide()
    plot.hideButtons()
