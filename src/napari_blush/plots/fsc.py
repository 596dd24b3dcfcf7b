"""Fourier shell correlation in a dock: curves, their resolution, values under the mouse, export."""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyqtgraph as pg
from qtpy.QtCore import QPointF, QSize, Qt
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QLabel, QToolButton, QVBoxLayout, QWidget

from blushcore.protocol import BlushError
from blushcore.volumes import atomic_file
from napari_blush.notices import say_error
from napari_blush.plots.axes import ResolutionAxis, frequency_axis
from napari_blush.plots.fsc_figure import fsc_figure
from napari_blush.plots.theme import Palette, current_palette, follow_theme

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from numpy.typing import ArrayLike

HALF_MAP_THRESHOLD = 0.143
_AXIS_PX = 38
"""Height of an axis with its label."""
_DASHES = {"solid": Qt.PenStyle.SolidLine, "dashed": Qt.PenStyle.DashLine, "dotted": Qt.PenStyle.DotLine}
_STROKES = {"solid": "━━━", "dashed": "╍╍╍", "dotted": "┅┅┅"}
_LEAST_HEIGHT_PX = 210
_READOUT_LINES = 2
_FORMATS = "Picture (*.png);;Drawing (*.svg);;Table (*.csv)"


@dataclass(frozen=True, eq=False)
class Curve:
    """A curve over Fourier shells.

    Attributes
    ----------
    name
        What the legend says.
    values
        One a shell, from shell 0 on.
    colour
        ``#rrggbb``, or the place of a colour in the theme's palette (0 is the most important), so that it
        changes with the theme; without one, its place in the list.
    style
        How the line is drawn.
    width
        In pixels.
    quote_resolution
        Whether the plot says where the curve crosses the threshold. Not for denoised halves: their FSC is no
        resolution estimate.
    """

    name: str
    values: ArrayLike
    colour: str | int | None = None
    style: Literal["solid", "dashed", "dotted"] = "solid"
    width: float = 2.0
    quote_resolution: bool = True


class FscPlot(QWidget):
    """A plot of FSC curves over spatial frequency, in the colours of napari's theme.

    Drag to move, wheel to zoom, double click or *A* to see all. Under the mouse the values are said in words.
    The button exports what is shown as PNG, SVG or CSV.

    Parameters
    ----------
    parent
        Qt's parent.
    viewer
        Whose theme to follow; without one, that of napari's settings.
    """

    def __init__(self, parent: QWidget | None = None, *, viewer: ViewerModel | None = None) -> None:
        super().__init__(parent)
        self._curves: tuple[Curve, ...] = ()
        self._box_size_angstrom = 1.0
        self._threshold: float | None = HALF_MAP_THRESHOLD
        self._viewer = viewer
        self._palette = current_palette(viewer)

        self._graphics = pg.PlotWidget(axisItems={"bottom": frequency_axis(), "top": ResolutionAxis()})
        self._plot: pg.PlotItem = self._graphics.getPlotItem()
        self._plot.setMenuEnabled(False)
        menu = self._plot.ctrlMenu  # made all the same, and without a parent it would stay for ever
        menu.setParent(self._graphics)
        menu.hide()
        self._plot.hideButtons()
        self._plot.showAxis("top")
        self._plot.showAxis("right")
        self._plot.getAxis("right").setStyle(showValues=False, tickLength=0)
        self._plot.getAxis("left").enableAutoSIPrefix(False)
        self._plot.getAxis("left").setTickSpacing(0.2, 0.2)
        for name in ("bottom", "top"):
            self._plot.getAxis(name).setHeight(_AXIS_PX)
        self._plot.layout.setContentsMargins(2, 4, 14, 8)
        self._plot.setLimits(yMin=-1.1, yMax=1.1)
        # Beside the curves, not over them: a dock is narrow.
        self._legend, self._warning, self._readout = QLabel(), QLabel(), QLabel(" ")
        self._legend.setTextFormat(Qt.TextFormat.RichText)
        for label in (self._legend, self._warning, self._readout):
            label.setWordWrap(True)
            label.setMinimumWidth(1)  # a long line must not widen the dock
        self._warning.hide()
        self._readout.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
        self._readout.setMinimumHeight(_READOUT_LINES * self._readout.fontMetrics().lineSpacing())
        self._export_button = QToolButton()
        self._export_button.setText("Export…")
        self._export_button.setToolTip("Save the curves as a picture (PNG, SVG) or a table (CSV)")
        self._export_button.clicked.connect(self._ask_and_export)

        below = QHBoxLayout()
        below.addWidget(self._readout, 1)
        below.addWidget(self._export_button, 0, Qt.AlignmentFlag.AlignTop)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addWidget(self._graphics, 1)
        layout.addWidget(self._legend)
        layout.addLayout(below)
        layout.addWidget(self._warning)
        self.setMinimumWidth(260)
        self._graphics.setMinimumHeight(_LEAST_HEIGHT_PX)
        self._graphics.scene().sigMouseMoved.connect(self._on_hover)
        self._graphics.scene().sigMouseClicked.connect(self._on_click)
        follow_theme(self, self._apply, viewer)

    def sizeHint(self) -> QSize:  # noqa: N802
        """Leave most of the window to the maps."""
        return QSize(420, 340)

    # --- what is shown ----------------------------------------------------------------------------------------

    @property
    def curves(self) -> tuple[Curve, ...]:
        """The curves that are shown."""
        return self._curves

    def set_curves(
        self,
        curves: Sequence[Curve],
        box_size_angstrom: float,
        *,
        threshold: float | None = HALF_MAP_THRESHOLD,
        warning: str = "",
    ) -> None:
        """Show curves; a view that was zoomed stays unless the box changes.

        Parameters
        ----------
        curves
            Each with one value a shell; they may differ in length. The last is drawn on top.
        box_size_angstrom
            Length of the box's side in Å: voxels times voxel size.
        threshold
            Where a line is drawn and the resolution of the curves read off; None for no line.
        warning
            A sentence below the plot.
        """
        if not box_size_angstrom > 0:
            raise ValueError(f"the box has a size in Å, got {box_size_angstrom}")
        longest = max((np.size(curve.values) for curve in curves), default=0)
        changed = box_size_angstrom != self._box_size_angstrom or longest != self._shells
        self._curves, self._box_size_angstrom = tuple(curves), box_size_angstrom
        self._threshold = threshold
        self._warning.setText(warning)
        self._warning.setVisible(bool(warning))
        self._readout.setText(self._resolutions())
        self._draw()
        if changed:
            self.show_all()

    def clear(self) -> None:
        """Show no curve."""
        self.set_curves((), self._box_size_angstrom)

    def show_all(self) -> None:
        """Zoom out to all shells."""
        lowest = min((float(np.min(curve.values)) for curve in self._curves), default=0.0)
        highest = max((self._shells - 1) / self._box_size_angstrom, 1e-6)
        self._plot.setXRange(0, highest, padding=0)
        self._plot.setYRange(max(-1.02, min(-0.06, lowest - 0.04)), 1.04, padding=0)

    @property
    def _shells(self) -> int:
        return max((np.size(curve.values) for curve in self._curves), default=0)

    def _frequencies(self, curve: Curve) -> np.ndarray:
        return np.arange(np.size(curve.values)) / self._box_size_angstrom

    def _resolutions(self) -> str:
        """Say where the curves cross the threshold: that is what a half-map plot is looked at for."""
        if self._threshold is None or not self._curves:
            return " "
        found = [
            f"{curve.name}: {crossing_angstrom(curve.values, self._box_size_angstrom, self._threshold)}"
            for curve in self._curves
            if curve.quote_resolution
        ]
        if not found:
            return " "
        return f"At {self._threshold:g}:\n" + "   ".join(found)

    # --- drawing ----------------------------------------------------------------------------------------------

    def _apply(self, palette: Palette) -> None:
        self._palette = palette
        self._graphics.setBackground(palette.background)
        for name in ("bottom", "left", "top", "right"):
            axis = self._plot.getAxis(name)
            axis.setPen(pg.mkPen(palette.faint))
            axis.setTextPen(pg.mkPen(palette.ink))
        label = {"color": palette.ink, "font-size": "9pt"}
        self._plot.setLabel("bottom", "spatial frequency (1/Å)", **label)
        self._plot.setLabel("top", "resolution (Å)", **label)
        self._plot.setLabel("left", "Fourier shell correlation", **label)
        self._plot.getAxis("left").setGrid(28)
        self._warning.setStyleSheet(f"color: {palette.curves[1]};")
        self._draw()

    def _colour(self, number: int, curve: Curve) -> str:
        if isinstance(curve.colour, str):
            return curve.colour
        place = number if curve.colour is None else curve.colour
        return self._palette.curves[place % len(self._palette.curves)]

    def _draw(self) -> None:
        self._plot.clear()
        self._legend.setText(self._legend_html())
        faint = self._palette.faint
        self._plot.addItem(pg.InfiniteLine(0, angle=0, pen=pg.mkPen(faint, width=1)), ignoreBounds=True)
        if self._threshold is not None:
            line = pg.InfiniteLine(
                self._threshold,
                angle=0,
                pen=pg.mkPen(self._palette.ink, width=1, style=Qt.PenStyle.DotLine),
                label=f"{self._threshold:g}",
                labelOpts={"position": 0.03, "anchors": [(0, 1), (0, 1)], "color": self._palette.ink},
            )
            self._plot.addItem(line, ignoreBounds=True)
        for number, curve in enumerate(self._curves):
            pen = pg.mkPen(self._colour(number, curve), width=curve.width, style=_DASHES[curve.style])
            # Shell 0 is 1 by definition and tells nothing.
            self._plot.plot(
                self._frequencies(curve)[1:],
                np.asarray(curve.values, dtype=np.float64)[1:],
                pen=pen,
                name=curve.name,
                antialias=True,
            )
        self._cursor = pg.InfiniteLine(angle=90, pen=pg.mkPen(faint, width=1))
        self._cursor.hide()
        self._plot.addItem(self._cursor, ignoreBounds=True)

    def _legend_html(self) -> str:
        """Return the curves' strokes and names, the last curve first, for it is the most important."""
        entries = [
            f'<span style="color: {self._colour(number, curve)}">{_STROKES[curve.style]}</span>&nbsp;'
            + html.escape(curve.name).replace(" ", "&nbsp;")
            for number, curve in enumerate(self._curves)
        ]
        return " &nbsp; ".join(reversed(entries))

    # --- under the mouse --------------------------------------------------------------------------------------

    def _on_hover(self, place: QPointF) -> None:
        inside = bool(self._curves) and self._plot.vb.sceneBoundingRect().contains(place)
        frequency = self._plot.vb.mapSceneToView(place).x() if inside else 0.0
        shell = round(frequency * self._box_size_angstrom)
        if not inside or not 1 <= shell < self._shells:
            self._cursor.hide()
            self._readout.setText(self._resolutions())
            return
        self._cursor.setPos(shell / self._box_size_angstrom)
        self._cursor.show()
        self._readout.setText(self.values_at(shell))

    def values_at(self, shell: int) -> str:
        """Return a shell's resolution and the curves' values there, in words."""
        values = [
            f"{curve.name} {np.asarray(curve.values)[shell]:.3f}"
            for curve in self._curves
            if shell < np.size(curve.values)
        ]
        return f"{self._box_size_angstrom / shell:.2f} Å (shell {shell}):\n" + "   ".join(values)

    def _on_click(self, event: Any) -> None:
        if event.double():
            self.show_all()

    # --- export -----------------------------------------------------------------------------------------------

    def export(self, path: str | Path) -> None:
        """Write the curves; the name's ending says how: ``.png`` or ``.svg`` a figure, ``.csv`` a table.

        Raises
        ------
        BlushError
            If the ending is another, or the file cannot be written; what was there before is then untouched.
        """
        path = Path(path)
        ending = path.suffix.lower()
        if ending == ".csv":
            content = self._csv()
        elif ending in (".png", ".svg"):
            content = self._figure(ending[1:])
        else:
            raise BlushError(
                f"The curves were not exported: {path.name} ends in none of .png, .svg and .csv.",
                "Give another name.",
            )
        with atomic_file(path) as file:
            file.write(content)

    def _figure(self, file_format: str) -> bytes:
        return fsc_figure(self._curves, self._box_size_angstrom, self._threshold, file_format)

    def _csv(self, curves: Sequence[Curve] | None = None) -> bytes:
        curves = self._curves if curves is None else curves
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        names = [curve.name for curve in curves]
        writer.writerow(["shell", "frequency (1/angstrom)", "resolution (angstrom)", *names])
        for shell in range(self._shells):
            values = [
                f"{np.asarray(curve.values)[shell]:.6g}" if shell < np.size(curve.values) else ""
                for curve in curves
            ]
            resolution = f"{self._box_size_angstrom / shell:.6g}" if shell else ""
            writer.writerow([shell, f"{shell / self._box_size_angstrom:.6g}", resolution, *values])
        return text.getvalue().encode()

    def _ask_and_export(self) -> None:
        name, kind = QFileDialog.getSaveFileName(self, "Export the FSC curves", "fsc.png", _FORMATS)
        if not name:
            return
        if not Path(name).suffix:
            name += kind[kind.index("(*") + 2 : -1]
        try:
            self.export(name)
        except BlushError as error:
            say_error(error)


def crossing_angstrom(values: ArrayLike, box_size_angstrom: float, threshold: float) -> str:
    """Say where a curve first falls below a threshold, as `blushcore.shells.resolution` finds it."""
    from blushcore.shells.resolution import resolution

    found = resolution(values, box_size_angstrom, threshold)
    if found.reaches_nyquist:
        return f"{found.angstrom:.2f} Å (Nyquist)"
    return "none" if found.shell == 0 else f"{found.interpolated_angstrom:.2f} Å"
