"""Two half-maps on their way through the computing process to a map of their local resolution."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]

from blushcore.interactive.messages import (
    Cancel,
    Cancelled,
    Event,
    Failed,
    Load,
    Loaded,
    LocalResolutionMeasured,
    MeasureLocalResolution,
    Release,
    Working,
)
from blushcore.protocol import BlushError
from blushcore.volumes import Volume
from napari_blush.background import Background
from napari_blush.worker import WorkerClient


class LocalResolutionJob(QObject):
    """Measures local resolution in the computing process, one pair of half-maps at a time.

    Parameters
    ----------
    worker
        The process; started when it is first needed.
    background
        Writes and reads the arrays.
    parent
        Qt's parent.
    """

    advanced = Signal(int, int)
    """How many windows are done, of how many; of 0 while the maps are handed over."""
    done = Signal(object, float)
    """The map in Å, as a `Volume` on the grid of the first half, and the median (Å)."""
    failed = Signal(str)
    """A sentence, with what to do."""
    stopped = Signal()

    def __init__(self, worker: WorkerClient, background: Background, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._worker, self._background = worker, background
        self._numbers = itertools.count(1)
        self._id = ""
        self._waiting: set[str] = set()
        self._keys: tuple[str, ...] = ()
        self._request: MeasureLocalResolution | None = None
        self._grid: Volume | None = None
        worker.said.connect(self._on_said)
        worker.died.connect(self._on_died)

    @property
    def is_running(self) -> bool:
        """Whether a measurement is under way."""
        return bool(self._id)

    def measure(self, halves: tuple[Volume, Volume], mask: Volume | None = None) -> None:
        """Measure two half-maps, within a mask if there is one; instead of what is under way."""
        self._worker.start()
        self._id = name = f"local-{next(self._numbers)}"
        self._grid = halves[0]
        maps = {f"{name}-half1": halves[0], f"{name}-half2": halves[1]}
        if mask is not None:
            maps[f"{name}-mask"] = mask
        folder, mask_key = self._worker.folder, f"{name}-mask" if mask is not None else None
        self._waiting, self._keys = set(maps), tuple(maps)
        self._request = MeasureLocalResolution(
            id=name, halves=(f"{name}-half1", f"{name}-half2"), mask=mask_key
        )

        def write() -> dict[str, Path]:
            paths = {key: folder / f"{key}.npy" for key in maps}
            for key, path in paths.items():
                np.save(path, maps[key].data)
            return paths

        def tell(paths: dict[str, Path]) -> None:
            for key, path in paths.items() if name == self._id else ():
                role = "mask" if key == mask_key else "map"
                self._worker.tell(Load(key=key, path=path, voxel_size=maps[key].voxel_size, role=role))

        self.advanced.emit(0, 0)
        self._background.run(write, tell, self._on_trouble)

    def stop(self) -> None:
        """Measure no further."""
        if self._id:
            self._worker.tell(Cancel(id=self._id))
            self._end()
            self.stopped.emit()

    def _end(self) -> None:
        self._id, self._request = "", None
        self._waiting = set()
        for key in self._keys:
            self._worker.tell(Release(key=key))
        self._keys = ()

    def _on_said(self, event: Event) -> None:
        match event:
            case Loaded() if event.key in self._waiting:
                self._waiting.remove(event.key)
                (self._worker.folder / f"{event.key}.npy").unlink(missing_ok=True)
                if not self._waiting and self._request is not None:
                    self._worker.tell(self._request)
            case Working() if event.id == self._id:
                self.advanced.emit(event.done, event.total)
            case LocalResolutionMeasured() if event.id == self._id:
                self._take(event)
            case Cancelled() if event.id == self._id:  # another asker took the worker
                self._end()
                self.stopped.emit()
            case Failed() if event.id is not None and (event.id == self._id or event.id in self._waiting):
                self._end()
                self.failed.emit(str(BlushError(event.problem, event.remedy)))

    def _take(self, event: LocalResolutionMeasured) -> None:
        grid, name = self._grid, self._id
        assert grid is not None  # there is one while an id is

        def read() -> Volume:
            values = np.load(event.path)
            event.path.unlink(missing_ok=True)
            return grid.with_data(values)

        def done(volume: Volume) -> None:
            if name == self._id:
                self._end()
                self.done.emit(volume, event.median)

        self._background.run(read, done, self._on_trouble)

    def _on_trouble(self, error: Exception) -> None:
        self._end()
        self.failed.emit(f"The maps could not be exchanged with the computing process: {error}.")

    def _on_died(self, problem: str, remedy: str) -> None:
        if self._id:
            self._end()
            self.failed.emit(f"{problem} {remedy}")
