"""Make a soft mask of the demo half-maps in napari, and take a picture of it.

xvfb-run -a -s "-screen 0 1400x900x24 +extension GLX" python scripts/screenshots_mask.py FOLDER THEME
"""

from __future__ import annotations

import sys
from pathlib import Path

from stage import Stage


class MaskStage(Stage):
    """A viewer with the dock widget *Soft mask*."""

    def __init__(self, theme: str) -> None:
        super().__init__("Soft mask", theme=theme, window_px=(1300, 860))

    def is_hopeless(self) -> bool:
        """Whether the widget refused something."""
        return str(self.widget.message.objectName()) == "blushError"

    def words(self) -> str:
        """Return what the widget says."""
        return f"waited in vain: {self.widget.message.text()}"


def main(folder: Path, theme: str) -> int:
    """Write ``mask-THEME.png`` into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    stage = MaskStage(theme)
    stage.viewer.open_sample("napari-blush", "demo_half_maps")
    stage.until(stage.widget.button.isEnabled)
    stage.widget.button.click()
    stage.until(lambda: stage.widget.layer_is_there)
    slider = stage.widget.slider
    slider.setValue(1.3 * slider.value())
    stage.let_pass(3.0)
    stage.shoot(folder / f"mask-{theme}.png", 1.0)
    stage.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]), sys.argv[2]))
