"""The FSC plot: curves over spatial frequency, resolution on top."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from blushcore.shells import FscCurves, Resolution

_INK, _FAINT = "0.2", "0.55"
_STYLES = {
    # attribute: (legend, colour, width, line style); drawn in this order, the curve to believe on top
    "randomised": ("phases randomised, masked", "#D55E00", 1.2, (0, (4, 1.5))),
    "unmasked": ("unmasked", "#8A8F98", 1.5, "-"),
    "masked": ("masked", "#56B4E9", 1.5, "-"),
    "corrected": ("corrected for the mask", "#0B3C6F", 2.4, "-"),
}
"""Colours of Okabe and Ito's kind: told apart by colour-blind eyes, and in grey by their width and dashes."""

_ROUND_RESOLUTIONS = (
    *(100, 50, 40, 30, 20, 15, 12, 10, 9, 8, 7, 6, 5, 4.5, 4, 3.5, 3.2, 3, 2.8, 2.6, 2.4, 2.2, 2),
    *(1.9, 1.8, 1.7, 1.6, 1.5, 1.4, 1.3, 1.2, 1.1, 1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2),
)


def draw_fsc(curves: FscCurves, found: Resolution, *, title: str = "") -> Figure:
    """Draw the curves with their resolution.

    Parameters
    ----------
    curves
        What is drawn: all curves that are there, from shell 1 on.
    found
        The resolution of ``curves.best``; its threshold is drawn as a line.
    title
        One line above the plot.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 4.6), dpi=160, facecolor="white", layout="constrained")
    axes = figure.add_subplot(facecolor="white")
    frequencies = curves.frequencies
    lowest = 0.0
    for name, (label, colour, width, dashes) in _STYLES.items():
        curve = getattr(curves, name)
        if curve is None:
            continue
        if name == "unmasked" and curves.corrected is None:
            label, colour, width = "FSC of the halves", _STYLES["corrected"][1], _STYLES["corrected"][2]
        axes.plot(
            frequencies[1:], curve[1:], color=colour, lw=width, ls=dashes, label=label, solid_joinstyle="round"
        )
        lowest = min(lowest, float(curve[1:].min()))
    axes.set_xlim(0, frequencies[-1])
    axes.set_ylim(max(-1.02, min(-0.06, lowest - 0.04)), 1.04)
    axes.axhline(0, color="0.8", lw=0.8, zorder=0)
    _mark_threshold(axes, found)
    _mark_resolution(axes, found)
    _dress(axes)
    _add_angstrom_axis(axes)
    # Below the plot: no corner within it is free of every pair of halves.
    figure.legend(
        loc="outside lower center",
        ncols=4,
        reverse=True,
        frameon=False,
        fontsize=9,
        handlelength=2.2,
        columnspacing=1.6,
    )
    if title:
        figure.suptitle(title, fontsize=9.5, color=_INK)
    return figure


def _mark_threshold(axes: Axes, found: Resolution) -> None:
    axes.axhline(found.threshold, color=_FAINT, lw=1.0, ls=(0, (1, 2)), zorder=1)
    axes.annotate(
        f"{found.threshold:g}",
        xy=(0, found.threshold),
        xycoords=axes.get_yaxis_transform(),
        xytext=(5, 3),
        textcoords="offset points",
        fontsize=9,
        color=_FAINT,
    )


def _mark_resolution(axes: Axes, found: Resolution) -> None:
    if found.shell == 0:
        return
    x = 1 / found.interpolated_angstrom
    beside = "Nyquist" if found.reaches_nyquist else f"interpolated {found.interpolated_angstrom:.2f} Å"
    text = f"{found.angstrom:.2f} Å ({beside})"
    colour = _STYLES["corrected"][1]
    if not found.reaches_nyquist:
        axes.plot([x], [found.threshold], "o", ms=6.5, color=colour, mec="white", mew=1.2, zorder=5)
    axes.plot([x, x], [axes.get_ylim()[0], found.threshold], color=colour, lw=0.9, ls=(0, (3, 2)), zorder=1)
    # Right of the crossing there is room above the curve; where the axis ends, only below the line is.
    at_the_end = x > 0.86 * axes.get_xlim()[1] and not found.reaches_nyquist
    leftwards = at_the_end or found.reaches_nyquist
    axes.annotate(
        text,
        xy=(x, found.threshold),
        xytext=(-8 if leftwards else 8, -17 if at_the_end else 9),
        textcoords="offset points",
        ha="right" if leftwards else "left",
        fontsize=11,
        fontweight="bold",
        color=colour,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.5},
        zorder=6,
    )


def _dress(axes: Axes) -> None:
    axes.set_xlabel("spatial frequency (1/Å)", color=_INK)
    axes.set_ylabel("Fourier shell correlation", color=_INK)
    axes.set_yticks(np.arange(0, 1.01, 0.2))
    axes.grid(axis="y", color="0.93", lw=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=_INK, length=3.5, labelsize=9)
    for side, spine in axes.spines.items():
        spine.set_visible(side != "right")
        spine.set_color(_FAINT)


def _add_angstrom_axis(axes: Axes) -> None:
    highest = axes.get_xlim()[1]
    ticks = round_resolutions(highest)
    top = axes.secondary_xaxis("top")
    top.set_xticks([1 / angstrom for angstrom in ticks], [f"{angstrom:g}" for angstrom in ticks])
    top.set_xlabel("resolution (Å)", color=_INK)
    top.tick_params(colors=_INK, length=3.5, labelsize=9)
    top.spines["top"].set_color(_FAINT)


def round_resolutions(highest_frequency: float, *, gap: float = 0.065) -> list[float]:
    """Return round resolutions in Å for an axis from 0 to `highest_frequency` (1/Å).

    They are at least the share `gap` of the axis apart; where two are closer, the rounder stays: 10, not 9.
    """
    ticks: list[float] = []
    for favoured in (lambda a: a in (50, 20, 10, 5, 4, 3, 2, 1.5, 1), lambda _: True):
        for angstrom in filter(favoured, _ROUND_RESOLUTIONS):
            at = 1 / angstrom / highest_frequency
            if at <= 1 and all(abs(at - 1 / other / highest_frequency) >= gap for other in ticks):
                ticks.append(angstrom)
    return sorted(ticks, reverse=True)
