"""A measurement of local resolution that somebody waits for: a batch of windows at a time."""

from __future__ import annotations

from collections.abc import Iterator

from blushcore.interactive.arrays import ArrayFolder
from blushcore.interactive.messages import (
    Event,
    LocalResolutionMeasured,
    MeasureLocalResolution,
    Working,
)
from blushcore.shells.local_resolution import LocalResolutionMeasurement, usual_window_angstrom
from blushcore.volumes import Volume, require_halves


class Measuring:
    """A `MeasureLocalResolution` request under way; ``next(measuring.steps())`` measures some windows.

    Parameters
    ----------
    request
        What is wanted.
    halves, mask
        The maps that it names.
    folder
        For the result.

    Raises
    ------
    BlushError
        If the maps are not on one grid, or cannot be measured.
    """

    idle = False
    """There is always something to do until it has finished."""

    def __init__(
        self,
        request: MeasureLocalResolution,
        halves: tuple[Volume, Volume],
        mask: Volume | None,
        folder: ArrayFolder,
    ) -> None:
        self.id, self.request = request.id, request.request
        self.finished = False
        self._folder = folder
        one, two = halves
        require_halves("Half-map 1", one, "half-map 2", two)
        size = one.isotropic_voxel_size
        window = request.window
        if window is None:
            window = usual_window_angstrom(one.data, two.data, voxel_size=size)
        self._window = window
        self._measurement = LocalResolutionMeasurement(
            one.data,
            two.data,
            voxel_size=size,
            window_angstrom=window,
            mask=None if mask is None else mask.data,
        )

    def steps(self) -> Iterator[list[Event]]:
        """Measure, and say how far it has come; the last step says where the map is."""
        total = self._measurement.total
        for done in self._measurement.run():
            yield [Working(id=self.id, stage="local resolution", done=done, total=total)]
        result = self._measurement.result()
        self.finished = True
        (median,) = result.percentiles(50.0)
        path = self._folder.write(result.map, "local-resolution")
        yield [LocalResolutionMeasured(id=self.id, path=path, window=self._window, median=median)]
