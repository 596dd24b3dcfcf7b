"""Two half-maps on their way through the computing process to a map of their local resolution."""

from __future__ import annotations

import numpy as np
from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]

from blushcore.interactive.messages import LocalResolutionMeasured, MeasureLocalResolution
from blushcore.volumes import Volume
from napari_blush.background import Background
from napari_blush.worker import MASK, MapTask, WorkerClient


class LocalResolutionJob(MapTask):
    """Measures local resolution in the computing process, one pair of half-maps at a time.

    Parameters
    ----------
    worker, background, parent
        See `MapTask`; the background also reads the result.
    """

    done = Signal(object, float)
    """The map in Å, as a `Volume` on the grid of the first half, and the median (Å)."""

    def __init__(self, worker: WorkerClient, background: Background, parent: QObject | None = None) -> None:
        super().__init__(worker, background, LocalResolutionMeasured, parent)
        self._grid: Volume | None = None

    def measure(self, halves: tuple[Volume, Volume], mask: Volume | None = None) -> None:
        """Measure two half-maps, within a mask if there is one; instead of what is under way."""
        maps = {"half1": halves[0], "half2": halves[1]}
        if mask is not None:
            maps[MASK] = mask
        self.begin(
            maps,
            lambda name, keys: MeasureLocalResolution(
                id=name, halves=(keys["half1"], keys["half2"]), mask=keys.get(MASK)
            ),
        )
        self._grid = halves[0]

    def take(self, event: LocalResolutionMeasured) -> None:
        """Read the map."""
        grid, name = self._grid, event.id
        assert grid is not None  # there is one while there is work

        def read() -> Volume:
            values = np.load(event.path)
            event.path.unlink(missing_ok=True)
            return grid.with_data(values)

        def done(volume: Volume) -> None:
            if name == self._id:
                self._end()
                self.done.emit(volume, event.median)

        self._background.run(read, done, lambda error: self._on_trouble(name, error))
