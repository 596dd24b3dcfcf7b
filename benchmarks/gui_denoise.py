#!/usr/bin/env python3
"""How soon *Denoise map* shows something, and how long it keeps the viewer waiting.

    python benchmarks/gui_denoise.py [--sizes 128 256] [--weights NAME|FILE] [--device cpu] [--json FILE]

A simulated half-map of n³ voxels of 1.5 Å in a real viewer (a virtual display is made where there is none), the
worker warm. Timed from the click until the picture is in the layer's array, in a process that does what the
plugin does:

- first picture of the preview (limit 1 s), picture of the whole slice (limit 2 s for 128³; both are approximate
  until said otherwise), the slice exact;
- another slice in view, near by and far away;
- the whole map;
- what our own code keeps the GUI's thread for, per event it handles: 99th percentile (limit 50 ms) and worst.
  napari's own share (slicing, thumbnails, drawing: software rendering here) is taken off and reported apart.

Run it with nothing else on the machine. Where that cannot be, --cpu-time counts what the GUI's thread computes
in place of what the clock says; the times from click to picture are then worth nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from gui_stopwatch import Stopwatch, let_qt_work, need_a_display, print_figures

VOXEL_SIZE_ANGSTROM = 1.5
LIMITS = {"first picture (s)": 1.0, "whole slice (s)": 2.0, "own work, 99th percentile (ms)": 50.0}
PATIENCE_SECONDS = 1800.0


def half_map(n: int) -> np.ndarray:
    """Make a lumpy ball of half the box's width in noise."""
    from scipy import ndimage

    rng = np.random.default_rng(0)
    offset = np.arange(n) - n // 2
    radius = np.sqrt(offset[:, None, None] ** 2 + offset[:, None] ** 2 + offset**2)
    lumps = ndimage.gaussian_filter(rng.normal(size=(n,) * 3), 2.5)
    signal = np.where(radius < n / 4, 1 + lumps / lumps.std(), 0)
    return (signal + rng.normal(size=signal.shape)).astype(np.float32)


def instrument(clock: Callable[[], float]) -> Stopwatch:
    """Time everything that our code does in the GUI's thread."""
    from napari_blush.background import Background
    from napari_blush.denoise.chosen_maps import ChosenMaps
    from napari_blush.denoise.layers import DenoiseLayers
    from napari_blush.denoise.widget import DenoiseWidget
    from napari_blush.layers.scale_bar import ScaleBar
    from napari_blush.worker import WorkerClient

    watch = Stopwatch(clock)
    watch.every_of_ours(
        (
            (WorkerClient, ("_on_output",)),
            (Background, ("_deliver",)),
            (DenoiseLayers, ("update", "begin_preview")),
            (DenoiseWidget, ("_look", "_apply_settings", "_on_preview", "denoise")),
            (ChosenMaps, ("take",)),
            (ScaleBar, ("show_once",)),
        )
    )
    watch.all_of_napari()
    return watch


def measure(n: int, weights: str | None, device: str, clock: Callable[[], float]) -> dict[str, float]:
    """Go through a denoising as a user does, and time it."""
    import napari
    from napari.layers import Image
    from qtpy.QtCore import QTimer
    from qtpy.QtWidgets import QApplication

    from blushcore.interactive.messages import DenoiseSettings
    from blushcore.volumes import Volume
    from napari_blush.layers.maps import map_arguments

    watch = instrument(clock)
    viewer = napari.Viewer(show=True)
    _, widget = viewer.window.add_plugin_dock_widget("napari-blush", "Denoise map")
    application = QApplication.instance()
    assert application is not None

    def until(condition: Callable[[], bool]) -> float:
        return let_qt_work(condition, PATIENCE_SECONDS, lambda: widget.session.failure)

    ready: list[Any] = []
    widget.session.prepared.connect(ready.append)
    widget.panels.form.set_value(DenoiseSettings(weights=weights, device=device))
    widget._apply_settings()
    until(lambda: bool(ready))
    volume = Volume(half_map(n), (VOXEL_SIZE_ANGSTROM,) * 3)
    viewer.add_layer(Image(volume.data, **map_arguments(volume, name="half")))
    until(lambda: widget.session.state == "ready")
    until(lambda: widget._settle.isActive() is False)

    beats: list[float] = []
    beat = QTimer()
    beat.timeout.connect(lambda: beats.append(time.perf_counter()))
    beat.start(2)
    pictures: list[Any] = []
    widget.session.picture_came.connect(pictures.append)
    figures = {"blocks across the slice": 0.0}
    begin = time.perf_counter()
    widget.preview(True)
    until(lambda: bool(pictures))
    figures["first picture (s)"] = time.perf_counter() - begin
    until(lambda: pictures[-1].whole)
    figures["whole slice (s)"] = time.perf_counter() - begin
    until(lambda: not pictures[-1].approximate)
    figures["exact slice (s)"] = time.perf_counter() - begin
    figures["blocks across the slice"] = float(pictures[-1].blocks_total)
    for label, index in (("slice near by (s)", n // 2 + 3), ("slice far away (s)", n // 4 - 4)):
        viewer.dims.set_current_step(0, index)
        figures[label] = until(lambda index=index: pictures[-1].index == index and pictures[-1].whole)
    begin = time.perf_counter()
    widget.denoise()
    until(lambda: widget.session.state == "done" and widget.layers.result is not None)
    figures["whole map (s)"] = time.perf_counter() - begin
    for strength in (0.75, 0.5, 1.0):
        widget.panels.display.strength.setValue(strength)
        begin = time.perf_counter()
        until(lambda begin=begin: time.perf_counter() - begin > 0.5)
    figures |= watch.figures()
    figures["between two beats of Qt's loop, 99th percentile (ms)"] = (
        float(np.percentile(np.diff(beats), 99)) * 1e3
    )
    beat.stop()
    viewer.close()
    application.processEvents()
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[128])
    parser.add_argument("--weights")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--cpu-time", action="store_true")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    need_a_display()
    clock = time.thread_time if arguments.cpu_time else time.perf_counter
    results = {}
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {arguments.device}")
    for n in arguments.sizes:
        print(f"{n}³ voxels of {VOXEL_SIZE_ANGSTROM} Å")
        results[n] = measure(n, arguments.weights, arguments.device, clock)
        print_figures(results[n], LIMITS if n == 128 else {})
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
