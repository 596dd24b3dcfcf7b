"""What the canvas shows of the world at the moment, for things whose size is in pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel
    from napari.layers import Layer

T = TypeVar("T")


def unwrapped(thing: T) -> T:
    """Return the object behind the proxy through which napari shows it to plugins."""
    inner: T = getattr(thing, "__wrapped__", thing)
    return inner


@dataclass(frozen=True)
class View2D:
    """The canvas of a viewer in 2D.

    Attributes
    ----------
    vertical, horizontal
        The viewer's axes that run down and across it.
    per_pixel
        World units a pixel.
    top, bottom, left, right
        Where its edges lie in the world, along the two axes; ``top > bottom`` if the camera looks that way.
    """

    vertical: int
    horizontal: int
    per_pixel: float
    top: float
    bottom: float
    left: float
    right: float

    @classmethod
    def of(cls, viewer: ViewerModel) -> View2D:
        """Look at the viewer's camera and canvas."""
        camera = viewer.scene.camera
        vertical, horizontal = (int(axis) for axis in viewer.dims.displayed[-2:])
        height, width = viewer.canvas.size
        per_pixel = 1.0 / camera.zoom
        y, x = camera.center[-2:]
        down = 1 if str(camera.orientation[-2]) == "down" else -1
        rightwards = 1 if str(camera.orientation[-1]) == "right" else -1
        half_height, half_width = height * per_pixel / 2 * down, width * per_pixel / 2 * rightwards
        return cls(
            vertical, horizontal, per_pixel, y - half_height, y + half_height, x - half_width, x + half_width
        )

    @property
    def down(self) -> int:
        """1 if the world's vertical axis runs down the canvas, -1 if up."""
        return 1 if self.bottom > self.top else -1

    @property
    def rightwards(self) -> int:
        """1 if the world's horizontal axis runs to the right, -1 if to the left."""
        return 1 if self.right > self.left else -1


def extent_along(layer: Layer, axis: int) -> tuple[float, float]:
    """Return where a layer's voxels begin and end in the world along one of its axes: edges, not centres."""
    first, last = np.asarray(layer.extent.world)[:, axis]
    half = abs(float(layer.scale[axis])) / 2
    return float(first) - half, float(last) + half


def view_events(viewer: ViewerModel) -> list[Any]:
    """Return the events after which a `View2D` is another."""
    camera, dims = viewer.scene.camera.events, viewer.dims.events
    return [
        camera.zoom,
        camera.center,
        camera.orientation,
        viewer.canvas.events.size,
        dims.order,
        dims.ndisplay,
    ]


class Connections:
    """Connections to napari's events that are undone together."""

    def __init__(self) -> None:
        self._made: list[tuple[Any, Callable[..., Any]]] = []

    def connect(self, emitter: Any, callback: Callable[..., Any]) -> None:
        """Call `callback` at every event of `emitter` until `undo`."""
        emitter.connect(callback)
        self._made.append((emitter, callback))

    def undo(self) -> None:
        """Disconnect everything."""
        for emitter, callback in self._made:
            emitter.disconnect(callback)
        self._made.clear()
