"""How a run goes, iteration by iteration: resolution, angles, offsets, Pmax, particles that change class."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyqtgraph as pg
from qtpy.QtCore import QPointF, QSize, Qt

from napari_blush.plots.chart import Chart, quiet_plot
from napari_blush.plots.theme import CURVES_ON_LIGHT, Palette

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LEFT_PX = 44
_DOT_PX = 5


@dataclass(frozen=True)
class Series:
    """A figure over the iterations: what it is called here, its name in the figures, its place in a list."""

    label: str
    figure: str
    place: int | None = None

    def value(self, figures: Mapping[str, Any]) -> float | None:
        """Return it as an iteration's figures have it; None where they do not."""
        found = figures.get(self.figure)
        if self.place is not None:
            found = found[self.place] if isinstance(found, Sequence) and self.place < len(found) else None
        if not isinstance(found, (int, float)) or not math.isfinite(found):
            return None
        return float(found)


@dataclass(frozen=True)
class Panel:
    """Figures of one unit, over one another.

    Attributes
    ----------
    title
        With the unit.
    series
        The figures.
    top
        The axis goes from 0 to here, in the title's unit; without it, it is logarithmic and as long as need be.
    factor
        From the figures' unit to the title's.
    has_legend
        Whether the series are named beside the title.
    """

    title: str
    series: tuple[Series, ...]
    top: float | None = None
    factor: float = 1.0
    has_legend: bool = True

    def value(self, series: Series, figures: Mapping[str, Any]) -> float | None:
        """Return a figure in the title's unit; None where there is none."""
        found = series.value(figures)
        return None if found is None else found * self.factor


REFINEMENT = (
    Panel(
        "Resolution (Å)",
        (Series("FSC 0.143", "resolution_angstrom"), Series("in use", "resolution_in_use_angstrom")),
    ),
    Panel(
        "Angles (°)",
        (
            Series("step", "angular_step_deg"),
            Series("change", "change_angle_deg"),
            Series("accuracy", "accuracy_angle_deg"),
        ),
    ),
    Panel(
        "Offsets (Å)",
        (
            Series("step", "offset_step_angstrom"),
            Series("change", "change_offset_angstrom"),
            Series("accuracy", "accuracy_offset_angstrom"),
        ),
    ),
    Panel("Mean Pmax", (Series("Pmax", "mean_p_max"),), top=1.0),
)
CLASSIFICATION = (
    Panel("Moved to another class (%)", (Series("images", "change_classes"),), top=100.0, factor=100.0),
    Panel("Angles (°)", (Series("step", "angular_step_deg"), Series("change", "change_angle_deg"))),
    Panel("Offsets (Å)", (Series("step", "offset_step_angstrom"), Series("change", "change_offset_angstrom"))),
    Panel(
        "Mean probability",
        (Series("pose (Pmax)", "mean_p_max"), Series("class", "mean_class_probability")),
        top=1.0,
    ),
)
DASHES = (
    (Qt.PenStyle.SolidLine, "-"),
    (Qt.PenStyle.DashLine, "--"),
    (Qt.PenStyle.DotLine, ":"),
)
"""For more curves than there are colours: in Qt's words and in matplotlib's."""
_HEADROOM = 1.02


class ProgressPlots(Chart):
    """Charts under one another over the iterations; values in words under the mouse; export."""

    file_name = "progress"
    _AT_FIRST: tuple[Panel, ...] = REFINEMENT
    """What is shown of a run that has no figures yet."""
    _history: list[Mapping[str, Any]]
    _shown: int | None
    _panels: tuple[Panel, ...]

    def sizeHint(self) -> QSize:  # noqa: N802
        """Each chart needs its height."""
        return QSize(420, 520)

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
        panels = self._panels_of(self._history)
        if panels != self._panels:
            self._panels = panels
            self._build_plots()
        self._redraw()

    def values(self, panel: Panel, series: Series) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the iterations that have a figure, and the figure in the panel's unit."""
        pairs = [
            (figures["iteration"], value)
            for figures in self._history
            if (value := panel.value(series, figures)) is not None
        ]
        table = np.array(pairs, dtype=np.float64).reshape(-1, 2)
        return table[:, 0], table[:, 1]

    def _panels_of(self, history: Sequence[Mapping[str, Any]]) -> tuple[Panel, ...]:
        """Return what there is to show of a run, which may have no iteration yet."""
        if not history:
            return self._panels
        return CLASSIFICATION if "class_distribution" in history[-1] else REFINEMENT

    def _style(self, number: int) -> tuple[str, Any]:
        """Return the colour and the pen style of the curve of a number, from 0."""
        return self.palette_of_theme.curves[number], Qt.PenStyle.SolidLine

    def _build(self) -> None:
        self._history, self._shown, self._panels = [], None, self._AT_FIRST
        self.graphics.ci.layout.setVerticalSpacing(2)
        self.graphics.setMinimumHeight(340)
        self._build_plots()

    def _build_plots(self) -> None:
        self.graphics.clear()
        self._plots: list[pg.PlotItem] = []
        for row, panel in enumerate(self._panels):
            left = RoundLogAxis("left") if panel.top is None else pg.AxisItem("left")
            plot = self.graphics.addPlot(
                row=row, col=0, axisItems={"left": left, "bottom": IterationAxis("bottom")}
            )
            quiet_plot(plot, self.graphics)
            plot.setMouseEnabled(x=False, y=False)
            left.enableAutoSIPrefix(False)
            left.setWidth(_LEFT_PX)
            is_last = panel is self._panels[-1]
            plot.getAxis("bottom").setStyle(showValues=is_last)
            if self._plots:
                plot.setXLink(self._plots[0])
            self._plots.append(plot)

    def _draw(self, palette: Palette) -> None:
        self._cursors = []
        if not self._panels:
            return
        iterations = [figures["iteration"] for figures in self._history]
        for panel, plot in zip(self._panels, self._plots, strict=True):
            plot.clear()
            for name in ("left", "bottom"):
                axis = plot.getAxis(name)
                axis.setPen(pg.mkPen(palette.faint))
                axis.setTextPen(pg.mkPen(palette.ink))
            plot.getAxis("left").setGrid(28)
            words = [f'<span style="color: {palette.ink}"><b>{panel.title}</b></span>']
            lowest, highest = math.inf, -math.inf
            for number, series in enumerate(panel.series):
                colour, dashes = self._style(number)
                if panel.has_legend:
                    words.append(f'<span style="color: {colour}">● {series.label}</span>')
                x, y = self.values(panel, series)
                if panel.top is None:
                    x, y = x[y > 0], np.log10(y[y > 0])
                if len(y) == 0:
                    continue
                lowest, highest = min(lowest, y.min()), max(highest, y.max())
                plot.plot(
                    x,
                    y,
                    pen=pg.mkPen(colour, width=2, style=dashes),
                    symbol="o",
                    symbolSize=_DOT_PX,
                    symbolPen=None,
                    symbolBrush=colour,
                    antialias=True,
                )
            plot.setTitle(" &nbsp;".join(words), size="8pt", justify="left")
            plot.titleLabel.setMinimumWidth(0)  # a long one must not widen the plot beyond the dock
            self._set_range(plot, panel, lowest, highest)
            for at, pen in (
                (self._shown, pg.mkPen(palette.ink, width=1)),
                (None, pg.mkPen(palette.faint, width=1)),
            ):
                line = pg.InfiniteLine(angle=90, pen=pen)
                line.setZValue(-5)
                line.setVisible(at is not None and bool(iterations))
                line.setPos(0 if at is None else at)
                plot.addItem(line, ignoreBounds=True)
                if at is None:
                    self._cursors.append(line)
        first, last = (min(iterations), max(iterations)) if iterations else (1, 2)
        self._plots[0].setXRange(first - 0.3, max(last, first + 1) + 0.3, padding=0)
        bottom = {"color": palette.ink, "font-size": "9pt"}
        self._plots[-1].setLabel("bottom", "iteration", **bottom)

    def _set_range(self, plot: pg.PlotItem, panel: Panel, lowest: float, highest: float) -> None:
        if panel.top is not None:
            plot.setYRange(0, panel.top * _HEADROOM, padding=0)
            ticks = [(share * panel.top, f"{share * panel.top:g}") for share in (0.0, 0.5, 1.0)]
            plot.getAxis("left").setTicks([ticks])
        elif lowest <= highest:
            gap = max(0.08 * (highest - lowest), 0.05)
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
        words = []
        for panel in self._panels:
            found = [
                f'<span style="color: {self._style(number)[0]}">{value:.3g}</span>'
                for number, series in enumerate(panel.series)
                if (value := panel.value(series, figures)) is not None
            ]
            if found:
                words.append(f"{panel.title.replace(' ', '&nbsp;')}&nbsp;" + "&nbsp;&nbsp;".join(found))
        return f"Iteration&nbsp;{at} · " + " · ".join(words)

    def _iteration_at(self, place: QPointF) -> int | None:
        for plot in self._plots:
            if plot.vb.sceneBoundingRect().contains(place):
                at = round(plot.vb.mapSceneToView(place).x())
                return at if any(figures["iteration"] == at for figures in self._history) else None
        return None

    def _csv(self) -> bytes:
        every = [series for panel in self._panels for series in panel.series]
        names = [one.figure if one.place is None else f"{one.figure}_class{one.place + 1:03d}" for one in every]
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["iteration", *names])
        for figures in self._history:
            cells = [one.value(figures) for one in every]
            writer.writerow([figures["iteration"], *("" if cell is None else f"{cell:.6g}" for cell in cells)])
        return text.getvalue().encode()

    def _figure(self, file_format: str) -> bytes:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
        from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator, StrMethodFormatter

        figure = Figure(figsize=(5.6, 7.2), dpi=240, facecolor="white", layout="constrained")
        every = figure.subplots(len(self._panels), sharex=True)
        for panel, axes in zip(self._panels, every, strict=True):
            for number, series in enumerate(panel.series):
                x, y = self.values(panel, series)
                cycle, place = divmod(number, len(CURVES_ON_LIGHT))
                line, colour = DASHES[cycle % len(DASHES)][1], CURVES_ON_LIGHT[place]
                axes.plot(x, y, "o", ls=line, ms=3, lw=1.6, color=colour, label=series.label)
            if panel.top is None:
                axes.set_yscale("log")
                axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
                axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
                axes.yaxis.set_minor_locator(NullLocator())
            else:
                axes.set_ylim(0, panel.top * _HEADROOM)
            axes.set_ylabel(panel.title)
            axes.tick_params(which="both", labelsize=7.5)
            axes.grid(axis="y", color="0.93", lw=0.8)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            if panel.has_legend or panel is self._panels[0]:
                axes.legend(frameon=False, fontsize=7.5, ncols=3)
        every[-1].set_xlabel("iteration")
        content = io.BytesIO()
        with rc_context({"svg.fonttype": "none"}):
            figure.savefig(content, format=file_format)
        return content.getvalue()


class RoundLogAxis(pg.AxisItem):
    """An axis over decimal logarithms that is labelled with round values: …, 0.5, 1, 2, 5, 10, …"""

    _GAP_PX = 18

    def tickValues(self, minVal: float, maxVal: float, size: float) -> list[tuple[float, list[float]]]:  # noqa: N802, N803
        """Return the places of round values between two logarithms; `size` in pixels."""
        gap = (maxVal - minVal) * self._GAP_PX / max(size, 1.0)
        ticks: list[float] = []
        for favoured in ((1.0,), (2.0, 5.0), (1.5, 3.0, 4.0, 7.0)):
            for decade in range(math.floor(minVal), math.ceil(maxVal) + 1):
                for digit in favoured:
                    at = decade + math.log10(digit)
                    if minVal <= at <= maxVal and all(abs(at - other) >= gap for other in ticks):
                        ticks.append(at)
        return [(1.0, sorted(ticks))]

    def tickStrings(self, values: list[float], scale: float, spacing: float) -> list[str]:  # noqa: N802
        """Label logarithms by their values."""
        return [f"{10**value:.2g}" for value in values]


class IterationAxis(pg.AxisItem):
    """An axis of whole numbers."""

    def tickValues(self, minVal: float, maxVal: float, size: float) -> list[tuple[float, list[float]]]:  # noqa: N802, N803
        """Return whole numbers between two values, as many as have room; `size` in pixels."""
        room = max(size / 28.0, 1.0)
        step = next((step for step in (1, 2, 5, 10, 20, 50, 100) if (maxVal - minVal) / step <= room), 200)
        first = math.ceil(minVal / step) * step
        return [(float(step), [float(value) for value in range(first, math.floor(maxVal) + 1, step)])]

    def tickStrings(self, values: list[float], scale: float, spacing: float) -> list[str]:  # noqa: N802
        """Label whole numbers."""
        return [f"{value:.0f}" for value in values]
