"""Denoise the demo half-maps in napari; see scripts/demo."""

from __future__ import annotations

import sys
from pathlib import Path

import napari
from stage import Stage


def main(folder: Path | None) -> int:
    """Leave the viewer to the user; with `folder`, write pictures of what there is to see into it, and end."""
    stage = Stage()
    widget = stage.widget
    stage.open_demo_maps()
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        stage.shoot(folder / "1-demo-maps.png", 1.0)
    stage.denoise()
    if folder is None:
        napari.run()
        return 0
    stage.shoot(folder / "2-denoised.png", 1.0)
    widget._scroll.verticalScrollBar().setValue(widget._scroll.verticalScrollBar().maximum())
    stage.shoot(folder / "3-fsc.png")
    widget._scroll.verticalScrollBar().setValue(0)
    widget.display.modes["difference"].click()
    stage.shoot(folder / "4-difference.png", 1.0)
    widget.save(folder / "denoised.mrc")
    halves = [folder / f"denoised_half{half}.mrc" for half in (1, 2)]
    stage.until(lambda: all(path.exists() for path in halves))
    stage.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else None))
