"""Denoise the demo half-maps in a viewer and take a picture of every state; see scripts/screenshots."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from stage import Stage

from napari_blush.samples import demo_half_maps


class DenoiseStage(Stage):
    """A viewer with the dock widget *Denoise map*."""

    def __init__(self, theme: str | None = None) -> None:
        super().__init__("Denoise map", theme=theme)
        self.session = self.widget.session
        self.pictures: list[Any] = []
        self.session.picture_came.connect(self.pictures.append)

    def words(self) -> str:
        """Return what the session says."""
        return f"waited in vain in state {self.session.state}: {self.session.failure}"

    def denoise(self) -> None:
        """Click on *Denoise*, and wait until the result and its FSC are shown."""
        known, halves = len(self.session.history), len(self.session.sources) == 2
        curves: list[Any] = []
        self.session.fsc_came.connect(curves.append)
        self.widget.panels.denoise_button.click()
        self.until(lambda: self.session.state in ("done", "failed") and (bool(curves) or not halves))
        if self.session.failure is not None:
            raise SystemExit(str(self.session.failure))
        self.until(lambda: len(self.session.history) > known and self.widget.layers.result is not None)


def main(folder: Path, theme: str) -> int:
    """Write ``STATE-THEME.png`` into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    stage = DenoiseStage(theme)
    viewer, widget, session = stage.viewer, stage.widget, stage.session

    def shoot(state: str, settle_seconds: float = 0.5) -> None:
        stage.shoot(folder / f"{state}-{theme}.png", settle_seconds)

    shoot("empty", 2.0)
    values, arguments, _ = demo_half_maps()[0]
    in_pixels = {"scale": (1.0,) * 3, "units": ("pixel",) * 3, "translate": (0.0,) * 3}
    layer = viewer.add_image(values, **{**arguments, **in_pixels, "name": "a map"})
    shoot("voxel-size", 1.0)
    viewer.layers.remove(layer)
    widget.panels.status.sample_button.click()
    stage.until(lambda: session.state == "loading")
    shoot("loading", 0.1)
    stage.until(lambda: session.state == "ready")
    shoot("ready", 1.0)
    widget.panels.preview_button.click()
    stage.until(lambda: bool(stage.pictures) and widget.layers.split is not None)
    shoot("preview-approximate", 0.1)
    stage.until(lambda: not stage.pictures[-1].approximate)
    shoot("preview-final")
    widget.panels.denoise_button.click()
    stage.until(lambda: session.state == "running")
    shoot("running", 1.5)
    widget.panels.status.cancel_button.click()
    shoot("cancelled")
    stage.denoise()
    shoot("done", 1.5)
    viewer.dims.ndisplay = 3
    shoot("side-by-side-3d", 2.0)
    viewer.dims.ndisplay = 2
    widget.panels.display.modes["difference"].click()
    shoot("difference", 1.5)
    widget.panels.display.modes["result"].click()
    widget.panels.display.solvent_mask.click()
    shoot("solvent-mask", 1.5)
    widget.panels.display.solvent_mask.click()
    widget.panels.display.modes["split"].click()
    stage.let_pass(1.0)
    widget.panels.form.set_value(widget.panels.form.value().replace(diameter=90.0))
    stage.denoise()
    widget.layers.want(compare_with=session.history[0])
    stage.let_pass(1.0)
    widget.panels.scroll.verticalScrollBar().setValue(widget.panels.scroll.verticalScrollBar().maximum())
    shoot("fsc-and-history")
    widget.panels.scroll.verticalScrollBar().setValue(0)
    pid = widget._worker.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)  # what running out of memory looks like
    stage.until(lambda: session.state == "failed")
    shoot("failed")
    stage.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]), sys.argv[2]))
