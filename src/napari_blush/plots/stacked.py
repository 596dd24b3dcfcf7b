"""Charts under one another over the iterations of a run, or over the steps of a training."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyqtgraph as pg
from qtpy.QtCore import QPointF, QSize, Qt

from napari_blush.plots.axes import LeftAxis, RoundLogAxis, WholeNumberAxis
from napari_blush.plots.chart import Chart, colour_axes, quiet_plot
from napari_blush.plots.export import blank_figure, drawn, table
from napari_blush.plots.series import Panel
from napari_blush.plots.theme import CURVES_ON_LIGHT, Palette

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

DASHES = (
    (Qt.PenStyle.SolidLine, "-"),
    (Qt.PenStyle.DashLine, "--"),
    (Qt.PenStyle.DotLine, ":"),
)
"""For more curves than there are colours: in Qt's words and in matplotlib's."""
_HEADROOM = 1.02
_DOT_PX, _MOST_DOTS = 5, 60
_RIGHT_PX = 10
"""Room right of the charts: half of the last number below them stands there."""
_BESIDE = 0.3, 0.02
"""Room at both ends of the horizontal axis: at least so many iterations, and this share of them."""


class StackedCharts(Chart):
    """Panels with one horizontal axis; values in words under the mouse; export.

    Subclasses say which panels a history has, and how an iteration is put into words.
    """

    counted = "iteration"
    """What the horizontal axis counts."""
    _AT_FIRST: tuple[Panel, ...] = ()
    """What is shown of a run that has no figures yet."""
    _LEFT_PX = 44
    """Width of the vertical axes."""
    _history: list[Mapping[str, Any]]
    _shown: int | None
    _panels: tuple[Panel, ...]

    @abstractmethod
    def _panels_of(self, history: Sequence[Mapping[str, Any]]) -> tuple[Panel, ...]:
        """Return what there is to show of a run that has figures."""

    @abstractmethod
    def _words_of(self, figures: Mapping[str, Any]) -> list[str]:
        """Return what is said of an iteration."""

    def sizeHint(self) -> QSize:  # noqa: N802
        """Each chart needs its height."""
        return QSize(420, 240 + 70 * len(self._panels))

    def set_history(self, history: Sequence[Mapping[str, Any]], shown: int | None = None) -> None:
        """Show a run's figures.

        Parameters
        ----------
        history
            The figures of the iterations, oldest first, as `LiveRun.history` has them.
        shown
            The iteration that is looked at, which is marked; without one, none.
        """
        self._history = [figures for figures in history if len(figures) > 1]  # iteration 0 has none
        self._shown = shown
        panels = self._panels_of(self._history) if self._history else self._panels
        if panels != self._panels:
            self._panels = panels
            self._build_plots()
        self._redraw()

    # --- drawing ----------------------------------------------------------------------------------------------

    def _style(self, number: int) -> tuple[str, Any]:
        """Return the colour and the pen style of the curve of a number, from 0."""
        cycle, place = divmod(number, len(self.palette_of_theme.curves))
        return self.palette_of_theme.curves[place], DASHES[cycle % len(DASHES)][0]

    def _build(self) -> None:
        self._history, self._shown, self._panels = [], None, self._AT_FIRST
        self.graphics.ci.layout.setVerticalSpacing(2)
        left, top, _, bottom = self.graphics.ci.layout.getContentsMargins()
        self.graphics.ci.layout.setContentsMargins(left, top, _RIGHT_PX, bottom)
        self._build_plots()

    def _build_plots(self) -> None:
        self.graphics.clear()
        self.graphics.setMinimumHeight(260 + 20 * len(self._panels))
        self._plots: list[pg.PlotItem] = []
        for row, panel in enumerate(self._panels):
            left = RoundLogAxis() if panel.is_log else LeftAxis()
            plot = self.graphics.addPlot(
                row=row, col=0, axisItems={"left": left, "bottom": WholeNumberAxis("bottom")}
            )
            quiet_plot(plot, self.graphics)
            plot.setMouseEnabled(x=False, y=False)
            left.setWidth(self._LEFT_PX)
            plot.getAxis("bottom").setStyle(showValues=panel is self._panels[-1])
            if self._plots:
                plot.setXLink(self._plots[0])
            self._plots.append(plot)

    def _draw(self, palette: Palette) -> None:
        self._cursors: list[pg.InfiniteLine] = []
        if not self._panels:
            return
        for panel, plot in zip(self._panels, self._plots, strict=True):
            plot.clear()
            colour_axes(plot, palette)
            plot.getAxis("left").setGrid(28)
            values = self._draw_series(plot, panel)
            self._set_range(plot, panel, values)
            words = [f'<span style="color: {palette.ink}"><b>{panel.title}</b></span>']
            if panel.has_legend:
                words += [
                    f'<span style="color: {self._style(number)[0]}">● {series.label}</span>'
                    for number, series in enumerate(panel.series)
                    if not self._history or len(panel.values(series, self._history)[0])
                ]
            plot.setTitle(" &nbsp;".join(words), size="8pt", justify="left")
            plot.titleLabel.setMinimumWidth(0)  # a long one must not widen the plot beyond the dock
            _put_line(plot, palette.ink, self._shown if self._history else None)
            self._cursors.append(_put_line(plot, palette.faint, None))
        iterations = [figures["iteration"] for figures in self._history] or [1, 2]
        first, last = min(iterations), max(iterations)
        beside = max(_BESIDE[0], _BESIDE[1] * (last - first))
        self._plots[0].setXRange(first - beside, max(last, first + 1) + beside, padding=0)
        self._plots[-1].setLabel("bottom", self.counted, **{"color": palette.ink, "font-size": "9pt"})

    def _draw_series(self, plot: pg.PlotItem, panel: Panel) -> NDArray[np.float64]:
        """Draw a panel's curves; return all their values as the axis has them."""
        every = [np.empty(0)]
        for number, series in enumerate(panel.series):
            colour, dashes = self._style(number)
            x, y = panel.values(series, self._history)
            if panel.is_log:
                x, y = x[y > 0], np.log10(y[y > 0])
            if len(y) == 0:
                continue
            every.append(y)
            plot.plot(
                x,
                y,
                pen=pg.mkPen(colour, width=1 if series.is_level else 2, style=dashes),
                symbol="o" if _has_dots(series.is_level, len(y)) else None,
                symbolSize=_DOT_PX,
                symbolPen=None,
                symbolBrush=colour,
                antialias=True,
            )
        return np.concatenate(every)

    def _set_range(self, plot: pg.PlotItem, panel: Panel, values: NDArray[np.float64]) -> None:
        if panel.top is not None:
            plot.setYRange(0, panel.top * _HEADROOM, padding=0)
            ticks = [(share * panel.top, f"{share * panel.top:g}") for share in (0.0, 0.5, 1.0)]
            plot.getAxis("left").setTicks([ticks])
        elif len(values):
            lowest, highest = float(values.min()), float(values.max())
            gap = max(0.08 * (highest - lowest), 0.05 if panel.is_log else 1e-4)
            plot.setYRange(lowest - gap, highest + gap, padding=0)

    # --- words and files --------------------------------------------------------------------------------------

    def _words_at(self, place: QPointF | None) -> str:
        at = None if place is None else self._iteration_at(place)
        for line in self._cursors:
            line.setVisible(at is not None)
            line.setPos(0 if at is None else at)
        if at is None:
            at = self._history[-1]["iteration"] if self._history and self._shown is None else self._shown
        figures = next((one for one in self._history if one["iteration"] == at), None)
        if figures is None:
            return " "
        return " · ".join([f"{self.counted.capitalize()}&nbsp;{at}", *self._words_of(figures)])

    def _iteration_at(self, place: QPointF) -> int | None:
        """Return the iteration nearest to a place in the scene."""
        for plot in self._plots:
            if self._history and plot.vb.sceneBoundingRect().contains(place):
                x = plot.vb.mapSceneToView(place).x()
                return int(min((figures["iteration"] for figures in self._history), key=lambda at: abs(at - x)))
        return None

    def _csv(self) -> bytes:
        every = [series for panel in self._panels for series in panel.series]
        rows = []
        for figures in self._history:
            cells = [one.value(figures) for one in every]
            rows.append([figures["iteration"], *("" if cell is None else f"{cell:.6g}" for cell in cells)])
        return table([self.counted, *(one.column for one in every)], rows)

    def _figure(self, file_format: str) -> bytes:
        figure = blank_figure(5.6, 2.8 + 1.1 * len(self._panels))
        every = figure.subplots(len(self._panels), sharex=True)
        for panel, axes in zip(self._panels, every, strict=True):
            self._fill(axes, panel)
            if axes.lines and (panel.has_legend or panel is self._panels[0]):
                axes.legend(frameon=False, fontsize=7.5, ncols=3)
        every[-1].set_xlabel(self.counted)
        return drawn(figure, file_format)

    def _fill(self, axes: Axes, panel: Panel) -> None:
        """Draw a panel in a figure for a paper."""
        from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator, StrMethodFormatter

        for number, series in enumerate(panel.series):
            x, y = panel.values(series, self._history)
            cycle, place = divmod(number, len(CURVES_ON_LIGHT))
            if len(y):
                axes.plot(
                    x,
                    y,
                    marker="o" if _has_dots(series.is_level, len(y)) else "",
                    ls=DASHES[cycle % len(DASHES)][1],
                    ms=3,
                    lw=1.0 if series.is_level else 1.6,
                    color=CURVES_ON_LIGHT[place],
                    label=series.label,
                )
        if panel.is_log:
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
            axes.yaxis.set_minor_locator(NullLocator())
        elif panel.top is not None:
            axes.set_ylim(0, panel.top * _HEADROOM)
        axes.set_ylabel(panel.title)
        axes.tick_params(which="both", labelsize=7.5)
        axes.grid(axis="y", color="0.93", lw=0.8)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _put_line(plot: pg.PlotItem, colour: str, at: int | None) -> pg.InfiniteLine:
    """Draw an upright line behind the curves; hidden, where it has no place."""
    line = pg.InfiniteLine(0 if at is None else at, angle=90, pen=pg.mkPen(colour, width=1))
    line.setZValue(-5)
    line.setVisible(at is not None)
    plot.addItem(line, ignoreBounds=True)
    return line


def _has_dots(is_level: bool, values: int) -> bool:
    """Whether each value of a curve is marked: many would merge."""
    return not is_level and values <= _MOST_DOTS
