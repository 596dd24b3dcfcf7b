#!/usr/bin/env python3
"""How soon an iteration's maps are on the screen, and how long a live run keeps the viewer waiting.

    python benchmarks/gui_latency.py [--size 256] [--updates 40] [--keep light] [--busy] [--json FILE]

A made-up run of n³ voxels in a real viewer (a virtual display is made where there is none), with the panel of
`LiveView` beside it. Iterations are put into the run directory one after another, and timed:

- files on disk → pixels: from the line in ``events.jsonl`` that names the files until the canvas has been drawn
  with the new maps (limit 0.5 s); the canvas is drawn by software here;
- our own work in the GUI's thread for each event that it handles: 99th percentile (limit 50 ms at 256³) and
  worst. napari's own share (slicing, thumbnails, drawing) is taken off and reported apart.

``--busy`` lets a niced worker compute on all cores but one meanwhile, as a refinement does. Otherwise run it
with nothing else on the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from gui_denoise import Stopwatch

LIMITS = {"files to pixels, median (s)": 0.5, "own work, 99th percentile (ms)": 50.0}
PATIENCE_SECONDS = 60.0
_WORST_SHOWN = 5
_SETTLE_SECONDS = 0.6
"""Between updates: longer than the pause between two sets of maps, so that each is timed from rest."""

_BUSY = "import os, numpy as np\nos.nice(19)\na = np.random.rand(1500, 1500)\nwhile True: a @ a"


def instrument() -> Stopwatch:
    """Time everything that our code does in the GUI's thread."""
    from napari._vispy.canvas import VispyCanvas
    from napari.components import LayerList, ViewerModel
    from napari.layers import Image
    from napari.layers.base import Layer

    from napari_blush.background import Background
    from napari_blush.live.layers import LiveLayers
    from napari_blush.live.view import LiveView
    from napari_blush.live.watcher import Watcher

    watch = Stopwatch(time.perf_counter)
    for owner, names in (
        (Watcher, ("_deliver", "look")),
        (Background, ("_deliver",)),
        (LiveLayers, ("_load_next", "_show")),
        (LiveView, ("_draw", "_on_looked", "_on_maps")),
    ):
        for name in names:
            watch.ours(owner, name)
    for owner, names in (
        (Layer, ("refresh", "_set_view_slice", "_update_thumbnail", "_update_dims")),
        (ViewerModel, ("add_layer",)),
        (LayerList, ("remove", "move")),
        (VispyCanvas, ("_update_viewer_overlays",)),
    ):
        for name in names:
            watch.theirs(owner, name)
    for name in ("data", "contrast_limits", "contrast_limits_range", "visible", "name", "colormap"):
        watch.theirs_when_set(Image, name)
    return watch


def measure(n: int, updates: int, keep: str, folder: Path) -> dict[str, float]:
    """Play a run into a directory that is watched, and time it."""
    import napari
    from qtpy.QtWidgets import QApplication
    from replay import Replay, recorded_run

    watch = instrument()
    recorded = recorded_run(folder / "recorded", box=n, iterations=3, keep=keep, particles=2000)
    replay = Replay(recorded, folder / "live")
    records = [replay.play_iteration() for _ in range(3)]

    from napari_blush.live import LiveView

    viewer = napari.Viewer(show=True)
    view = LiveView(viewer, replay.run.path)
    viewer.window.add_dock_widget(view, area="right")
    application = QApplication.instance()
    assert application is not None
    drawn: list[float] = []
    canvas = viewer.window._qt_viewer.canvas._scene_canvas
    canvas.events.draw.connect(lambda _: drawn.append(time.perf_counter()), position="last")

    def until(condition: Callable[[], bool]) -> None:
        begin = time.perf_counter()
        while not condition():
            if time.perf_counter() - begin > PATIENCE_SECONDS:
                raise SystemExit(f"it came to nothing: {view.card.problems.text()}")
            application.processEvents()
            time.sleep(0.001)

    def rest(seconds: float) -> None:
        end = time.perf_counter() + seconds
        until(lambda: time.perf_counter() > end)

    until(lambda: view.layers.shown == 2)
    rest(2.0)
    watch.own.clear()
    watch.napari.clear()
    latencies = []
    for number in range(updates):
        iteration = 3 + number
        # Every other one, so that the maps do change.
        replay.again(records[1 + number % 2], iteration)
        begin = time.perf_counter()
        until(lambda iteration=iteration: view.layers.shown == iteration)
        shown = time.perf_counter()
        until(lambda shown=shown: bool(drawn) and drawn[-1] >= shown)
        latencies.append(drawn[-1] - begin)
        rest(_SETTLE_SECONDS)
    own = np.array([seconds for seconds, _ in watch.own]) * 1e3
    for seconds, name in sorted(watch.own)[: -_WORST_SHOWN - 1 : -1]:
        print(f"  among the longest of our own: {name} {seconds * 1e3:.0f} ms")
    figures = {
        "updates": float(updates),
        "files to pixels, median (s)": float(np.median(latencies)),
        "files to pixels, worst (s)": max(latencies),
        "events handled": float(len(own)),
        "own work, 99th percentile (ms)": float(np.percentile(own, 99)),
        "own work, worst (ms)": float(own.max()),
        "napari's share, 99th percentile (ms)": float(np.percentile(watch.napari, 99)) * 1e3,
    }
    view.close_run()
    viewer.close()
    application.processEvents()
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--updates", type=int, default=40)
    parser.add_argument("--keep", choices=("light", "full"), default="light")
    parser.add_argument("--busy", action="store_true")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")) and sys.platform == "linux":
        xvfb = shutil.which("xvfb-run")
        if xvfb is None:
            raise SystemExit("there is no display, and no xvfb-run to make one")
        screen = "-screen 0 1400x900x24 +extension GLX"
        os.execv(xvfb, [xvfb, "-a", "-s", screen, sys.executable, *sys.argv])
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "gui"))
    cores = os.cpu_count() or 1
    print(f"{platform.processor() or platform.machine()}, {cores} cores; {arguments.size}³ voxels")
    threads = {"OMP_NUM_THREADS": str(max(1, cores - 1))}
    worker = [sys.executable, "-c", _BUSY]
    busy = subprocess.Popen(worker, env={**os.environ, **threads}) if arguments.busy else None
    try:
        with tempfile.TemporaryDirectory() as folder:
            figures = measure(arguments.size, arguments.updates, arguments.keep, Path(folder))
    finally:
        if busy is not None:
            busy.kill()
            busy.wait()
    for name, value in figures.items():
        limit = LIMITS.get(name)
        words = f"  {value / limit:5.2f} × the limit of {limit:g}" if limit and arguments.size == 256 else ""
        print(f"  {name:45s}{value:9.2f}{words}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
