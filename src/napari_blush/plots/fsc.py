"""Fourier shell correlation in a dock: curves, their resolution, values under the mouse, export."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyqtgraph as pg
from qtpy.QtCore import QPointF, QSize, Qt

from napari_blush.plots.axes import LeftAxis, ResolutionAxis, frequency_axis
from napari_blush.plots.chart import Chart, WrappedLabel, colour_axes, quiet_plot
from napari_blush.plots.export import table
from napari_blush.plots.fsc_figure import fsc_figure, value_range
from napari_blush.plots.theme import Palette

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

HALF_MAP_THRESHOLD = 0.143
_AXIS_PX = 38
"""Height of an axis with its label."""
_DASHES = {"solid": Qt.PenStyle.SolidLine, "dashed": Qt.PenStyle.DashLine, "dotted": Qt.PenStyle.DotLine}
_STROKES = {"solid": "━━━", "dashed": "╍╍╍", "dotted": "┅┅┅"}
_LEAST_HEIGHT_PX = 210


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


class FscPlot(Chart):
    """A plot of FSC curves over spatial frequency.

    Drag to move, wheel to zoom, double click or *A* to see all.
    """

    file_name = "fsc"
    _HIGHEST = 1.04
    """Where the vertical axis ends at most."""
    _LEFT_LABEL = "Fourier shell correlation"
    _curves: tuple[Curve, ...]
    _threshold: float | None

    def _build(self) -> None:
        self._curves, self._box_size_angstrom, self._shells = (), 1.0, 0
        self._threshold = HALF_MAP_THRESHOLD
        self._plot: pg.PlotItem = self.graphics.addPlot(
            axisItems={"left": LeftAxis(), "bottom": frequency_axis(), "top": ResolutionAxis()}
        )
        quiet_plot(self._plot, self.graphics)
        # Made once: a line and its label hold each other, and where both are thrown away with every drawing, Qt
        # may move the label after Python's garbage collector has emptied it.
        self._line = pg.InfiniteLine(
            angle=0, label="{value:g}", labelOpts={"position": 0.03, "anchors": [(0, 1), (0, 1)]}
        )
        self._plot.addItem(self._line, ignoreBounds=True)
        self._plot.showAxis("top")
        self._plot.showAxis("right")
        self._plot.getAxis("right").setStyle(showValues=False, tickLength=0)
        self._plot.getAxis("left").setTickSpacing(0.2, 0.2)
        for name in ("bottom", "top"):
            self._plot.getAxis(name).setHeight(_AXIS_PX)
        self._plot.layout.setContentsMargins(2, 4, 14, 8)
        self._plot.setLimits(yMin=-1.1, yMax=max(1.1, self._HIGHEST))
        self.graphics.ci.layout.setContentsMargins(0, 0, 0, 0)
        self.graphics.setMinimumHeight(_LEAST_HEIGHT_PX)
        # Beside the curves, not over them: a dock is narrow.
        self._legend, self._warning = WrappedLabel(), WrappedLabel()
        self._legend.setTextFormat(Qt.TextFormat.RichText)
        self._warning.hide()
        self.column.insertWidget(1, self._legend)
        self.column.addWidget(self._warning)
        self.graphics.scene().sigMouseClicked.connect(self._on_click)

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
        shells: int | None = None,
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
        shells
            How many the box has, where the curves end before it does.
        """
        if not box_size_angstrom > 0:
            raise ValueError(f"the box has a size in Å, got {box_size_angstrom}")
        if shells is None:
            shells = max((np.size(curve.values) for curve in curves), default=0)
        changed = (box_size_angstrom, shells) != (self._box_size_angstrom, self._shells)
        self._curves, self._threshold = tuple(curves), threshold
        self._box_size_angstrom, self._shells = box_size_angstrom, shells
        self._warning.setText(warning)
        self._warning.setVisible(bool(warning))
        self._redraw()
        if changed:
            self.show_all()

    def clear(self) -> None:
        """Show no curve."""
        self.set_curves((), self._box_size_angstrom)

    def show_all(self) -> None:
        """Zoom out to all shells and values."""
        highest = max((self._shells - 1) / self._box_size_angstrom, 1e-6)
        self._plot.setXRange(0, highest, padding=0)
        self._plot.setYRange(*value_range(self._curves, self._HIGHEST), padding=0)

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

    def _on_theme(self, palette: Palette) -> None:
        colour_axes(self._plot, palette)
        label = {"color": palette.ink, "font-size": "9pt"}
        self._plot.setLabel("bottom", "spatial frequency (1/Å)", **label)
        self._plot.setLabel("top", "resolution (Å)", **label)
        self._plot.setLabel("left", self._LEFT_LABEL, **label)
        self._plot.getAxis("left").setGrid(28)
        self._warning.setStyleSheet(f"color: {palette.curves[1]};")
        super()._on_theme(palette)

    def _colour(self, number: int, curve: Curve) -> str:
        if isinstance(curve.colour, str):
            return curve.colour
        place = number if curve.colour is None else curve.colour
        colours = self.palette_of_theme.curves
        return colours[place % len(colours)]

    def _draw(self, palette: Palette) -> None:
        for item in self._plot.items[:]:
            if item is not self._line:
                self._plot.removeItem(item)
        self._legend.setText(self._legend_html())
        zero = pg.InfiniteLine(0, angle=0, pen=pg.mkPen(palette.faint, width=1))
        self._plot.addItem(zero, ignoreBounds=True)
        self._line.setVisible(self._threshold is not None)
        if self._threshold is not None:
            self._line.setPen(pg.mkPen(palette.ink, width=1, style=Qt.PenStyle.DotLine))
            self._line.label.setColor(palette.ink)
            self._line.setValue(self._threshold)
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
        self._cursor = pg.InfiniteLine(angle=90, pen=pg.mkPen(palette.faint, width=1))
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

    def _words_at(self, place: QPointF | None) -> str:
        shell = None if place is None else self._shell_at(place)
        self._cursor.setVisible(shell is not None)
        if shell is None:
            return self._resolutions()
        self._cursor.setPos(shell / self._box_size_angstrom)
        return self.values_at(shell)

    def _shell_at(self, place: QPointF) -> int | None:
        if not self._curves or not self._plot.vb.sceneBoundingRect().contains(place):
            return None
        shell = round(self._plot.vb.mapSceneToView(place).x() * self._box_size_angstrom)
        return shell if 1 <= shell < self._shells else None

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

    def _figure(self, file_format: str) -> bytes:
        return fsc_figure(
            self._curves,
            self._box_size_angstrom,
            self._threshold,
            file_format,
            highest=self._HIGHEST,
            y_label=self._LEFT_LABEL,
        )

    def _csv(self) -> bytes:
        return self._table_of(self._curves)

    def _table_of(self, curves: Sequence[Curve]) -> bytes:
        rows = []
        for shell in range(self._shells):
            values = [
                f"{np.asarray(curve.values)[shell]:.6g}" if shell < np.size(curve.values) else ""
                for curve in curves
            ]
            resolution = f"{self._box_size_angstrom / shell:.6g}" if shell else ""
            rows.append([shell, f"{shell / self._box_size_angstrom:.6g}", resolution, *values])
        names = [curve.name for curve in curves]
        return table(["shell", "frequency (1/angstrom)", "resolution (angstrom)", *names], rows)


def crossing_angstrom(values: ArrayLike, box_size_angstrom: float, threshold: float) -> str:
    """Say where a curve first falls below a threshold, as `blushcore.shells.resolution` finds it."""
    from blushcore.shells.resolution import resolution

    found = resolution(values, box_size_angstrom, threshold)
    if found.reaches_nyquist:
        return f"{found.angstrom:.2f} Å (Nyquist)"
    return "none" if found.shell == 0 else f"{found.interpolated_angstrom:.2f} Å"
