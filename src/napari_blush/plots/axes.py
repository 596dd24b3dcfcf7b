"""Axes that are labelled with round values: of shell plots, of logarithms, of whole numbers."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pyqtgraph as pg
from qtpy.QtCore import QRectF

_ROUND_RESOLUTIONS = (
    *(100, 50, 40, 30, 20, 15, 12, 10, 9, 8, 7, 6, 5, 4.5, 4, 3.5, 3.2, 3, 2.8, 2.6, 2.4, 2.2, 2),
    *(1.9, 1.8, 1.7, 1.6, 1.5, 1.4, 1.3, 1.2, 1.1, 1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2),
)
_ROUNDER = (50, 20, 10, 5, 4, 3, 2, 1.5, 1)
_GAP_PX = 34
"""Least distance of two labels."""


class ResolutionAxis(pg.AxisItem):
    """Å over an axis that runs in 1/Å; round values, as many as have room."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(orientation="top", **kwargs)
        self.enableAutoSIPrefix(False)

    def tickValues(self, minVal: float, maxVal: float, size: float) -> list[tuple[float, list[float]]]:  # noqa: N802, N803
        """Return the places (1/Å) of round resolutions between two frequencies; `size` in pixels."""
        frequencies = [1 / a for a in resolution_ticks(minVal, maxVal, gap=_GAP_PX / max(size, 1.0))]
        return [(1.0, frequencies)]

    def tickStrings(self, values: list[float], scale: float, spacing: float) -> list[str]:  # noqa: N802
        """Label the frequencies by their resolution in Å."""
        return [f"{1 / value:.3g}" for value in values]


def resolution_ticks(lowest: float, highest: float, *, gap: float) -> list[float]:
    """Return round resolutions in Å between two frequencies in 1/Å, lowest frequency first.

    They are at least the share `gap` of the axis apart; where two are closer, the rounder stays.
    """
    ticks: list[float] = []
    width = highest - lowest
    if width <= 0:
        return ticks
    for favoured in (lambda a: a in _ROUNDER, lambda _: True):
        for angstrom in filter(favoured, _ROUND_RESOLUTIONS):
            at = (1 / angstrom - lowest) / width
            if 0 < at <= 1 and all(abs(1 / angstrom - 1 / other) >= gap * width for other in ticks):
                ticks.append(angstrom)
    return sorted(ticks, reverse=True)


def frequency_axis(**kwargs: Any) -> pg.AxisItem:
    """Return an axis in 1/Å that never turns into 1/kÅ."""
    axis = pg.AxisItem(orientation="bottom", **kwargs)
    axis.enableAutoSIPrefix(False)
    return axis


class LeftAxis(pg.AxisItem):
    """An axis of values, whose first and last label are drawn too.

    pyqtgraph leaves out what reaches beyond the plot where lines are drawn across it.
    """

    _BEYOND_PX = 8

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(orientation="left", **kwargs)
        self.enableAutoSIPrefix(False)

    def boundingRect(self) -> QRectF:  # noqa: N802
        """Return where it draws: half a label's height beyond both ends."""
        rect: QRectF = super().boundingRect()
        return rect.adjusted(0, -self._BEYOND_PX, 0, self._BEYOND_PX)


class RoundLogAxis(LeftAxis):
    """An axis over decimal logarithms that is labelled with round values: …, 0.5, 1, 2, 5, 10, …"""

    _GAP_PX, _LEAST_GAP_PX = 18, 11
    _ROUND = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0)

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
        if len(ticks) < 2:  # of which nobody could read a scale
            ticks = (
                self._outermost(minVal, maxVal, self._LEAST_GAP_PX * (maxVal - minVal) / max(size, 1.0))
                or ticks
            )
        return [(1.0, sorted(ticks))]

    def _outermost(self, lowest: float, highest: float, gap: float) -> list[float]:
        """Return the first and the last round value between two logarithms, if they are a gap apart."""
        decades = range(math.floor(lowest), math.ceil(highest) + 1)
        places = sorted(decade + math.log10(digit) for decade in decades for digit in self._ROUND)
        inside = [at for at in places if lowest <= at <= highest]
        return [inside[0], inside[-1]] if inside and inside[-1] - inside[0] >= gap else []

    def tickStrings(self, values: list[float], scale: float, spacing: float) -> list[str]:  # noqa: N802
        """Label logarithms by their values."""
        return [f"{10**value:.2g}" for value in values]


class WholeNumberAxis(pg.AxisItem):
    """An axis of whole numbers."""

    _LEAST_PX, _DIGIT_PX = 28.0, 9.0

    def tickValues(self, minVal: float, maxVal: float, size: float) -> list[tuple[float, list[float]]]:  # noqa: N802, N803
        """Return whole numbers between two values, as many as have room; `size` in pixels."""
        room = max(size / max(self._LEAST_PX, self._DIGIT_PX * len(f"{maxVal:.0f}")), 1.0)
        steps = (digit * 10**power for power in itertools.count() for digit in (1, 2, 5))
        step = next(step for step in steps if (maxVal - minVal) / step <= room)
        first = math.ceil(minVal / step) * step
        return [(float(step), [float(value) for value in range(first, math.floor(maxVal) + 1, step)])]

    def tickStrings(self, values: list[float], scale: float, spacing: float) -> list[str]:  # noqa: N802
        """Label whole numbers."""
        return [f"{value:.0f}" for value in values]
