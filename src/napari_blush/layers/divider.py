"""A line down the canvas that can be dragged sideways."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_blush.layers.drawing import Drawing, Words
from napari_blush.layers.grip import Grip
from napari_blush.layers.view import Connections, View2D, view_events

if TYPE_CHECKING:
    from napari.components import ViewerModel

_GRIP_PX = 7
"""Distance from the line within which the mouse takes hold of it."""
_HANDLE_PX = 28
_LABEL_ROOM_PX = 18
_LONGEST_LABEL, _SHORTEST_LABEL = 28, 5
_LETTER_PX = 11.0
"""At the overlay's font size, generously."""


class Divider:
    """A vertical line in the scene with a handle, and a label on each side.

    Parameters
    ----------
    viewer
        In 2D; in 3D the divider hides.
    moved
        Called with the place it is dragged to: world coordinate along the horizontal axis.
    """

    def __init__(self, viewer: ViewerModel, moved: Callable[[float], None]) -> None:
        self._viewer, self._moved = viewer, moved
        self._at = 0.0
        self._extent = ((0.0, 1.0), (0.0, 1.0))
        self._labels = ("", "")
        self._grip = Grip(viewer, "divider", is_near=self._is_near, dragged=self._drag, redraw=self._redraw)
        self._connections = Connections()
        for event in view_events(viewer):
            self._connections.connect(event, self._redraw)

    def place(
        self,
        at: float,
        *,
        vertical: tuple[float, float],
        horizontal: tuple[float, float],
        labels: tuple[str, str],
    ) -> None:
        """Put the line at `at` on the horizontal axis, within the extents of the picture along both axes."""
        self._at, self._extent, self._labels = at, (vertical, horizontal), labels
        self._redraw()

    def close(self) -> None:
        """Take it off the canvas."""
        self._connections.undo()
        self._grip.close()

    @property
    def _shown(self) -> bool:
        return bool(self._viewer.dims.ndisplay == 2)

    def _is_near(self, event: Any) -> bool:
        view = View2D.of(self._viewer)
        (low, high), _ = self._extent
        return (
            self._shown
            and abs(event.position[view.horizontal] - self._at) <= _GRIP_PX * view.per_pixel
            and low <= event.position[view.vertical] <= high
        )

    def _drag(self, event: Any) -> None:
        self._moved(float(event.position[View2D.of(self._viewer).horizontal]))

    def _redraw(self, event: Any = None) -> None:
        self._grip.overlay.visible = self._shown
        if not self._shown:
            return
        view = View2D.of(self._viewer)
        px, (low, high) = view.per_pixel, self._extent[0]
        # Handle and labels stay where they can be seen, however the picture is zoomed and moved.
        seen_low, seen_high = max(low, min(view.top, view.bottom)), min(high, max(view.top, view.bottom))
        middle = (seen_low + seen_high) / 2
        top = (seen_low if view.down > 0 else seen_high) + view.down * _LABEL_ROOM_PX * px
        bright = self._grip.is_bright
        gap, reach = 4.5 * px, 4.0 * px
        chevrons = [
            np.array(
                [
                    (middle - reach, self._at + side * gap),
                    (middle, self._at + side * (gap + reach)),
                    (middle + reach, self._at + side * gap),
                ]
            )
            for side in (-1, 1)
        ]
        beside = 9 * px
        words = tuple(
            Words(text, (top, self._at + side * beside), "left" if side == view.rightwards else "right")
            for side, label in zip((-view.rightwards, view.rightwards), self._labels, strict=True)
            if (text := _shortened(label, int((self._room(view, side) - beside) / (_LETTER_PX * px))))
        )
        self._grip.overlay.drawing = Drawing(
            lines=(np.array([(low, self._at), (high, self._at)]), *chevrons),
            width=3.0 if bright else 2.0,
            colour=(1.0, 0.78, 0.84, 1.0) if bright else (1.0, 1.0, 1.0, 1.0),
            discs=np.array([(middle, self._at)]),
            disc_size=_HANDLE_PX,
            words=words if seen_high - seen_low > 3 * _LABEL_ROOM_PX * px else (),
            per_pixel=px,
        )

    def _room(self, view: View2D, side: int) -> float:
        """How much of the picture is seen on one side of the line (1: towards larger coordinates)."""
        low, high = self._extent[1]
        if side > 0:
            return min(high, max(view.left, view.right)) - self._at
        return self._at - max(low, min(view.left, view.right))


def without_common_name(one: str, other: str) -> tuple[str, str]:
    """Return labels without the word that both begin with, such as a run's name, where something is left."""
    (first, _, rest), (second, _, others) = one.partition(" "), other.partition(" ")
    return (rest, others) if first == second and rest and others else (one, other)


def _shortened(label: str, room: int) -> str:
    """Leave letters out of the middle of a label that is longer than its room; all of them if that is tiny."""
    most = min(_LONGEST_LABEL, room)
    if len(label) <= most:
        return label
    if most < _SHORTEST_LABEL:
        return ""
    end = (most - 1) // 2
    return f"{label[: most - 1 - end]}…{label[len(label) - end :]}"
