"""A viewer with one of the plugin's dock widgets, that a script plays on and takes pictures of."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import napari
from qtpy.QtWidgets import QApplication
from small_png import write_small_png


class Stage:
    """A viewer with a widget, opened as a user opens it.

    Parameters
    ----------
    title
        Of the widget, as it stands in the menu *Plugins > Blush*.
    theme
        ``"dark"``, ``"light"``, or None for what napari's settings say.
    window_px
        Width and height of the window.
    patience_seconds
        How long `until` waits.
    """

    def __init__(
        self,
        title: str,
        *,
        theme: str | None = None,
        window_px: tuple[int, int] = (1200, 800),
        patience_seconds: float = 600.0,
    ) -> None:
        self._patience_seconds = patience_seconds
        self.viewer = napari.Viewer(show=True)
        if theme is not None:
            self.viewer.theme = theme
        self.viewer.window.resize(*window_px)
        self.widget = self.open_from_menu(title)

    def open_from_menu(self, title: str) -> Any:
        """Open a dock widget of the plugin from napari's menu, and return it."""
        window = self.viewer.window
        window.plugins_menu.aboutToShow.emit()
        (blush,) = [action.menu() for action in window.plugins_menu.actions() if action.text() == "Blush"]
        (entry,) = [action for action in blush.actions() if action.text() == title]
        entry.trigger()
        return window.dock_widgets[f"{title} (Blush)"]

    def let_pass(self, seconds: float) -> None:
        """Let Qt work for a while."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            QApplication.processEvents()
            time.sleep(0.005)

    def until(self, condition: Callable[[], bool]) -> None:
        """Let Qt work until a condition comes true; end the script where that is hopeless."""
        end = time.monotonic() + self._patience_seconds
        while not condition():
            if time.monotonic() > end or self.is_hopeless():
                raise SystemExit(self.words())
            self.let_pass(0.02)

    def is_hopeless(self) -> bool:
        """Whether the widget is in a state that it does not leave by itself."""
        return False

    def words(self) -> str:
        """Return what the widget says of its state."""
        raise NotImplementedError

    def shoot(self, path: Path, settle_seconds: float = 0.5) -> Any:
        """Write a picture of the window as a small PNG, and return it ``[row, column, channel]``."""
        self.let_pass(settle_seconds)
        picture = self.viewer.window.screenshot(canvas_only=False, flash=False)
        write_small_png(path, picture)
        print(path, flush=True)
        return picture

    def close(self) -> None:
        """Close the viewer; what belongs to the widget ends with it."""
        self.viewer.close()
        QApplication.processEvents()
