"""Test the denoiser on the demo half-maps in napari, and take a picture of what is found.

xvfb-run -a -s "-screen 0 1400x900x24 +extension GLX" python scripts/screenshots_validation.py FOLDER THEME
"""

from __future__ import annotations

import sys
from pathlib import Path

from stage import Stage


class ValidationStage(Stage):
    """A viewer with the dock widget *Test the denoiser*."""

    def __init__(self, theme: str) -> None:
        super().__init__("Test the denoiser", theme=theme, window_px=(1300, 860), patience_seconds=1800.0)

    def is_hopeless(self) -> bool:
        """Whether the test could not be done."""
        return str(self.widget.card.title.text()) == "The test could not be done"

    def words(self) -> str:
        """Return what the widget says."""
        return f"waited in vain: {self.widget.card.text.text()}"


def main(folder: Path, theme: str) -> int:
    """Write ``validation-THEME.png`` into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    stage = ValidationStage(theme)
    stage.viewer.open_sample("napari-blush", "demo_half_maps")
    stage.until(stage.widget.button.isEnabled)
    stage.widget.run()
    stage.until(lambda: stage.widget.found.isVisible())
    stage.shoot(folder / f"validation-{theme}.png", 1.0)
    stage.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]), sys.argv[2]))
