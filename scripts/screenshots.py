"""Denoise the demo half-maps in a viewer and take a picture of every state; see scripts/screenshots."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import napari
from qtpy.QtWidgets import QApplication

PATIENCE_SECONDS = 600.0


def main(folder: Path, theme: str) -> int:
    """Write ``THEME-NN-STATE.png`` into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    viewer = napari.Viewer(show=True)
    viewer.theme = theme
    viewer.window.resize(1400, 900)
    _, widget = viewer.window.add_plugin_dock_widget("napari-blush", "Denoise map")
    session = widget.session
    application = QApplication.instance()
    assert application is not None
    pictures: list[object] = []
    session.picture_came.connect(pictures.append)
    taken: list[str] = []

    def let_pass(seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            application.processEvents()
            time.sleep(0.005)

    def until(condition: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            if time.monotonic() > end:
                raise SystemExit(f"waited in vain in state {session.state}: {session.failure}")
            let_pass(0.01)

    def shoot(state: str, settle: float = 0.5) -> None:
        let_pass(settle)
        taken.append(state)
        path = folder / f"{theme}-{len(taken):02d}-{state}.png"
        viewer.window.screenshot(str(path), canvas_only=False, flash=False)
        print(path)

    shoot("empty", settle=2.0)
    widget.open_sample()
    until(lambda: session.state == "loading")
    shoot("loading", settle=0.1)
    until(lambda: session.state == "ready")
    shoot("ready", settle=1.0)
    widget.preview(True)
    until(lambda: bool(pictures))
    shoot("preview-approximate")
    until(lambda: not pictures[-1].approximate)
    shoot("preview-final")
    widget.denoise()
    until(lambda: session.state == "running")
    shoot("running", settle=1.5)
    session.cancel()
    shoot("cancelled")
    widget.denoise()
    until(lambda: widget.fsc_plot is not None and session.state == "done")
    shoot("done", settle=1.5)
    widget._scroll.ensureWidgetVisible(widget.history)
    shoot("fsc-and-history")
    widget._scroll.verticalScrollBar().setValue(0)
    widget.display.set_mode("difference")
    shoot("difference", settle=1.5)
    widget.display.set_mode("result")
    widget.display.solvent_mask.setChecked(True)
    shoot("solvent-mask", settle=1.5)
    widget.display.solvent_mask.setChecked(False)
    widget.display.set_mode("split")
    let_pass(1.0)
    pid = widget._worker.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)  # what running out of memory looks like
    until(lambda: session.state == "failed")
    shoot("failed")
    viewer.close()
    application.processEvents()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]), sys.argv[2]))
