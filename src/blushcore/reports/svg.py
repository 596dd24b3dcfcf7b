"""Line charts as inline SVG: text stays text, colours come from the page's style sheet.

A chart is drawn in a box of its own units, as wide as the page's text; the page scales it.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

WIDTH = 640
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 14, 34, 42
_LEGEND_ROW = 18
_LETTER = 7.1
"""Width of a letter of the legend, about."""


@dataclass(frozen=True, eq=False)
class Line:
    """A curve.

    Attributes
    ----------
    name
        For the legend; nothing for none.
    x, y
        ``(N,)``; it is interrupted where a value is not finite.
    colour
        A colour of the page: ``c1`` to ``c5``, or ``faint``.
    dashes
        As SVG has them; nothing for a solid line.
    width
        In the chart's units.
    dots
        Whether each point has a dot.
    """

    name: str
    x: ArrayLike
    y: ArrayLike
    colour: str = "c1"
    dashes: str = ""
    width: float = 2.0
    dots: bool = False


@dataclass(frozen=True)
class Tick:
    """A tick: where it is, and what it says."""

    at: float
    text: str


@dataclass(frozen=True, eq=False)
class Axes:
    """What a chart is drawn in.

    Attributes
    ----------
    x_label, y_label
        Of the axes, with units.
    x_range, y_range
        First and last value.
    x_ticks, y_ticks
        In values.
    top_label, top_ticks
        Of a second axis above, at values of the first.
    levels, uprights
        Values of y and x at which thin lines are drawn, with what is said there.
    height
        In the chart's units.
    """

    x_label: str
    y_label: str
    x_range: tuple[float, float]
    y_range: tuple[float, float]
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    top_label: str = ""
    top_ticks: Sequence[Tick] = ()
    levels: Sequence[Tick] = field(default=())
    uprights: Sequence[Tick] = field(default=())
    height: float = 330


def chart(axes: Axes, lines: Sequence[Line], *, label: str, width: float = WIDTH) -> str:
    """Draw lines, the last on top.

    Parameters
    ----------
    axes, lines
        What is drawn.
    label
        What the picture shows, for those who do not see it.
    width
        In the chart's units.
    """
    entries = [line for line in reversed(lines) if line.name]
    if len(lines) == 1:
        entries = []  # the axis says what it is
    rows = _legend_rows(entries, width)
    top = _TOP if axes.top_ticks else 10
    height = axes.height + _LEGEND_ROW * len(rows)
    left, right, bottom = _LEFT, width - _RIGHT, axes.height - _BOTTOM

    def x_of(value: ArrayLike) -> NDArray[np.float64]:
        first, last = axes.x_range
        return left + (np.asarray(value, np.float64) - first) / (last - first) * (right - left)

    def y_of(value: ArrayLike) -> NDArray[np.float64]:
        first, last = axes.y_range
        return bottom - (np.asarray(value, np.float64) - first) / (last - first) * (bottom - top)

    parts = [
        f'<svg class="chart" viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{html.escape(label)}">'
    ]
    for tick in axes.y_ticks:
        y = float(y_of(tick.at))
        parts.append(f'<path class="grid" d="M{left} {y:.1f}H{right:.1f}"/>')
        parts.append(f'<text class="tick" x="{left - 7}" y="{y + 4:.1f}" text-anchor="end">{_t(tick)}</text>')
    for tick in axes.x_ticks:
        x = float(x_of(tick.at))
        parts.append(f'<path class="axis" d="M{x:.1f} {bottom:.1f}v4"/>')
        parts.append(f'<text class="tick" x="{x:.1f}" y="{bottom + 17:.1f}">{_t(tick)}</text>')
    for tick in axes.top_ticks:
        x = float(x_of(tick.at))
        parts.append(f'<path class="axis" d="M{x:.1f} {top}v-4"/>')
        parts.append(f'<text class="tick" x="{x:.1f}" y="{top - 8}">{_t(tick)}</text>')
    if axes.top_ticks:
        parts.append(
            f'<text class="name" x="{left - 7}" y="{top - 8}" text-anchor="end">{axes.top_label}</text>'
        )
        parts.append(f'<path class="axis" d="M{left} {top}H{right:.1f}"/>')
    for tick in axes.levels:
        y = float(y_of(tick.at))
        parts.append(f'<path class="level" d="M{left} {y:.1f}H{right:.1f}"/>')
        parts.append(f'<text class="note" x="{left + 5}" y="{y - 4:.1f}" text-anchor="start">{_t(tick)}</text>')
    for tick in axes.uprights:
        x = float(x_of(tick.at))
        anchor, shift = ("end", -5) if x > left + 0.8 * (right - left) else ("start", 5)
        parts.append(f'<path class="level" d="M{x:.1f} {top}V{bottom:.1f}"/>')
        parts.append(
            f'<text class="note" x="{x + shift:.1f}" y="{top + 13}" text-anchor="{anchor}">{_t(tick)}</text>'
        )
    parts.append(f'<path class="axis" d="M{left} {top}V{bottom:.1f}H{right:.1f}"/>')
    parts += [_path(line, x_of(line.x), np.clip(y_of(line.y), top - 2, bottom + 2)) for line in lines]
    beside = f'transform="translate(13 {(top + bottom) / 2:.1f}) rotate(-90)"'
    below = f'x="{(left + right) / 2:.1f}" y="{axes.height - 7:g}"'
    for place, name in ((beside, axes.y_label), (below, axes.x_label)):
        parts.append(f'<text class="name" {place}>{html.escape(name)}</text>')
    for number, row in enumerate(rows):
        parts.append(_legend(row, width, axes.height + _LEGEND_ROW * number + 9))
    return "".join([*parts, "</svg>"])


def round_ticks(lowest: float, highest: float, most: int = 6) -> list[Tick]:
    """Return round values between two, at most so many."""
    span = highest - lowest
    if not span > 0:
        return [Tick(lowest, f"{lowest:g}")]
    rough = span / most
    decade = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * decade for unit in (1, 2, 5, 10) if unit * decade >= rough * (1 - 1e-9))
    first = math.ceil(lowest / step - 1e-9)
    count = math.floor(highest / step + 1e-9) - first + 1
    return [Tick((first + i) * step, f"{round((first + i) * step, 10):g}") for i in range(count)]


def _t(tick: Tick) -> str:
    return html.escape(tick.text)


def _path(line: Line, x: NDArray[np.float64], y: NDArray[np.float64]) -> str:
    known = np.isfinite(x) & np.isfinite(y)
    moves, pen = [], "M"
    for i in range(len(x)):
        if known[i]:
            moves.append(f"{pen}{x[i]:.1f} {y[i]:.1f}")
        pen = "L" if known[i] else "M"
    dashes = f' stroke-dasharray="{line.dashes}"' if line.dashes else ""
    drawn = f'<path class="line {line.colour}" stroke-width="{line.width:g}"{dashes} d="{"".join(moves)}"/>'
    if line.dots:
        drawn += "".join(
            f'<circle class="dot {line.colour}" cx="{x[i]:.1f}" cy="{y[i]:.1f}" r="2.6"/>'
            for i in np.flatnonzero(known)
        )
    return drawn


def _legend_rows(lines: Sequence[Line], width: float) -> list[list[Line]]:
    rows: list[list[Line]] = []
    room = 0.0
    for line in lines:
        need = _entry_width(line)
        if not rows or need > room:
            rows.append([])
            room = width - _LEFT - _RIGHT
        rows[-1].append(line)
        room -= need
    return rows


def _entry_width(line: Line) -> float:
    return 46 + _LETTER * len(line.name)


def _legend(row: Sequence[Line], width: float, y: float) -> str:
    x = _LEFT + (width - _LEFT - _RIGHT - sum(map(_entry_width, row))) / 2
    parts = []
    for line in row:
        dashes = f' stroke-dasharray="{line.dashes}"' if line.dashes else ""
        parts.append(
            f'<path class="line {line.colour}" stroke-width="{max(line.width, 1.6):g}"{dashes} '
            f'd="M{x:.1f} {y - 4:.1f}h24"/><text class="key" x="{x + 30:.1f}" y="{y:.1f}">'
            f"{html.escape(line.name)}</text>"
        )
        x += _entry_width(line)
    return "".join(parts)
