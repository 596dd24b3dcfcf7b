"""A viewer with the dock widget "Denoise map" that a script plays on and takes pictures of."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import napari
from qtpy.QtWidgets import QApplication
from small_png import write_small_png

PATIENCE_SECONDS = 600.0
WINDOW_PX = (1200, 800)


class Stage:
    """A viewer with the widget, opened as a user opens it.

    Parameters
    ----------
    theme
        ``"dark"``, ``"light"``, or None for what napari's settings say.
    """

    def __init__(self, theme: str | None = None) -> None:
        self.viewer = napari.Viewer(show=True)
        if theme is not None:
            self.viewer.theme = theme
        self.viewer.window.resize(*WINDOW_PX)
        self.widget = self._open_from_menu("Denoise map")
        self.session = self.widget.session
        self.pictures: list[Any] = []
        self.session.picture_came.connect(self.pictures.append)

    def _open_from_menu(self, title: str) -> Any:
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
        """Let Qt work until a condition comes true."""
        end = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            if time.monotonic() > end:
                raise SystemExit(f"waited in vain in state {self.session.state}: {self.session.failure}")
            self.let_pass(0.01)

    def open_demo_maps(self) -> None:
        """Click on *Demo half-maps*, and wait until they can be denoised."""
        self.widget.panels.status.sample_button.click()
        self.until(lambda: self.session.state == "ready")

    def denoise(self) -> None:
        """Click on *Denoise*, and wait until the result and its FSC are shown."""
        known = len(self.session.history)
        fsc: list[Any] = []
        self.session.fsc_came.connect(fsc.append)
        self.widget.panels.denoise_button.click()
        self.until(lambda: self.session.state in ("done", "failed") and (bool(fsc) or not self._has_halves))
        if self.session.failure is not None:
            raise SystemExit(str(self.session.failure))
        self.until(lambda: len(self.session.history) > known and self.widget.layers.result is not None)

    @property
    def _has_halves(self) -> bool:
        return len(self.session.sources) == 2

    def shoot(self, path: Path, settle_seconds: float = 0.5) -> None:
        """Write a picture of the window as a small PNG."""
        self.let_pass(settle_seconds)
        write_small_png(path, self.viewer.window.screenshot(canvas_only=False, flash=False))
        print(path, flush=True)

    def close(self) -> None:
        """Close the viewer; the widget's computing process ends with it."""
        self.viewer.close()
        QApplication.processEvents()
