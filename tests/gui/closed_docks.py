"""What a click on a dock's × does in napari, and what Qt does once nobody holds the widget."""

from __future__ import annotations

from typing import Any


def let_go(viewer: Any, widget: Any) -> None:
    """Take a widget out of the viewer's window, and delete it."""
    getattr(viewer, "__wrapped__", viewer).window.remove_dock_widget(getattr(widget, "__wrapped__", widget))
    delete(widget)


def delete(widget: Any) -> None:
    """Delete a widget that no window holds any more."""
    from qtpy.QtCore import QEvent
    from qtpy.QtWidgets import QApplication

    getattr(widget, "__wrapped__", widget).deleteLater()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
