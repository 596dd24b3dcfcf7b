"""The particle's diameter on the map: a circle that can be dragged larger and smaller."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from psygnal import Signal

from napari_blush.layers.drawing import Drawing, Words
from napari_blush.layers.grip import Grip
from napari_blush.layers.view import Connections, View2D, unwrapped, view_events

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image
    from numpy.typing import NDArray

_GRIP_PX = 6
_POINTS = 181
_COLOUR = (0.96, 0.62, 0.70, 1.0)
_COLOUR_HELD = (1.0, 0.82, 0.87, 1.0)


class DiameterCircle:
    """The sphere of a diameter about the centre of a map's box, as the displayed slice cuts it; three circles
    in 3D.

    In a slice beside the centre the circle is smaller, as the sphere is there: what lies outside it is outside
    the denoiser's mask. A thin circle then still shows the full diameter. Dragging the circle changes the
    diameter.

    Parameters
    ----------
    viewer
        The viewer with the layer.
    layer
        A map; its box's centre is index ``n // 2``, as everywhere.
    diameter
        In Å (the layer's world unit).
    """

    diameter_changed = Signal(float)
    """Set or dragged; in Å."""

    def __init__(self, viewer: ViewerModel, layer: Image, diameter: float = 0.0) -> None:
        self._viewer, self._layer = viewer, unwrapped(layer)
        self._diameter = max(0.0, float(diameter))
        self._visible = True
        self._grip = Grip(viewer, "diameter", is_near=self._is_near, dragged=self._drag, redraw=self._redraw)
        self._connections = Connections()
        self._layer_connections = Connections()
        for event in (*view_events(viewer), viewer.dims.events.current_step):
            self._connections.connect(event, self._redraw)
        self._connections.connect(viewer.layers.events.removed, self._on_removed)
        self._open = True
        self.layer = self._layer

    @property
    def layer(self) -> Image:
        """The map about whose centre it lies; another may be given."""
        return self._layer

    @layer.setter
    def layer(self, layer: Image) -> None:
        self._layer = unwrapped(layer)
        self._layer_connections.undo()
        for event in (self._layer.events.scale, self._layer.events.translate, self._layer.events.data):
            self._layer_connections.connect(event, self._redraw)
        self._redraw()

    @property
    def diameter(self) -> float:
        """In Å; 0 shows nothing."""
        return self._diameter

    @diameter.setter
    def diameter(self, diameter: float) -> None:
        diameter = max(0.0, float(diameter))
        if diameter != self._diameter:
            self._diameter = diameter
            self._redraw()
            self.diameter_changed.emit(diameter)

    @property
    def visible(self) -> bool:
        """Whether it is shown."""
        return self._visible

    @visible.setter
    def visible(self, visible: bool) -> None:
        self._visible = visible
        self._redraw()

    @property
    def centre(self) -> NDArray[np.float64]:
        """The centre of the box in the world, ``[z, y, x]``."""
        middle = [n // 2 for n in self._layer.data.shape]
        return np.asarray(self._layer.data_to_world(middle), dtype=np.float64)

    @property
    def radius_here(self) -> float:
        """Radius of the sphere's cut by the displayed slice, in Å; 0 where the slice misses it."""
        squared = (self._diameter / 2) ** 2 - self._distance_from_centre() ** 2
        return float(np.sqrt(max(0.0, squared)))

    def close(self) -> None:
        """Take it off the canvas. Again, nothing happens."""
        if not self._open:
            return
        self._open = False
        self._connections.undo()
        self._layer_connections.undo()
        self._grip.close()

    def _on_removed(self, event: Any) -> None:
        if unwrapped(event.value) is self._layer:
            self.close()

    # --- drawing ----------------------------------------------------------------------------------------------

    @property
    def _offset(self) -> int:
        """Axes that the viewer has before the map's three."""
        return int(self._viewer.dims.ndim) - 3

    def _displayed(self) -> list[int]:
        return [int(axis) - self._offset for axis in self._viewer.dims.displayed]

    def _distance_from_centre(self) -> float:
        [axis] = [axis for axis in range(3) if axis not in self._displayed()]
        return float(self._viewer.dims.point[axis + self._offset] - self.centre[axis])

    def _redraw(self, event: Any = None) -> None:
        displayed = self._displayed()
        if not self._visible or self._diameter == 0 or min(displayed) < 0:
            self._grip.overlay.visible = False
            return
        self._grip.overlay.drawing = self._in_3d() if len(displayed) == 3 else self._in_2d(displayed)
        self._grip.overlay.visible = True

    def _in_2d(self, displayed: list[int]) -> Drawing:
        view = View2D.of(self._viewer)
        centre, radius = self.centre[displayed], self.radius_here
        full = self._diameter / 2
        lines = [centre + radius * _circle()] if radius > 0 else []
        if full - radius > 2 * view.per_pixel:
            lines += [centre + full * arc for arc in _dashes()]
        bright = self._grip.is_bright
        # At half past four on the rim: clear of a divider through the middle and of the labels at its top.
        reach = full * np.sqrt(0.5) + 8 * view.per_pixel
        corner = (centre[0] + view.down * reach, centre[1] + view.rightwards * reach)
        return Drawing(
            lines=tuple(lines),
            width=3.0 if bright else 2.0,
            colour=_COLOUR_HELD if bright else _COLOUR,
            words=(Words(f"{self._diameter:.0f} Å", corner, "left"),),
            per_pixel=view.per_pixel,
        )

    def _in_3d(self) -> Drawing:
        centre, radius = self.centre, self._diameter / 2
        circles = []
        for normal in range(3):
            circle = np.insert(radius * _circle(), normal, 0.0, axis=1)
            circles.append((centre + circle)[:, self._displayed()])
        return Drawing(lines=tuple(circles), width=1.5, colour=_COLOUR)

    # --- dragging ---------------------------------------------------------------------------------------------

    def _radius_at(self, event: Any) -> float:
        """Distance of the mouse from the centre within the displayed plane."""
        displayed = self._displayed()
        place = np.array([event.position[axis + self._offset] for axis in displayed])
        return float(np.linalg.norm(place - self.centre[displayed]))

    def _is_near(self, event: Any) -> bool:
        if not self._grip.overlay.visible or self._viewer.dims.ndisplay != 2 or self.radius_here == 0:
            return False
        return abs(self._radius_at(event) - self.radius_here) <= _GRIP_PX * View2D.of(self._viewer).per_pixel

    def _drag(self, event: Any) -> None:
        """Take the sphere whose cut by this slice passes under the mouse."""
        self.diameter = 2 * float(np.hypot(self._radius_at(event), self._distance_from_centre()))


def _circle() -> NDArray[np.float64]:
    angles = np.linspace(0, 2 * np.pi, _POINTS)
    return np.stack((np.sin(angles), np.cos(angles)), axis=1)


def _dashes() -> list[NDArray[np.float64]]:
    circle = _circle()
    return [circle[first : first + 3] for first in range(0, _POINTS - 2, 5)]
