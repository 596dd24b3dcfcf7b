"""The reference in the viewer: shown when its file is chosen, with the circle of the diameter on it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject

from napari_blush.background import Background
from napari_blush.layers.scale_bar import ScaleBar
from napari_blush.refine.checks import Checks
from napari_blush.refine.particle_circle import ParticleCircles
from napari_blush.refine.set_up import SetUp

if TYPE_CHECKING:
    from napari.viewer import Viewer


class ReferenceLayer(QObject):
    """Adds a layer for a reference that is chosen as a file, and keeps the circles on it and on the particles.

    Parameters
    ----------
    viewer
        Where.
    set_up
        Whose reference and diameter.
    checks
        The process that estimates a diameter.
    background
        For reading.
    folder
        For a reference that is a layer only.
    """

    def __init__(
        self,
        viewer: Viewer,
        set_up: SetUp,
        checks: Checks,
        background: Background,
        folder: Path,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._viewer, self._set_up, self._checks = viewer, set_up, checks
        self._background, self._folder = background, folder
        self._scale_bar = ScaleBar(viewer)
        self._particles = ParticleCircles(viewer, set_up)
        set_up.reference.changed.connect(self._on_reference)
        for button in set_up.kind_buttons.values():
            button.clicked.connect(self.follow)
        set_up.particles.opened.connect(self._particles.follow)
        checks.estimated.connect(self._on_estimated)

    def follow(self) -> None:
        """Draw the circles on the reference and on the particles, where they are layers."""
        layer = self._set_up.reference.layer
        if layer is not None:
            self._scale_bar.show_once()
        self._set_up.diameter_panel.follow(layer)
        self._particles.follow()

    def end(self) -> None:
        """Take the circles off the canvas. Again, nothing happens."""
        self._set_up.diameter_panel.end()
        self._particles.end()

    def estimate(self) -> None:
        """Estimate the diameter of what the reference shows."""
        reference, folder = self._set_up.reference, self._folder

        def ask(path: Path | None) -> None:
            if path is not None:
                self._checks.estimate(path)

        def failed(error: Exception) -> None:
            reference.set_error(str(error))

        self._background.run(lambda: reference.file_for(folder), ask, failed)

    def _on_estimated(self, diameter: float | None) -> None:
        self._set_up.diameter_panel.take_estimate(diameter)

    def _on_reference(self) -> None:
        reference = self._set_up.reference
        if reference.layer is None and reference.path is not None:
            path = reference.path
            from napari_blush.reading import map_layer

            def add(found: Any) -> None:
                if reference.path == path:
                    self._add(found)

            def failed(error: Exception) -> None:
                if reference.path == path:
                    reference.set_error(str(error))

            self._background.run(lambda: map_layer(path), add, failed, instead_of="reference")
        self.follow()

    def _add(self, found: Any) -> None:
        from napari.layers import Image

        data, arguments, _ = found
        layer = Image(data, **arguments)
        self._viewer.add_layer(layer)
        self._set_up.reference.choose(layer)
        if not self._set_up.diameter:
            self.estimate()
