"""The mouse on napari's canvas, by real Qt events."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QEvent, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QApplication

from napari_blush.layers.view import View2D, unwrapped


class CanvasMouse:
    """Moves to places in the world, given along the vertical and horizontal axis."""

    def __init__(self, viewer: Any) -> None:
        self.viewer = viewer
        self.native = unwrapped(viewer).window._qt_viewer.canvas.native
        self.held = Qt.MouseButton.NoButton

    def _send(self, kind: Any, world: tuple[float, float], button: Any) -> None:
        view = View2D.of(self.viewer)
        at = QPointF((world[1] - view.left) / view.per_pixel, (world[0] - view.top) / view.per_pixel)
        place = self.native.mapToGlobal(at.toPoint())
        event = QMouseEvent(kind, at, QPointF(place), button, self.held, Qt.KeyboardModifier.NoModifier)
        QApplication.sendEvent(self.native, event)
        # napari looks at moves at most every 5 ms
        from qtpy.QtTest import QTest

        QTest.qWait(15)

    def move(self, *world: float) -> None:
        self._send(QEvent.Type.MouseMove, world, Qt.MouseButton.NoButton)

    def press(self, *world: float) -> None:
        self.held = Qt.MouseButton.LeftButton
        self._send(QEvent.Type.MouseButtonPress, world, Qt.MouseButton.LeftButton)

    def release(self, *world: float) -> None:
        self.held = Qt.MouseButton.NoButton
        self._send(QEvent.Type.MouseButtonRelease, world, Qt.MouseButton.LeftButton)

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        self.press(*start)
        self.move((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
        self.move(*end)
        self.release(*end)
