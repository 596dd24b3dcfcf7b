"""Colour the demo map by its local resolution, and take a picture of it, as scripts/screenshots does."""

from __future__ import annotations

import sys
from pathlib import Path

from stage import Stage

from napari_blush.samples import demo_half_maps


class SurfaceStage(Stage):
    """A viewer with the dock widget *Coloured surface*."""

    def __init__(self, theme: str) -> None:
        super().__init__("Coloured surface", theme=theme, patience_seconds=1800.0)

    def words(self) -> str:
        """Return what the widget says."""
        return f"waited in vain: {self.widget.message.text()}"


def main(folder: Path, theme: str) -> int:
    """Write ``surface-THEME.png`` into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    stage = SurfaceStage(theme)
    viewer, widget = stage.viewer, stage.widget
    for values, arguments, _ in demo_half_maps():
        viewer.add_image(values, **arguments)
    stage.until(widget.maps.measure.isEnabled)
    widget.maps.measure.click()
    stage.until(lambda: widget.surface is not None)
    viewer.scene.camera.angles = (20.0, 35.0, 120.0)
    stage.shoot(folder / f"surface-{theme}.png", 2.0)
    stage.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]), sys.argv[2]))
