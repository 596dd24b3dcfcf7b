"""From where the particles are seen: a map of directions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyqtgraph as pg
from qtpy.QtCore import QPointF, QRectF, QSize
from qtpy.QtGui import QColor

from napari_blush.plots.chart import Chart, colour_axes, quiet_plot
from napari_blush.plots.directions import DirectionCounts, cells_of_picture, mollweide, mollweide_inverse
from napari_blush.plots.export import blank_figure, drawn, table
from napari_blush.plots.theme import Palette

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_WIDTH_PX = 720
_TILTS, _ROTS = (30, 60, 90, 120, 150), (-120, -60, 0, 60, 120)
_ON_DARK = ("#1d232b", "#1c4a78", "#3f8fd6", "#a8d4ff", "#ffffff")
_ON_LIGHT = ("#f1f4f7", "#a9cbe8", "#4a8fc9", "#0b4f8a", "#031c33")
_BRIGHTEST = 0.995
"""Share of the cells below the colour scale's end."""


class AngularDistributionPlot(Chart):
    """The density of views over all directions, relative to an even spread, on Mollweide's equal-area map.

    rot runs across (0 in the middle), tilt down from 0° to 180°. Equivalent views by symmetry are counted too.
    """

    file_name = "angular_distribution"
    _counts: DirectionCounts | None
    _title: str

    def sizeHint(self) -> QSize:  # noqa: N802
        """Take a map's shape: twice as wide as high."""
        return QSize(420, 300)

    def set_directions(
        self, rot_deg: ArrayLike, tilt_deg: ArrayLike, symmetry: str = "C1", title: str = ""
    ) -> None:
        """Show the directions of particles; for many, or high symmetry, count beside the GUI: `set_counts`.

        Parameters
        ----------
        rot_deg, tilt_deg
            RELION's angles, ``(N,)``.
        symmetry
            A point group in RELION's setting.
        title
            What is said of them, e.g. which iteration's.
        """
        rot, tilt = np.asarray(rot_deg, dtype=np.float64), np.asarray(tilt_deg, dtype=np.float64)
        self.set_counts(DirectionCounts.of(rot, tilt, symmetry), title)

    def set_counts(self, counts: DirectionCounts | None, title: str = "") -> None:
        """Show directions that are counted already; None: nothing."""
        self._counts, self._title = counts, title
        self._redraw()

    @property
    def counts(self) -> DirectionCounts | None:
        """What is shown."""
        return self._counts

    def _build(self) -> None:
        self._counts = None
        self._title = ""
        self._map: pg.PlotItem = self.graphics.addPlot(row=0, col=0)
        quiet_plot(self._map, self.graphics)
        self._map.setMouseEnabled(x=False, y=False)
        self._map.setAspectLocked(True)
        for name in ("left", "bottom"):
            self._map.hideAxis(name)
        self._map.setRange(QRectF(-2.6, -1.2, 4.9, 2.4), padding=0)
        self._bar: pg.PlotItem = self.graphics.addPlot(row=1, col=0)
        quiet_plot(self._bar, self.graphics)
        self._bar.setMouseEnabled(x=False, y=False)
        self._bar.hideAxis("left")
        self._bar.setMaximumHeight(58)
        self._bar.getAxis("bottom").enableAutoSIPrefix(False)
        self.graphics.setMinimumHeight(250)

    @property
    def _highest(self) -> float:
        """Where the colour scale ends: times an even spread."""
        if self._counts is None:
            return 2.0
        return max(1.5, float(np.quantile(self._counts.relative, _BRIGHTEST)))

    def _draw(self, palette: Palette) -> None:
        self._map.clear()
        self._bar.clear()
        stops = _ON_DARK if palette.is_dark else _ON_LIGHT
        if self._counts is not None:
            picture = pg.ImageItem(coloured(self._counts, stops, self._highest), axisOrder="row-major")
            picture.setRect(QRectF(-2, -1, 4, 2))
            self._map.addItem(picture)
        x, y = graticule()
        grid = QColor(palette.ink)
        grid.setAlpha(70)
        self._map.addItem(pg.PlotCurveItem(x, y, pen=pg.mkPen(grid, width=1), connect="finite", antialias=True))
        turn = np.linspace(0, 2 * np.pi, 200)
        outline = pg.PlotCurveItem(
            2 * np.cos(turn), np.sin(turn), pen=pg.mkPen(palette.ink, width=1.5), antialias=True
        )
        self._map.addItem(outline)
        for tilt in _TILTS:
            [(at_x, at_y)] = mollweide(np.array([-180.0]), np.array([float(tilt)]))
            self._put(f"{tilt}°", at_x - 0.02, at_y, (1.0, 0.5), palette)
        self._put("tilt 0°", 0, 1, (0.5, 1.0), palette)
        self._put("tilt 180°", 0, -1, (0.5, 0.0), palette)
        bar = pg.ImageItem(ramp(stops)[None], axisOrder="row-major")
        bar.setRect(QRectF(0, 0, self._highest, 1))
        self._bar.addItem(bar)
        self._bar.setRange(QRectF(0, 0, self._highest, 1), padding=0)
        colour_axes(self._bar, palette)
        self._bar.setLabel("bottom", "views, times an even spread", color=palette.ink, **{"font-size": "9pt"})

    def _put(self, text: str, x: float, y: float, anchor: tuple[float, float], palette: Palette) -> None:
        item = pg.TextItem(text, color=palette.ink, anchor=anchor)
        font = item.textItem.font()
        font.setPointSizeF(8)
        item.setFont(font)
        item.setPos(x, y)
        self._map.addItem(item)

    # --- words and files --------------------------------------------------------------------------------------

    def _words_at(self, place: QPointF | None) -> str:
        counts = self._counts
        if counts is None:
            return "No directions yet: the first iteration brings them."
        if place is not None and self._map.vb.sceneBoundingRect().contains(place):
            at = self._map.vb.mapSceneToView(place)
            rot, tilt, inside = mollweide_inverse(np.array(at.x()), np.array(at.y()))
            if inside:
                return self.values_at(float(rot), float(tilt))
        title = f"{self._title}: " if self._title else ""
        empty = float((counts.counts == 0).mean())
        return (
            f"{title}{counts.images} particles; densest {counts.relative.max():.1f} × even, "
            f"{empty:.0%} of all directions without a view"
        )

    def values_at(self, rot_deg: float, tilt_deg: float) -> str:
        """Return the density about a direction, in words."""
        assert self._counts is not None
        cell = self._counts.cell_at(rot_deg, tilt_deg)
        density, views = self._counts.relative[cell], self._counts.counts[cell]
        return f"rot {rot_deg:.0f}°, tilt {tilt_deg:.0f}°:\n{density:.2f} × even ({views} views)"

    def _csv(self) -> bytes:
        counts = self._counts
        rows = (
            []
            if counts is None
            else [
                [f"{rot:.4f}", f"{tilt:.4f}", int(views), f"{density:.6g}"]
                for rot, tilt, views, density in zip(
                    *counts.centres_deg(), counts.counts, counts.relative, strict=True
                )
            ]
        )
        return table(["rot (deg)", "tilt (deg)", "views", "times even"], rows)

    def _figure(self, file_format: str) -> bytes:
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import LinearSegmentedColormap, Normalize

        figure = blank_figure(5.6, 3.6)
        axes = figure.add_subplot()
        if self._counts is not None:
            picture = coloured(self._counts, _ON_LIGHT, self._highest)
            axes.imshow(picture, origin="lower", extent=(-2, 2, -1, 1))
        axes.plot(*graticule(), color="0.4", lw=0.4, alpha=0.6)
        turn = np.linspace(0, 2 * np.pi, 200)
        axes.plot(2 * np.cos(turn), np.sin(turn), color="0.2", lw=1)
        for tilt in (0, *_TILTS, 180):
            [(x, y)] = mollweide(np.array([-180.0]), np.array([float(tilt)]))
            axes.annotate(
                f"{tilt}°",
                (x, y),
                xytext=(-4, 0),
                textcoords="offset points",
                ha="right",
                va="center",
                fontsize=7,
            )
        axes.set_axis_off()
        axes.set_aspect("equal")
        scale = ScalarMappable(
            Normalize(0, self._highest), LinearSegmentedColormap.from_list("views", list(_ON_LIGHT))
        )
        bar = figure.colorbar(scale, ax=axes, orientation="horizontal", shrink=0.6)
        bar.set_label("views, times an even spread", fontsize=8)
        bar.ax.tick_params(labelsize=7.5)
        return drawn(figure, file_format)


def ramp(stops: tuple[str, ...], steps: int = 256) -> NDArray[np.uint8]:
    """Return colours between stops at equal distances, ``(steps, 4)`` RGBA."""
    colours = np.array([QColor(stop).getRgb() for stop in stops], dtype=np.float64)
    places = np.linspace(0, len(stops) - 1, steps)
    channels = [np.interp(places, np.arange(len(stops)), colours[:, channel]) for channel in range(4)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


def coloured(counts: DirectionCounts, stops: tuple[str, ...], highest: float) -> NDArray[np.uint8]:
    """Return the map as a picture, RGBA, y upwards; clear outside."""
    cells = cells_of_picture(counts.nside, _WIDTH_PX)
    shades = np.clip(counts.relative / highest * 255, 0, 255).astype(np.uint8)
    picture = ramp(stops)[shades[cells]]
    picture[cells < 0] = 0
    return picture


def graticule() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return lines of equal tilt and rot on the map, NaN between one and the next."""
    along, down = np.linspace(-180, 180, 60), np.linspace(0, 180, 60)
    parallels = [mollweide(along, np.full(60, float(tilt))) for tilt in _TILTS]
    meridians = [mollweide(np.full(60, float(rot)), down) for rot in _ROTS]
    lines = [*parallels, *meridians]
    points = np.concatenate([np.concatenate([line, [[np.nan, np.nan]]]) for line in lines])
    return points[:, 0], points[:, 1]
