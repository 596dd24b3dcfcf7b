"""Denoise the demo half-maps, colour what comes of it by their local resolution, and take a picture.

xvfb-run -a -s "-screen 0 1400x900x24 +extension GLX" python scripts/screenshots_surface.py FOLDER THEME
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from napari._qt.dialogs.qt_notification import NapariQtNotification
from qtpy.QtWidgets import QWidget
from stage import Stage

from napari_blush.samples import demo_half_maps

NAME = "denoised"


class SurfaceStage(Stage):
    """A viewer with the dock widget *Coloured surface*."""

    def __init__(self, theme: str) -> None:
        super().__init__("Coloured surface", theme=theme, patience_seconds=1800.0)

    def is_hopeless(self) -> bool:
        """Whether the widget refused something."""
        return str(self.widget.message.text()).startswith(("There is nothing", "The map"))

    def words(self) -> str:
        """Return what the widget says."""
        return f"waited in vain: {self.widget.message.text()}"


def open_denoised(viewer: Any) -> None:
    """Denoise the demo half-maps, and open one of the results."""
    halves = [Path(arguments["metadata"]["blush"]["path"]) for _, arguments, _ in demo_half_maps()]
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, f"{NAME}.mrc")
        words = ["denoise", halves[0], "--half2", halves[1], "-o", output]
        subprocess.run([sys.executable, "-m", "blushcore.cli", *map(str, words)], check=True)
        viewer.open(output.with_name(f"{NAME}_half1.mrc"), plugin="napari-blush", name=NAME)


def main(folder: Path, theme: str) -> int:
    """Write ``surface-THEME.png`` into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    stage = SurfaceStage(theme)
    viewer, widget = stage.viewer, stage.widget
    open_denoised(viewer)
    for values, arguments, _ in demo_half_maps():
        viewer.add_image(values, **arguments)
    stage.until(widget.maps.measure.isEnabled)
    widget.maps.measure.click()
    stage.until(lambda: widget.surface is not None)
    viewer.scene.camera.angles = (20.0, 35.0, 120.0)
    stage.let_pass(1.0)
    for widget in viewer.window._qt_window.findChildren(QWidget):
        if isinstance(widget, NapariQtNotification):  # over the scale bar
            widget.close()
    stage.shoot(folder / f"surface-{theme}.png", 1.0)
    stage.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]), sys.argv[2]))
