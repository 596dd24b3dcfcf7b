"""Docks beside a viewer, a click on their ×, and what Qt does once nobody holds the widget."""

from __future__ import annotations

from typing import Any


def put_beside(viewer: Any, widget: Any, name: str) -> None:
    """Put a widget in a dock of the viewer's window."""
    getattr(viewer, "__wrapped__", viewer).window.add_dock_widget(widget, name=name)


def let_go(viewer: Any, widget: Any) -> None:
    """Take a widget out of the viewer's window, and delete it."""
    take_away(viewer, widget)
    delete(widget)


def take_away(viewer: Any, widget: Any) -> None:
    """Do all that napari does at a click on a dock's ×: no close event comes."""
    getattr(viewer, "__wrapped__", viewer).window.remove_dock_widget(getattr(widget, "__wrapped__", widget))


def delete(widget: Any) -> None:
    """Delete a widget that no window holds any more."""
    from qtpy.QtCore import QEvent
    from qtpy.QtWidgets import QApplication

    getattr(widget, "__wrapped__", widget).deleteLater()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
