"""FSC curves as a figure for a paper: dark ink on white, as wide as a column, in SVG with text as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from napari_blush.plots.axes import resolution_ticks
from napari_blush.plots.export import blank_figure, drawn
from napari_blush.plots.theme import CURVES_ON_LIGHT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from napari_blush.plots.fsc import Curve

_INK, _FAINT = "0.2", "0.55"
_DASHES = {"solid": "-", "dashed": (0, (4, 1.5)), "dotted": (0, (1, 1.5))}


def fsc_figure(
    curves: Sequence[Curve],
    box_size_angstrom: float,
    threshold: float | None,
    file_format: str,
    *,
    cut_off_angstrom: float | None = None,
    highest: float = 1.04,
    y_label: str = "Fourier shell correlation",
) -> bytes:
    """Draw curves over spatial frequency, resolution on top.

    Parameters
    ----------
    curves
        In the order in which they are drawn; those whose name begins with ``_`` have no entry in the legend.
    box_size_angstrom
        Length of the box's side in Å.
    threshold
        Where a line is drawn, if anywhere.
    file_format
        ``"png"`` or ``"svg"``.
    cut_off_angstrom
        Resolution at which an upright line is drawn, if anywhere.
    highest
        Where the vertical axis ends at most; see `value_range`.
    y_label
        Of the vertical axis.

    Returns
    -------
    The file's content.
    """
    figure = blank_figure(5.6, 3.9)
    axes = figure.add_subplot()
    longest = 0.0
    for number, curve in enumerate(curves):
        values = np.asarray(curve.values, dtype=np.float64)[1:]
        frequencies = np.arange(1, len(values) + 1) / box_size_angstrom
        place = number if curve.colour is None else curve.colour
        colour = place if isinstance(place, str) else CURVES_ON_LIGHT[place % len(CURVES_ON_LIGHT)]
        axes.plot(
            frequencies, values, color=colour, lw=curve.width * 0.8, ls=_DASHES[curve.style], label=curve.name
        )
        longest = max(longest, len(values) / box_size_angstrom)
    axes.set_xlim(0, longest or 1.0)
    axes.set_ylim(*value_range(curves, highest))
    axes.axhline(0, color="0.8", lw=0.8, zorder=0)
    if threshold is not None:
        axes.axhline(threshold, color=_FAINT, lw=1.0, ls=(0, (1, 2)), zorder=1)
        axes.annotate(
            f"{threshold:g}",
            xy=(0, threshold),
            xytext=(5, 3),
            textcoords="offset points",
            fontsize=8,
            color=_FAINT,
        )
    if cut_off_angstrom is not None:
        axes.axvline(1 / cut_off_angstrom, color=_FAINT, lw=1.0, ls=(0, (4, 2)), zorder=1)
    _dress(axes, y_label)
    if curves:
        figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=8.5)
    return drawn(figure, file_format)


def value_range(curves: Sequence[Curve], highest: float) -> tuple[float, float]:
    """Return where the vertical axis begins and ends: from 0 to 1, and on to what lies beyond.

    Parameters
    ----------
    curves
        Their shell 0 does not count, nor do values that are not finite.
    highest
        Where it ends at most; below 0 it goes no further than -1.
    """
    values = np.concatenate([[0.0, 1.0], *(np.asarray(curve.values, dtype=np.float64)[1:] for curve in curves)])
    finite = values[np.isfinite(values)]
    return max(-1.02, min(-0.06, float(finite.min()) - 0.04)), min(highest, float(finite.max()) + 0.04)


def _dress(axes: Axes, y_label: str) -> None:
    axes.set_xlabel("spatial frequency (1/Å)", color=_INK)
    axes.set_ylabel(y_label, color=_INK)
    axes.set_yticks(np.arange(0, axes.get_ylim()[1], 0.2))
    axes.grid(axis="y", color="0.93", lw=0.8)
    axes.tick_params(labelsize=8.5, colors=_INK)
    top = axes.twiny()
    top.set_xlim(axes.get_xlim())
    resolutions = resolution_ticks(*axes.get_xlim(), gap=0.07)
    top.set_xticks([1 / angstrom for angstrom in resolutions], [f"{angstrom:g}" for angstrom in resolutions])
    top.set_xlabel("resolution (Å)", color=_INK)
    top.tick_params(labelsize=8.5, colors=_INK)
    for one in (axes, top):
        for spine in one.spines.values():
            spine.set_color("0.75")
