"""How a training goes: losses and the gain in FSC over its steps."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from qtpy.QtCore import QPointF, QSize

from napari_blush.plots.chart import Chart, quiet_plot
from napari_blush.plots.theme import CURVES_ON_LIGHT, Palette

_LEFT_PX = 52


@dataclass(frozen=True)
class Curve:
    """A figure over the steps: what it is called here, and in the figures; `level` for one that stays."""

    label: str
    figure: str
    level: bool = False


@dataclass(frozen=True)
class Frame:
    """Curves over one another."""

    title: str
    curves: tuple[Curve, ...]


TRAINING = (
    Frame(
        "Loss of the density",
        (Curve("trained on", "density_loss"), Curve("validation", "validation_density_loss")),
    ),
    Frame(
        "Gain in FSC",
        (Curve("trained on", "fsc_gain"), Curve("validation", "validation_fsc_gain")),
    ),
)
FINE_TUNING = (
    Frame(
        "Loss of what is held out",
        (Curve("now", "held_out_loss"), Curve("start", "held_out_loss_at_start", level=True)),
    ),
    Frame(
        "Gain in FSC",
        (Curve("trained on", "fsc_gain"), Curve("held out", "held_out_fsc_gain")),
    ),
)


class TrainingPlots(Chart):
    """Losses above, gain in FSC below; values in words under the mouse; export."""

    file_name = "training"
    _history: list[Mapping[str, Any]]
    _shown: int | None
    _frames: tuple[Frame, ...]

    def sizeHint(self) -> QSize:  # noqa: N802
        """Each chart needs its height."""
        return QSize(420, 380)

    def set_history(self, history: Sequence[Mapping[str, Any]], shown: int | None = None) -> None:
        """Show a training's figures.

        Parameters
        ----------
        history
            The figures of the reports, oldest first, each with ``iteration``, its step.
        shown
            The step that is looked at, which is marked; without one, none.
        """
        self._history, self._shown = list(history), shown
        self._frames = FINE_TUNING if history and "held_out_loss" in history[-1] else TRAINING
        self._redraw()

    def values(self, curve: Curve) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the steps that have a figure, and the figure."""
        pairs = [
            (figures["iteration"], figures[curve.figure])
            for figures in self._history
            if isinstance(figures.get(curve.figure), (int, float)) and math.isfinite(figures[curve.figure])
        ]
        table = np.array(pairs, dtype=np.float64).reshape(-1, 2)
        return table[:, 0], table[:, 1]

    # --- drawing ----------------------------------------------------------------------------------------------

    def _build(self) -> None:
        self._history, self._shown, self._frames = [], None, TRAINING
        self.graphics.ci.layout.setVerticalSpacing(2)
        self.graphics.setMinimumHeight(300)
        self._plots: list[pg.PlotItem] = []
        for row in range(2):
            plot = self.graphics.addPlot(row=row, col=0)
            quiet_plot(plot, self.graphics)
            plot.setMouseEnabled(x=False, y=False)
            left = plot.getAxis("left")
            left.enableAutoSIPrefix(False)
            left.setWidth(_LEFT_PX)
            plot.getAxis("bottom").enableAutoSIPrefix(False)
            if self._plots:
                plot.setXLink(self._plots[0])
            self._plots.append(plot)
        self._plots[0].getAxis("bottom").setStyle(showValues=False)

    def _draw(self, palette: Palette) -> None:
        self._cursors: list[pg.InfiniteLine] = []
        for frame, plot in zip(self._frames, self._plots, strict=True):
            plot.clear()
            for name in ("left", "bottom"):
                axis = plot.getAxis(name)
                axis.setPen(pg.mkPen(palette.faint))
                axis.setTextPen(pg.mkPen(palette.ink))
            plot.getAxis("left").setGrid(28)
            words = [f'<span style="color: {palette.ink}"><b>{frame.title}</b></span>']
            drawn: list[NDArray[np.float64]] = []
            for curve, colour in zip(frame.curves, palette.curves, strict=False):
                x, y = self.values(curve)
                if len(y) == 0:
                    continue
                drawn.append(y)
                words.append(f'<span style="color: {colour}">● {curve.label}</span>')
                pen = pg.mkPen(colour, width=1 if curve.level else 2)
                symbol = None if curve.level or len(y) > 60 else "o"
                plot.plot(
                    x,
                    y,
                    pen=pen,
                    symbol=symbol,
                    symbolSize=5,
                    symbolPen=None,
                    symbolBrush=colour,
                    antialias=True,
                )
            plot.setTitle(" &nbsp; ".join(words), size="9pt", justify="left")
            if drawn:
                low, high = (float(bound(np.concatenate(drawn))) for bound in (np.min, np.max))
                gap = max(0.06 * (high - low), 1e-4)
                plot.setYRange(low - gap, high + gap, padding=0)
            for at, colour in ((self._shown, palette.ink), (None, palette.faint)):
                line = pg.InfiniteLine(angle=90, pen=pg.mkPen(colour, width=1))
                line.setZValue(-5)
                line.setVisible(at is not None and bool(self._history))
                line.setPos(0 if at is None else at)
                plot.addItem(line, ignoreBounds=True)
                if at is None:
                    self._cursors.append(line)
        steps = [figures["iteration"] for figures in self._history] or [0, 1]
        self._plots[0].setXRange(min(steps), max(*steps, min(steps) + 1), padding=0.02)
        self._plots[-1].setLabel("bottom", "step", **{"color": palette.ink, "font-size": "9pt"})

    # --- words and files --------------------------------------------------------------------------------------

    def _words_at(self, place: QPointF | None) -> str:
        at = None if place is None else self._step_at(place)
        for line in self._cursors:
            line.setVisible(at is not None)
            line.setPos(0 if at is None else at)
        if at is None:
            at = self._history[-1]["iteration"] if self._history and self._shown is None else self._shown
        figures = next((one for one in self._history if one["iteration"] == at), None)
        if figures is None:
            return " "
        words = [
            f'{curve.label} <span style="color: {colour}">{figures[curve.figure]:.4g}</span>'
            for frame in self._frames
            for curve, colour in zip(frame.curves, self.palette_of_theme.curves, strict=False)
            if isinstance(figures.get(curve.figure), (int, float))
        ]
        return f"Step&nbsp;{at} · " + " · ".join(words)

    def _step_at(self, place: QPointF) -> int | None:
        """Return the report nearest to a place in the scene."""
        for plot in self._plots:
            if self._history and plot.vb.sceneBoundingRect().contains(place):
                x = plot.vb.mapSceneToView(place).x()
                nearest = min(self._history, key=lambda figures: abs(figures["iteration"] - x))
                return int(nearest["iteration"])
        return None

    def _csv(self) -> bytes:
        names = [curve.figure for frame in self._frames for curve in frame.curves]
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["step", *names])
        for figures in self._history:
            cells = [figures.get(name) for name in names]
            writer.writerow([figures["iteration"], *("" if cell is None else f"{cell:.6g}" for cell in cells)])
        return text.getvalue().encode()

    def _figure(self, file_format: str) -> bytes:
        from matplotlib import rc_context
        from matplotlib.figure import Figure

        figure = Figure(figsize=(5.6, 5.0), dpi=240, facecolor="white", layout="constrained")
        every = figure.subplots(len(self._frames), sharex=True)
        for frame, axes in zip(self._frames, every, strict=True):
            for curve, colour in zip(frame.curves, CURVES_ON_LIGHT, strict=False):
                x, y = self.values(curve)
                if len(y):
                    axes.plot(x, y, lw=1.0 if curve.level else 1.6, color=colour, label=curve.label)
            axes.set_ylabel(frame.title)
            axes.tick_params(which="both", labelsize=7.5)
            axes.grid(axis="y", color="0.93", lw=0.8)
            if axes.lines:
                axes.legend(frameon=False, fontsize=7.5, ncols=2)
        every[-1].set_xlabel("step")
        content = io.BytesIO()
        with rc_context({"svg.fonttype": "none"}):
            figure.savefig(content, format=file_format)
        return content.getvalue()
