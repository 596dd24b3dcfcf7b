"""Lines, handles and words drawn over the layers, without a layer of their own.

napari has a public model for this, `SceneOverlay`, but no public way to say how an overlay is drawn: the one
private thing this touches is the table in which napari looks that up. Sizes in pixels stay so at any zoom,
since whoever owns the drawing makes it anew when the zoom changes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from napari._vispy.overlays.base import ViewerOverlayMixin, VispySceneOverlay
from napari._vispy.utils.visual import overlay_to_visual
from napari._vispy.visuals.text import Text
from napari.components.overlays import SceneOverlay
from napari.layers.base._base_constants import Blending
from pydantic import InstanceOf
from vispy.scene.visuals import Compound, Line, Markers

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SHADE = (0.0, 0.0, 0.0, 0.75)
_CLEAR = (0.0, 0.0, 0.0, 0.0)
_FONT_POINTS = 10
_ASIDE = [(x, y, 0.0) for x in (-1.0, 0.0, 1.0) for y in (-1.0, 0.0, 1.0) if (x, y) != (0, 0)]


@dataclass(frozen=True)
class Words:
    """Text at a point: ``anchor`` says which side of the text the point is on."""

    text: str
    at: tuple[float, ...]
    anchor: Literal["left", "right"]


@dataclass(frozen=True, eq=False)
class Drawing:
    """What is drawn, in world coordinates of the displayed axes (``[y, x]`` or ``[z, y, x]``).

    Attributes
    ----------
    lines
        Each ``(n, 2)`` or ``(n, 3)``, its points joined in order.
    width
        Of the lines in pixels.
    colour
        Of lines, rims and words, as (red, green, blue, alpha) from 0 to 1. Everything has a dark shade, and is
        so seen on black and on white.
    discs
        Centres of filled circles, ``(n, 2)`` or ``(n, 3)``.
    disc_size
        Their diameter in pixels.
    words
        Texts.
    per_pixel
        World units a pixel: how far their shade reaches.
    """

    lines: tuple[NDArray[np.floating], ...] = ()
    width: float = 2.0
    colour: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)
    discs: NDArray[np.floating] = field(default_factory=lambda: np.empty((0, 2)))
    disc_size: float = 26.0
    words: tuple[Words, ...] = ()
    per_pixel: float = 1.0


class DrawingOverlay(SceneOverlay):
    """The model: set `drawing`, and the canvas follows. Add it to ``viewer.scene.overlays``."""

    drawing: InstanceOf[Drawing] = Drawing()
    blending: Blending = Blending.TRANSLUCENT_NO_DEPTH


class VispyDrawingOverlay(ViewerOverlayMixin, VispySceneOverlay):
    """How it is drawn: discs below lines below words, each over its shade."""

    overlay: DrawingOverlay

    def __init__(self, *, font_info: Any, **kwargs: Any) -> None:
        self._shade, self._lines = Line(method="gl"), Line(method="gl")
        self._discs = Markers(scaling="fixed")
        # All texts of one visual have the same anchor. Each visual takes milliseconds to make: no more of them.
        self._words = {
            anchor: Text(
                text="",
                pos=(0, 0),
                anchor_x=anchor,
                anchor_y="center",
                font_size=_FONT_POINTS,
                font_info=font_info,
            )
            for anchor in ("left", "right")
        }
        parts = [self._shade, self._discs, self._lines, *self._words.values()]
        super().__init__(node=Compound(parts), font_info=font_info, **kwargs)
        for order, part in enumerate(parts):
            part.order = order
        self.overlay.events.drawing.connect(self._redraw)
        self.reset()

    def reset(self) -> None:
        """Draw everything anew."""
        super().reset()
        self._redraw()

    def close(self) -> None:
        """Let go of the model and leave the scene."""
        self.overlay.events.drawing.disconnect(self._redraw)
        super().close()

    def _redraw(self) -> None:
        drawing = self.overlay.drawing
        self._draw_lines(drawing)
        self._discs.visible = len(drawing.discs) > 0
        if len(drawing.discs):
            self._discs.set_data(
                pos=_as_vispy(drawing.discs),
                size=drawing.disc_size,
                edge_width=drawing.width,
                edge_color=drawing.colour,
                face_color=(0.12, 0.13, 0.15, 0.9),
            )
        self._draw_words(drawing)
        self.node.update()

    def _draw_lines(self, drawing: Drawing) -> None:
        lines = [line for line in drawing.lines if len(line) > 1]
        for part in (self._shade, self._lines):
            part.visible = bool(lines)
        if not lines:
            return
        points = _as_vispy(np.concatenate(lines))
        joined = np.ones(len(points), dtype=bool)
        joined[np.cumsum([len(line) for line in lines]) - 1] = False
        self._shade.set_data(pos=points, connect=joined, color=_SHADE, width=drawing.width + 2)
        self._lines.set_data(pos=points, connect=joined, color=drawing.colour, width=drawing.width)

    def _draw_words(self, drawing: Drawing) -> None:
        for anchor, visual in self._words.items():
            words = [one for one in drawing.words if one.anchor == anchor]
            visual.visible = bool(words)
            if not words:
                continue
            points = _as_vispy(np.array([one.at for one in words], dtype=np.float64))
            around = [points + np.float32(drawing.per_pixel) * np.array(aside) for aside in _ASIDE]
            visual.text = [one.text for one in words] * (len(_ASIDE) + 1)
            visual.pos = np.concatenate([*around, points])  # what comes last is drawn last: over its shade
            visual.color = np.repeat([_SHADE, drawing.colour], [len(_ASIDE) * len(words), len(words)], axis=0)


def _as_vispy(points: NDArray[np.floating]) -> NDArray[np.float32]:
    """From numpy's (z, y, x) or (y, x) to vispy's (x, y, z): its buffers keep their number of coordinates."""
    placed = np.zeros((len(points), 3), dtype=np.float32)
    placed[:, : points.shape[1]] = points[:, ::-1]
    return placed


overlay_to_visual[DrawingOverlay] = VispyDrawingOverlay
