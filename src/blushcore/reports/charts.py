"""The charts of a report: FSC, course of the refinement, time, what the denoiser did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from blushcore.reports.svg import WIDTH, Axes, Line, Tick, chart, round_ticks
from blushcore.shells.resolution import HALF_MAP_THRESHOLD, MAP_MODEL_THRESHOLD

if TYPE_CHECKING:
    from blushcore.shells import FscCurves

Figures = Mapping[str, Any]

_ROUND = (
    100,
    50,
    40,
    30,
    20,
    15,
    12,
    10,
    9,
    8,
    7,
    6,
    5,
    4.5,
    4,
    3.5,
    3,
    2.8,
    2.5,
    2.2,
    2,
    1.8,
    1.6,
    1.4,
    1.2,
    1,
)
_GAP = 0.075
HALF_WIDTH = 460


def resolution_ticks(highest: float) -> list[Tick]:
    """Return round resolutions (Å) for an axis of spatial frequency up to `highest` (1/Å), not too close."""
    kept: list[float] = []
    for favoured in ((50, 20, 10, 5, 4, 3, 2, 1), _ROUND):
        for angstrom in favoured:
            at = 1 / angstrom / highest
            if at <= 1 and all(abs(at - 1 / other / highest) >= _GAP for other in kept):
                kept.append(angstrom)
    return [Tick(1 / angstrom, f"{angstrom:g}") for angstrom in sorted(kept, reverse=True)]


def frequency_axes(
    highest: float,
    *,
    y_label: str,
    lowest: float = 0.0,
    top: float = 1.0,
    levels: Sequence[Tick] = (),
    uprights: Sequence[Tick] = (),
    height: float = 330,
) -> Axes:
    """Return axes over spatial frequency, with the resolution above."""
    bottom = min(-0.04, max(-1.02, lowest - 0.04))
    return Axes(
        x_label="spatial frequency (1/Å)",
        y_label=y_label,
        x_range=(0.0, highest),
        y_range=(bottom, top + 0.02),
        x_ticks=round_ticks(0, highest, 7),
        y_ticks=[tick for tick in round_ticks(bottom, top, 7) if tick.at >= bottom],
        top_label="Å",
        top_ticks=resolution_ticks(highest),
        levels=levels,
        uprights=uprights,
        height=height,
    )


def fsc_chart(curves: FscCurves, history: Sequence[Figures]) -> str:
    """Draw the FSC of the final halves over that of the iterations, faded."""
    frequency = curves.frequencies
    lines = [_past(figures) for figures in history[:-1] if figures.get("fsc")]
    if lines:
        lines[-1] = Line("earlier iterations", *_xy(lines[-1]), "faint", width=0.9)
    final = curves.best[1:]
    if curves.corrected is not None:
        if curves.randomised is not None:
            lines.append(Line("random phases, masked", frequency[1:], curves.randomised[1:], "c2", "5 3", 1.4))
        lines.append(Line("unmasked", frequency[1:], curves.unmasked[1:], "c3", width=1.6))
        if curves.masked is not None:
            lines.append(Line("masked", frequency[1:], curves.masked[1:], "c5", width=1.6))
        lines.append(Line("corrected for the mask", frequency[1:], final, "c1", width=2.6))
    else:
        lines.append(Line("final halves", frequency[1:], final, "c1", width=2.6))
    found = curves.resolution()
    uprights = []
    if found.shell and not found.reaches_nyquist:
        uprights.append(Tick(1 / found.interpolated_angstrom, f"{found.interpolated_angstrom:.2f} Å"))
    axes = frequency_axes(
        float(frequency[-1]),
        y_label="Fourier shell correlation",
        lowest=min(float(np.nanmin(np.asarray(line.y))) for line in lines),
        levels=[Tick(HALF_MAP_THRESHOLD, f"{HALF_MAP_THRESHOLD:g}")],
        uprights=uprights,
    )
    return chart(axes, lines, label="Fourier shell correlation of the half-maps")


def truth_chart(with_truth: NDArray[np.float64], between: NDArray[np.float64], size_angstrom: float) -> str:
    """Draw the FSC of a map with the truth it was simulated from, and that of its halves in the same mask."""
    frequency = np.arange(len(with_truth)) / size_angstrom
    lines = [
        Line("halves, same mask", frequency[1:], between[1:], "c3", "5 3", 1.6),
        Line("final map and truth", frequency[1:], with_truth[1:], "c4", width=2.6),
    ]
    levels = [
        Tick(MAP_MODEL_THRESHOLD, f"{MAP_MODEL_THRESHOLD:g}"),
        Tick(HALF_MAP_THRESHOLD, f"{HALF_MAP_THRESHOLD:g}"),
    ]
    lowest = float(min(with_truth.min(), between.min()))
    axes = frequency_axes(
        float(frequency[-1]), y_label="Fourier shell correlation", lowest=lowest, levels=levels, height=300
    )
    return chart(axes, lines, label="Fourier shell correlation with the truth")


def denoiser_chart(figures: Figures) -> str:
    """Draw what the denoiser did in an iteration: cross-validation and transfer."""
    size = float(figures["box"]) * float(figures["voxel_size_angstrom"])
    lines = []
    for figure, name, colour, dashes, width in (
        ("denoiser_transfer_noise", "multiplies noise by", "c2", "1.5 3", 2.0),
        ("denoiser_transfer_signal", "multiplies signal by", "c5", "1.5 3", 2.0),
        ("denoiser_raw_fsc", "FSC of the raw halves", "c3", "5 3", 1.8),
        ("denoiser_cross_fsc", "FSC, denoised half and raw other", "c1", "", 2.6),
    ):
        values = _floats(figures[figure])
        lines.append(Line(name, np.arange(1, len(values)) / size, values[1:], colour, dashes, width))
    joined = np.concatenate([np.asarray(line.y) for line in lines])
    known = joined[np.isfinite(joined)]
    cutoff = figures.get("cutoff_shell")
    axes = frequency_axes(
        float(np.asarray(lines[-1].x)[-1]),
        y_label="FSC, factor",
        lowest=float(known.min()),
        top=float(np.clip(known.max(), 1.0, 1.8)),
        levels=[Tick(HALF_MAP_THRESHOLD, f"{HALF_MAP_THRESHOLD:g}")],
        uprights=[] if not cutoff else [Tick(cutoff / size, "cut-off")],
    )
    return chart(axes, lines, label="What the denoiser does to signal and noise, shell by shell")


def over_iterations(
    history: Sequence[Figures], series: Sequence[tuple[str, str]], y_label: str, *, is_log: bool = False
) -> str:
    """Draw figures over the iterations; nothing if none of them is known.

    Parameters
    ----------
    history
        The figures of the iterations.
    series
        Name in the figures, and in the legend.
    y_label
        With the unit.
    is_log
        Whether the axis is logarithmic; values of zero and less are then left out.
    """
    numbers = np.array([figures["iteration"] for figures in history], np.float64)
    lines = []
    for place, (figure, name) in enumerate(series):
        values = _floats([figures.get(figure) for figures in history])
        if is_log:
            values = np.log10(np.where(values > 0, values, np.nan))
        if np.isfinite(values).any():
            lines.append(Line(name, numbers, values, f"c{place + 1}", width=1.8, dots=True))
    if not lines:
        return ""
    known = np.concatenate([np.asarray(line.y)[np.isfinite(np.asarray(line.y))] for line in lines])
    low, high = float(known.min()), float(known.max())
    if is_log:
        low, high = low - 0.05, high + 0.05
        ticks = _log_ticks(low, high)
    else:
        low, high = min(0.0, low), high * 1.08 or 1.0
        ticks = round_ticks(low, high, 5)
    last = float(numbers[-1])
    axes = Axes(
        x_label="iteration",
        y_label=y_label,
        x_range=(min(0.5, float(numbers[0]) - 0.5), last + 0.5),
        y_range=(low, high),
        x_ticks=[tick for tick in round_ticks(float(numbers[0]), last, 8) if tick.at == round(tick.at)],
        y_ticks=ticks,
        height=220,
    )
    return chart(axes, lines[::-1], label=y_label, width=HALF_WIDTH)  # the first one on top, and named first


def _log_ticks(low: float, high: float) -> list[Tick]:
    """Return 1, 2, 5 … times powers of ten between two logarithms, or finer ones where these are too few."""
    for steps in ((1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 8), tuple(x / 2 for x in range(2, 20))):
        values = [step * 10.0**decade for decade in range(int(low) - 2, int(high) + 2) for step in steps]
        ticks = [Tick(float(np.log10(v)), f"{v:g}") for v in values if low <= np.log10(v) <= high]
        if len(ticks) >= 3:
            return ticks
    return ticks


def _past(figures: Figures) -> Line:
    fsc = _floats(figures["fsc"])
    size = figures.get("current_size")
    known = fsc if not size else fsc[: int(size) // 2 + 1]
    box = float(figures["box"]) * float(figures["voxel_size_angstrom"])
    return Line("", np.arange(1, len(known)) / box, known[1:], "faint", width=0.9)


def _xy(line: Line) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return np.asarray(line.x, np.float64), np.asarray(line.y, np.float64)


def _floats(values: Sequence[float | None]) -> NDArray[np.float64]:
    return np.array([np.nan if value is None else value for value in values], np.float64)


__all__ = [
    "HALF_WIDTH",
    "WIDTH",
    "denoiser_chart",
    "frequency_axes",
    "fsc_chart",
    "over_iterations",
    "resolution_ticks",
    "truth_chart",
]
