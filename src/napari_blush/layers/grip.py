"""A drawing on the canvas that the mouse can take hold of and drag."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from napari_blush.layers.drawing import DrawingOverlay

if TYPE_CHECKING:
    from napari.components import ViewerModel


class Grip:
    """An overlay and the mouse on it; what is drawn there is the owner's business.

    Parameters
    ----------
    viewer
        On whose canvas it is.
    name
        In the key of its overlay: ``blush_…``.
    is_near
        Whether the mouse, in an event of napari's, is near enough to take hold.
    dragged
        Called with each event of the mouse while it is held.
    redraw
        Called when `is_bright` has changed.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        name: str,
        *,
        is_near: Callable[[Any], bool],
        dragged: Callable[[Any], None],
        redraw: Callable[[], None],
    ) -> None:
        self._viewer, self._is_near, self._dragged, self._redraw = viewer, is_near, dragged, redraw
        self._hovered = self._held = False
        self._key = f"blush_{name}_{id(self)}"
        self.overlay = DrawingOverlay(visible=False)
        viewer.scene.overlays[self._key] = self.overlay
        viewer.mouse_drag_callbacks.append(self._on_press)
        viewer.mouse_move_callbacks.append(self._on_hover)

    @property
    def is_bright(self) -> bool:
        """Whether it is to be seen that the mouse is on it."""
        return self._hovered or self._held

    def close(self) -> None:
        """Take it off the canvas."""
        self._viewer.mouse_drag_callbacks.remove(self._on_press)
        self._viewer.mouse_move_callbacks.remove(self._on_hover)
        if self._hovered:
            self._viewer.cursor.style = "standard"
        if self._key in self._viewer.scene.overlays:
            del self._viewer.scene.overlays[self._key]

    def _on_hover(self, viewer: ViewerModel, event: Any) -> None:
        near = self._is_near(event)
        if not self._held and near != self._hovered:
            self._hovered = near
            self._viewer.cursor.style = "pointing" if near else "standard"
            self._redraw()

    def _on_press(self, viewer: ViewerModel, event: Any) -> Iterator[None]:
        if event.button != 1 or event.handled or not self._is_near(event):
            return
        event.handled = True
        camera = self._viewer.scene.camera
        panning, camera.mouse_pan = camera.mouse_pan, False
        self._held = True
        self._redraw()
        try:
            yield
            while event.type == "mouse_move":
                self._dragged(event)
                event.handled = True
                yield
        finally:
            self._held = False
            camera.mouse_pan = panning
            self._redraw()
