"""Figures over the iterations of a run, or the steps of a training: which go together, and their values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Series:
    """A figure over the iterations.

    Attributes
    ----------
    label
        What it is called here.
    figure, place
        Its name in the figures, and its place where that is a list.
    is_level
        Whether it stays the same, as a value to compare with does.
    """

    label: str
    figure: str
    place: int | None = None
    is_level: bool = False

    @property
    def column(self) -> str:
        """Its name in a table."""
        return self.figure if self.place is None else f"{self.figure}_class{self.place + 1:03d}"

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
        The axis goes from 0 to here, in the title's unit; without it, as far as need be.
    is_log
        Whether the axis is logarithmic; then only what is above 0 is drawn.
    factor
        From the figures' unit to the title's.
    has_legend
        Whether the series are named beside the title.
    """

    title: str
    series: tuple[Series, ...]
    top: float | None = None
    is_log: bool = False
    factor: float = 1.0
    has_legend: bool = True

    def value(self, series: Series, figures: Mapping[str, Any]) -> float | None:
        """Return a figure in the title's unit; None where there is none."""
        found = series.value(figures)
        return None if found is None else found * self.factor

    def values(
        self, series: Series, history: Sequence[Mapping[str, Any]]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the iterations that have a figure, and the figure in the title's unit."""
        pairs = [
            (figures["iteration"], value)
            for figures in history
            if (value := self.value(series, figures)) is not None
        ]
        table = np.array(pairs, dtype=np.float64).reshape(-1, 2)
        return table[:, 0], table[:, 1]
