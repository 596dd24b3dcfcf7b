"""The particle's diameter on layers of particle images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_blush.layers.diameter import DiameterCircle
from napari_blush.layers.listing import IMAGES_AXIS
from napari_blush.layers.maps import METADATA
from napari_blush.layers.view import Connections, unwrapped

if TYPE_CHECKING:
    from pathlib import Path

    from napari.layers import Image
    from napari.viewer import Viewer

    from napari_blush.refine.set_up import SetUp


class ImageCircle(DiameterCircle):
    """The circle on images ``[image, y, x]``: the same on each, about its centre; nothing in 3D."""

    def _distance_from_centre(self) -> float:
        return 0.0

    def _redraw(self, event: Any = None) -> None:
        shown = self._layer.visible and set(self._displayed()) == {1, 2}
        if shown:
            super()._redraw(event)
        else:
            self._grip.overlay.visible = False


class ParticleCircles:
    """Keeps a circle on the layer that shows the chosen particles, in step with the form.

    Parameters
    ----------
    viewer
        Where the layer may be.
    set_up
        Whose particles and diameter.
    """

    def __init__(self, viewer: Viewer, set_up: SetUp) -> None:
        self._viewer, self._set_up = viewer, set_up
        self.circle: ImageCircle | None = None
        self._connections = Connections()
        for panel in set_up.panels.values():
            panel.form.changed.connect(self._on_form)
            panel.diameter_panel.circle_box.toggled.connect(self._on_toggled)

    def follow(self) -> None:
        """Draw the circle where there is a layer of the chosen particles."""
        self.end()
        layer = self._layer()
        if layer is None:
            return
        self.circle = ImageCircle(self._viewer, layer, self._set_up.diameter)
        self.circle.visible = self._set_up.diameter_panel.circle_box.isChecked()
        self.circle.diameter_changed.connect(self._on_circle)
        self._connections.connect(layer.events.visible, self._on_shown_or_hidden)

    def end(self) -> None:
        """Take the circle off the canvas. Again, nothing happens."""
        circle, self.circle = self.circle, None
        self._connections.undo()
        if circle is not None:
            circle.diameter_changed.disconnect(self._on_circle)
            circle.close()

    def _layer(self) -> Image | None:
        path = self._set_up.particles.path
        found = [unwrapped(layer) for layer in self._viewer.layers if _shows(unwrapped(layer), path)]
        return found[-1] if found else None

    def _on_circle(self, diameter: float) -> None:
        value = round(float(diameter), 1)
        if not np.isclose(value, self._set_up.diameter):
            self._set_up.diameter = value

    def _on_form(self) -> None:
        if self.circle is not None:
            self.circle.diameter = self._set_up.diameter

    def _on_toggled(self, on: bool) -> None:
        if self.circle is not None:
            self.circle.visible = on

    def _on_shown_or_hidden(self, event: Any = None) -> None:
        if self.circle is not None:
            self.circle.visible = self.circle.visible  # draws it, or not


def _shows(layer: Any, path: Path | None) -> bool:
    """Whether a layer shows the images of a STAR file."""
    kept = layer.metadata.get(METADATA, {}).get("path")
    is_stack = layer.ndim == 3 and layer.axis_labels[0] == IMAGES_AXIS
    return bool(path is not None and is_stack and kept == str(path.absolute()))
