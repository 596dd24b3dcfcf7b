"""The FSC of an iteration, over those of the others, faded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyqtgraph as pg
from qtpy.QtCore import Qt
from qtpy.QtGui import QColor

from napari_blush.plots.fsc import HALF_MAP_THRESHOLD, Curve, FscPlot
from napari_blush.plots.fsc_figure import fsc_figure
from napari_blush.plots.theme import CURVES_ON_LIGHT, Palette

_SHADES = (0.7, 0.55, 0.35)
"""How much of the background is in the lines of iterations long past, past, and last."""
_RECENT = (4, 1)
"""How many iterations ago each shade but the first ends."""


class FscHistoryPlot(FscPlot):
    """FSC between the halves of the iteration that is shown, over the faded curves of all others.

    A dotted line marks 0.143, an upright dashed one the resolution that is in use: beyond it the map is cut
    off. Curves end where an iteration ended: beyond the images' size in use nothing was compared.
    """

    _past: tuple[tuple[int, np.ndarray], ...]
    _figures: Mapping[str, Any]

    def _build(self) -> None:
        self._past, self._iteration, self._figures = (), 0, {}
        super()._build()

    def set_history(self, history: Sequence[Mapping[str, Any]], shown: int | None = None) -> None:
        """Show a run's curves; a view that was zoomed stays unless the box changes.

        Parameters
        ----------
        history
            The figures of the iterations, oldest first, as `LiveRun.history` has them; those without an FSC are
            passed over.
        shown
            The iteration to be in front; the newest, if it is not given or has no FSC.
        """
        with_fsc = {int(figures["iteration"]): figures for figures in history if figures.get("fsc")}
        if not with_fsc:
            self._past, self._figures = (), {}
            self.clear()
            return
        self._iteration = shown if shown in with_fsc else max(with_fsc)
        self._figures = figures = with_fsc[self._iteration]
        self._past = tuple(
            (number, compared_shells(other)) for number, other in with_fsc.items() if number != self._iteration
        )
        self.set_curves(
            [Curve(f"iteration {self._iteration}", compared_shells(figures), colour=0, width=2.5)],
            float(figures["box"]) * float(figures["voxel_size_angstrom"]),
            shells=int(figures["box"]) // 2 + 1,
        )

    @property
    def iteration(self) -> int | None:
        """The iteration in front."""
        return self._iteration if self._curves else None

    @property
    def cut_off_angstrom(self) -> float | None:
        """The resolution in use, where the map is cut off."""
        found = self._figures.get("resolution_in_use_angstrom")
        return float(found) if found else None

    def _resolutions(self) -> str:
        if not self._curves:
            return " "
        found = self._figures.get("resolution_angstrom")
        words = [] if found is None else [f"{found:.2f} Å at {HALF_MAP_THRESHOLD:g}"]
        if self.cut_off_angstrom is not None:
            words.append(f"{self.cut_off_angstrom:.2f} Å in use")
        return f"Iteration {self._iteration}:\n" + ", ".join(words)

    def values_at(self, shell: int) -> str:
        """Return a shell's resolution and the FSC there, of this iteration and of the one before."""
        before = [(number, values) for number, values in self._past if number < self._iteration][-1:]
        values = [(self._iteration, np.asarray(self._curves[0].values)), *before]
        words = [f"iteration {number} {fsc[shell]:.3f}" for number, fsc in values if shell < len(fsc)]
        place = f"{self._box_size_angstrom / shell:.2f} Å (shell {shell}):\n"
        return place + ("   ".join(words) or "not compared yet")

    def _draw(self, palette: Palette) -> None:
        super()._draw(palette)
        for shade, share in enumerate(_SHADES):
            lines = [values for number, values in self._past if _shade(self._iteration - number) == shade]
            if not lines:
                continue
            # One item for all lines of a shade, a gap between each and the next: fifty would take time.
            x = [np.append(np.arange(1, len(v)) / self._box_size_angstrom, np.nan) for v in lines]
            y = [np.append(values[1:], np.nan) for values in lines]
            pen = pg.mkPen(_faded(palette.curves[0], palette.background, share), width=1)
            item = pg.PlotCurveItem(
                np.concatenate(x), np.concatenate(y), pen=pen, connect="finite", antialias=True
            )
            item.setZValue(-10 + shade)
            self._plot.addItem(item, ignoreBounds=True)
        if self.cut_off_angstrom is not None:
            line = pg.InfiniteLine(
                1 / self.cut_off_angstrom,
                angle=90,
                pen=pg.mkPen(palette.curves[1], width=1, style=Qt.PenStyle.DashLine),
            )
            line.setZValue(-1)
            self._plot.addItem(line, ignoreBounds=True)

    def _legend_html(self) -> str:
        if not self._curves:
            return ""
        entries, palette = [super()._legend_html()], self.palette_of_theme
        if self._past:
            colour = _faded(palette.curves[0], palette.background, _SHADES[1])
            entries.append(f'<span style="color: {colour}">━━━</span>&nbsp;others')
        if self.cut_off_angstrom is not None:
            entries.append(f'<span style="color: {palette.curves[1]}">╍╍╍</span>&nbsp;cut-off')
        return " &nbsp; ".join(entries)

    def _figure(self, file_format: str) -> bytes:
        faded = [
            Curve(f"_{number}", values, _faded(CURVES_ON_LIGHT[0], "#ffffff", _SHADES[1]), width=1.0)
            for number, values in self._past
        ]
        return fsc_figure(
            [*faded, *self._curves],
            self._box_size_angstrom,
            self._threshold,
            file_format,
            cut_off_angstrom=self.cut_off_angstrom,
        )

    def _csv(self) -> bytes:
        everything = {number: Curve(f"iteration {number}", values) for number, values in self._past}
        if self._curves:
            everything[self._iteration] = self._curves[0]
        return self._table_of([everything[number] for number in sorted(everything)])


def compared_shells(figures: Mapping[str, Any]) -> np.ndarray:
    """Return an iteration's FSC up to the last shell of the image size in use, ``(shells,)`` float64."""
    fsc = np.asarray(figures["fsc"], dtype=np.float64)  # null, "no value", becomes NaN
    size = figures.get("current_size")
    return np.nan_to_num(fsc if not size else fsc[: int(size) // 2 + 1])


def _shade(ago: int) -> int:
    """Return the shade of an iteration so long ago; later ones, when an early one is shown, are faint too."""
    if ago < 0:
        return 0
    return sum(ago <= limit for limit in _RECENT)


def _faded(colour: str, background: str, share: float) -> str:
    one, other = QColor(colour).getRgb()[:3], QColor(background).getRgb()[:3]
    return QColor(*(round(a + (b - a) * share) for a, b in zip(one, other, strict=True))).name()
