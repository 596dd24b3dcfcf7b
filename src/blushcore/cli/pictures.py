"""``blush picture``: central slices of a map before and after, and what changed between them."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
from cyclopts import Parameter

from blushcore.cli.options import VoxelSize
from blushcore.cli.outputs import require_writable
from blushcore.protocol import UsageError
from blushcore.volumes import Volume, atomic_file, read_map, require_same_grid

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage
    from numpy.typing import NDArray

_FORMATS = (".png", ".pdf", ".svg")
_PANEL_INCHES = 2.9
_HEAD_INCHES, _FOOT_INCHES, _SIDE_INCHES = 0.45, 0.68, 0.45
_GAP_INCHES, _STRIP_INCHES = 0.08, 0.09


@dataclass(frozen=True)
class Slice:
    """One slice through a map.

    Attributes
    ----------
    label
        Its plane and place, e.g. ``"xy, z = 64"``.
    data
        float32 ``[up, right]``, to be drawn with the first row at the bottom.
    size_angstrom
        Height and width in Å.
    """

    label: str
    data: NDArray[np.float32]
    size_angstrom: tuple[float, float]


def central_slices(volume: Volume) -> tuple[Slice, Slice, Slice]:
    """Return the slices through the centre (index ``n // 2``) of `volume`, across z, y and x.

    They show x to the right and y up, x to the right and z up, y to the right and z up.
    """
    centre = [n // 2 for n in volume.shape]
    height, depth, width = (n * size for n, size in zip(volume.shape, volume.voxel_size, strict=True))
    return (
        Slice(f"xy, z = {centre[0]}", volume.data[centre[0]], (depth, width)),
        Slice(f"xz, y = {centre[1]}", volume.data[:, centre[1]], (height, width)),
        Slice(f"yz, x = {centre[2]}", volume.data[:, :, centre[2]], (height, depth)),
    )


def draw_before_after(before: Volume, after: Volume) -> Figure:
    """Draw central slices of two maps on the same grey scale, and their difference.

    Parameters
    ----------
    before, after
        Two maps on the same grid.

    Returns
    -------
    Figure
        One row for each axis; columns before, after, and after − before. Greys run over the middle 99.5 % of
        the values shown before and after together, colours symmetrically about zero.

    Raises
    ------
    BlushError
        If the maps' shapes or voxel sizes differ.
    """
    from matplotlib.figure import Figure

    require_same_grid("The map before", before, "the map after", after)
    rows = list(zip(central_slices(before), central_slices(after), strict=True))
    shown = np.concatenate([one.data.ravel() for row in rows for one in row])
    black, white = (float(limit) for limit in np.quantile(shown, (0.0025, 0.9975)))
    changes = [other.data.astype(np.float64) - one.data for one, other in rows]
    largest = float(np.quantile(np.abs(np.concatenate([change.ravel() for change in changes])), 0.9975))
    if black == white:  # constant maps have no range of their own
        white = black + 1
    largest = largest or 1.0

    sizes = [one.size_angstrom for one, _ in rows]
    inches_per_angstrom = _PANEL_INCHES / max(side for size in sizes for side in size)
    heights = [height * inches_per_angstrom for height, _ in sizes]
    panel_width = max(width for _, width in sizes) * inches_per_angstrom
    lefts = [_SIDE_INCHES + column * (panel_width + _GAP_INCHES) for column in range(3)]
    figure_width = lefts[-1] + panel_width + _GAP_INCHES
    figure_height = _HEAD_INCHES + sum(heights) + 2 * _GAP_INCHES + _FOOT_INCHES
    figure = Figure(figsize=(figure_width, figure_height), dpi=150, facecolor="white")

    def box(left: float, bottom: float, width: float, height: float) -> Axes:
        return figure.add_axes(
            (left / figure_width, bottom / figure_height, width / figure_width, height / figure_height)
        )

    for row, (one, other) in enumerate(rows):
        bottom = figure_height - _HEAD_INCHES - sum(heights[: row + 1]) - row * _GAP_INCHES
        panels = [box(left, bottom, panel_width, heights[row]) for left in lefts]
        _show(panels[0], one.data, sizes[row], "gray", (black, white))
        greys = _show(panels[1], other.data, sizes[row], "gray", (black, white))
        colours = _show(panels[2], changes[row], sizes[row], "RdBu_r", (-largest, largest))
        beside = 0.55 * _SIDE_INCHES / figure_width, (bottom + heights[row] / 2) / figure_height
        figure.text(*beside, one.label, rotation=90, ha="center", va="center", fontsize=9, color="0.25")
        if row == 0:
            for axes, title in zip(panels, ("before", "after", "after − before"), strict=True):
                axes.set_title(title, fontsize=11, pad=7)
            _draw_scale_bar(panels[0], sizes[row])
    strip = _FOOT_INCHES - _STRIP_INCHES - 2 * _GAP_INCHES
    _draw_key(
        figure,
        box(lefts[0], strip, 2 * panel_width + _GAP_INCHES, _STRIP_INCHES),
        greys,
        "density, in the map's own unit",
    )
    _draw_key(figure, box(lefts[2], strip, panel_width, _STRIP_INCHES), colours, "change")
    return figure


def picture(
    before: Path,
    after: Path,
    /,
    *,
    output: Annotated[Path, Parameter(alias="-o")],
    voxel_size: VoxelSize = None,
    overwrite: bool = False,
) -> None:
    """Draw central slices of a map before and after, and what changed between them.

    Parameters
    ----------
    before
        Map (MRC or CCP4, also gzipped).
    after
        Map on the same grid.
    output
        Picture to write; its name ends in .png, .pdf or .svg.
    voxel_size
        Voxel size in Å of both maps, instead of what their headers say.
    overwrite
        Replace the picture if it exists.
    """
    if output.suffix.lower() not in _FORMATS:
        raise UsageError(
            f"A picture's name ends in .png, .pdf or .svg, and {output.name} does not.", "Give another name."
        )
    require_writable([output], overwrite=overwrite, inputs=[before, after])
    first, second = read_map(before, voxel_size=voxel_size), read_map(after, voxel_size=voxel_size)
    doubts = require_same_grid(before, first, after, second)
    for warning in dict.fromkeys((*first.warnings, *second.warnings, *doubts)):
        print(f"warning: {warning}", file=sys.stderr)
    figure = draw_before_after(first, second)
    with atomic_file(output) as file:
        figure.savefig(file, format=output.suffix[1:].lower())
    print(f"Wrote {output}.", file=sys.stderr)


def _show(
    axes: Axes,
    data: NDArray[np.floating],
    size_angstrom: tuple[float, float],
    colours: str,
    limits: tuple[float, float],
) -> AxesImage:
    height, width = size_angstrom
    image = axes.imshow(
        data,
        cmap=colours,
        vmin=limits[0],
        vmax=limits[1],
        origin="lower",
        extent=(0, width, 0, height),
        interpolation="bicubic",
    )
    axes.set_anchor("C")
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    return image


def _draw_scale_bar(axes: Axes, size_angstrom: tuple[float, float]) -> None:
    from matplotlib import patheffects

    height, width = size_angstrom
    length = scale_bar_length(width)
    outlined = [patheffects.withStroke(linewidth=2.5, foreground="black")]
    left, bottom = 0.05 * width, 0.05 * height
    axes.plot(
        [left, left + length],
        [bottom, bottom],
        color="white",
        linewidth=3,
        solid_capstyle="butt",
        path_effects=[patheffects.withStroke(linewidth=5, foreground="black")],
    )
    axes.text(
        left + length / 2,
        bottom + 0.03 * height,
        f"{length:g} Å",
        color="white",
        fontsize=9,
        ha="center",
        va="bottom",
        path_effects=outlined,
    )
    axes.set_xlim(0, width)
    axes.set_ylim(0, height)


def scale_bar_length(width_angstrom: float) -> float:
    """Return the longest of 1, 2, 5, 10, 20, 50 … Å that is at most a third of `width_angstrom`."""
    decade = 10.0 ** math.floor(math.log10(width_angstrom / 3))
    return max(step * decade for step in (1, 2, 5) if step * decade <= width_angstrom / 3 * (1 + 1e-9))


def _draw_key(figure: Figure, axes: Axes, image: AxesImage, label: str) -> None:
    key = figure.colorbar(image, cax=axes, orientation="horizontal")
    key.ax.spines["outline"].set_visible(False)
    key.ax.tick_params(labelsize=8, length=2, color="0.4", labelcolor="0.25")
    key.set_label(label, fontsize=8, color="0.25")
