"""The slice in view, followed: not at every event, but soon after."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer

from napari_blush.layers.view import Connections, view_events

if TYPE_CHECKING:
    from napari.viewer import Viewer

_MILLISECONDS = 40


class ViewFollower(QObject):
    """Calls `look` after the viewer shows another slice or another part of it, at most 25 times a second.

    Parameters
    ----------
    viewer
        Who is followed.
    look
        What is called.
    parent
        Qt's parent.
    """

    def __init__(self, viewer: Viewer, look: Callable[[], Any], parent: QObject) -> None:
        super().__init__(parent)
        self._timer = QTimer(self)
        self._timer.setInterval(_MILLISECONDS)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(look)
        self._connections = Connections()
        for emitter in (*view_events(viewer), viewer.dims.events.current_step):
            self._connections.connect(emitter, self._on_view)

    @property
    def is_waiting(self) -> bool:
        """Whether `look` is about to be called."""
        return bool(self._timer.isActive())

    def stop(self) -> None:
        """Drop the call that is due."""
        self._timer.stop()

    def disconnect_viewer(self) -> None:
        """Follow no more."""
        self._connections.undo()

    def _on_view(self, event: Any = None) -> None:
        if not self._timer.isActive():
            self._timer.start()
