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
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from gui_stopwatch import Stopwatch, let_qt_work, need_a_display, print_figures

LIMITS = {"files to pixels, median (s)": 0.5, "own work, 99th percentile (ms)": 50.0}
PATIENCE_SECONDS = 60.0
_SETTLE_SECONDS = 0.6
"""Between updates: longer than the pause between two sets of maps, so that each is timed from rest."""

_BUSY = "import os, numpy as np\nos.nice(19)\na = np.random.rand(1500, 1500)\nwhile True: a @ a"


def instrument() -> Stopwatch:
    """Time everything that our code does in the GUI's thread."""
    from napari_blush.background import Background
    from napari_blush.live.layers import LiveLayers
    from napari_blush.live.view import LiveView
    from napari_blush.live.watcher import Watcher

    watch = Stopwatch(time.perf_counter)
    watch.every_of_ours(
        (
            (Watcher, ("_deliver", "look")),
            (Background, ("_deliver",)),
            (LiveLayers, ("_load_next", "_show")),
            (LiveView, ("_draw", "_on_looked", "_on_maps")),
        )
    )
    watch.all_of_napari()
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
    changed: list[float] = []  # Qt may draw before it comes back to us
    view.layers.changed.connect(lambda: changed.append(time.perf_counter()))
    canvas = viewer.window._qt_viewer.canvas._scene_canvas
    canvas.events.draw.connect(lambda _: drawn.append(time.perf_counter()), position="last")

    def until(condition: Callable[[], bool]) -> None:
        let_qt_work(condition, PATIENCE_SECONDS, view.card.problems.text)

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
        until(lambda: bool(drawn) and drawn[-1] >= changed[-1])
        latencies.append(drawn[-1] - begin)
        rest(_SETTLE_SECONDS)
    figures = {
        "updates": float(updates),
        "files to pixels, median (s)": float(np.median(latencies)),
        "files to pixels, worst (s)": max(latencies),
        **watch.figures(),
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
    need_a_display()
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
    print_figures(figures, LIMITS if arguments.size == 256 else {})
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
