"""What the benchmarks of the viewer share: a display, a stopwatch in the GUI's thread, and waiting for Qt."""

from __future__ import annotations

import functools
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

_WORST_SHOWN = 5
_SCREEN = "-screen 0 1400x900x24 +extension GLX"


def need_a_display() -> None:
    """Where there is no display, run the program anew with a virtual one."""
    if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or sys.platform != "linux":
        return
    xvfb = shutil.which("xvfb-run")
    if xvfb is None:
        raise SystemExit("there is no display, and no xvfb-run to make one")
    os.execv(xvfb, [xvfb, "-a", "-s", _SCREEN, sys.executable, *sys.argv])


def let_qt_work(until: Callable[[], bool], patience_seconds: float, failure: Callable[[], Any]) -> float:
    """Let Qt work until a condition comes true; return how many seconds that took.

    It is given up where that takes too long, or once `failure` says that something went wrong.
    """
    from qtpy.QtWidgets import QApplication

    application = QApplication.instance()
    assert application is not None
    begin = time.perf_counter()
    while not until():
        if time.perf_counter() - begin > patience_seconds or failure():
            raise SystemExit(f"it came to nothing: {failure()}")
        application.processEvents()
        time.sleep(0.001)
    return time.perf_counter() - begin


class Stopwatch:
    """Times calls in the GUI's thread, and what of them is spent in napari."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.own: list[tuple[float, str]] = []
        self.napari: list[float] = []
        self._depth = self._napari_depth = 0
        self._in_napari = 0.0

    def ours(self, owner: Any, name: str) -> None:
        """Time a method of ours; nested ones count with the outermost."""
        method = getattr(owner, name)

        @functools.wraps(method)
        def timed(*args: Any, **kwargs: Any) -> Any:
            if self._depth:
                return method(*args, **kwargs)
            self._depth, self._in_napari, begin = 1, 0.0, self._clock()
            try:
                return method(*args, **kwargs)
            finally:
                self._depth = 0
                self.own.append((self._clock() - begin - self._in_napari, f"{owner.__name__}.{name}"))
                self.napari.append(self._in_napari)

        setattr(owner, name, timed)

    def theirs(self, owner: Any, name: str) -> None:
        """Time a method of napari's."""
        method = getattr(owner, name)

        @functools.wraps(method)
        def timed(*args: Any, **kwargs: Any) -> Any:
            if self._napari_depth:
                return method(*args, **kwargs)
            self._napari_depth, begin = 1, self._clock()
            try:
                return method(*args, **kwargs)
            finally:
                self._napari_depth = 0
                self._in_napari += self._clock() - begin

        setattr(owner, name, timed)

    def theirs_when_set(self, owner: Any, name: str) -> None:
        """Time the setting of a property of napari's."""
        known = getattr(owner, name)
        setters = type("Setters", (), {"set": staticmethod(known.fset)})
        self.theirs(setters, "set")
        setattr(owner, name, known.setter(setters.set))

    def every_of_ours(self, methods: Iterable[tuple[Any, tuple[str, ...]]]) -> None:
        """Time methods of ours, by their owners."""
        for owner, names in methods:
            for name in names:
                self.ours(owner, name)

    def all_of_napari(self) -> None:
        """Time what our code sets in motion in napari: slicing, thumbnails, drawing, layers."""
        from napari._vispy.canvas import VispyCanvas
        from napari.components import LayerList, ViewerModel
        from napari.layers import Image
        from napari.layers.base import Layer

        for owner, names in (
            (Layer, ("refresh", "_set_view_slice", "_update_thumbnail", "_update_dims")),
            (ViewerModel, ("add_layer",)),
            (LayerList, ("remove", "move")),
            (VispyCanvas, ("_update_viewer_overlays",)),
        ):
            for name in names:
                self.theirs(owner, name)
        for name in ("data", "contrast_limits", "contrast_limits_range", "visible", "name", "colormap"):
            self.theirs_when_set(Image, name)

    def figures(self) -> dict[str, float]:
        """Return how long events kept the GUI's thread, in ms; print which did longest."""
        own = np.array([seconds for seconds, _ in self.own]) * 1e3
        for seconds, name in sorted(self.own)[: -_WORST_SHOWN - 1 : -1]:
            print(f"  among the longest of our own: {name} {seconds * 1e3:.0f} ms")
        return {
            "own work, 99th percentile (ms)": float(np.percentile(own, 99)),
            "own work, worst (ms)": float(own.max()),
            "events handled": float(len(own)),
            "napari's share, 99th percentile (ms)": float(np.percentile(self.napari, 99)) * 1e3,
        }


def print_figures(figures: dict[str, float], limits: dict[str, float]) -> None:
    """Print figures, and beside those that have a limit their share of it."""
    for name, value in figures.items():
        limit = limits.get(name)
        words = f"  {value / limit:5.2f} × the limit of {limit:g}" if limit else ""
        print(f"  {name:55s}{value:9.2f}{words}")
