"""A denoising of one map, or of two halves one after the other, until its result is together."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blushcore.interactive.messages import DenoiseSettings, Done, Working
from blushcore.volumes import Volume
from napari_blush.denoise.results import Result
from napari_blush.denoise.states import ProgressOfAll


@dataclass(frozen=True)
class _Part:
    """One finished map of a result that may have two; its files are still the worker's."""

    id: str
    map_path: Path
    mask_path: Path
    figures: dict[str, Any]


class Gathering:
    """The finished maps of one denoising.

    Parameters
    ----------
    sources, names
        What is denoised.
    settings
        With what: those in force when it began.
    """

    def __init__(self, sources: tuple[Volume, ...], names: tuple[str, ...], settings: DenoiseSettings) -> None:
        self.sources, self.names, self.settings = sources, names, settings
        self._parts: list[_Part] = []
        self.id = ""
        """Of the work that is under way, as the worker knows it."""

    @property
    def index(self) -> int:
        """Which map comes next, or is under way."""
        return len(self._parts)

    @property
    def is_complete(self) -> bool:
        """Whether all maps are done."""
        return len(self._parts) == len(self.sources)

    @property
    def ids(self) -> tuple[str, ...]:
        """The works that are done."""
        return tuple(part.id for part in self._parts)

    def take(self, event: Done) -> None:
        """Take a finished map."""
        self._parts.append(_Part(event.id, event.map_path, event.mask_path, dict(event.figures)))

    def progress(self, event: Working) -> ProgressOfAll:
        """Return how far all maps have come, of how far the one under way has."""
        count, before = len(self.sources), self.index
        eta, left = event.eta_seconds, event.total - event.done
        if eta is not None and left:
            eta += eta / left * event.total * (count - before - 1)
        return ProgressOfAll(before * event.total + event.done, count * event.total, eta)

    def drop(self) -> None:
        """Remove what has come of it."""
        for part in self._parts:
            part.map_path.unlink(missing_ok=True)
            part.mask_path.unlink(missing_ok=True)
        self._parts = []

    def result(self, number: int, folder: Path) -> Result:
        """Return the result, with its maps mapped from files in `folder`; reads, so in the background."""
        parts = self._parts
        maps = tuple(_moved(part.map_path, folder / f"{part.id}.npy") for part in parts)
        mask = _mean([part.mask_path for part in parts], folder / f"{parts[0].id}-mask.npy")
        figures = _joined([part.figures for part in parts])
        return Result(number, self.names, self.sources, maps, mask, self.settings, figures)


def _moved(path: Path, place: Path) -> NDArray[np.float32]:
    """Move an array out of the worker's folder and map it."""
    shutil.move(path, place)
    array: NDArray[np.float32] = np.load(place, mmap_mode="r")
    return array


def _mean(paths: list[Path], place: Path) -> NDArray[np.float32]:
    """Move the mean of arrays out of the worker's folder and map it."""
    if len(paths) > 1:
        mean = np.load(paths[0])
        for path in paths[1:]:
            mean += np.load(path)
            path.unlink()
        mean /= len(paths)
        np.save(paths[0], mean)
    return _moved(paths[0], place)


def _joined(figures: list[dict[str, Any]]) -> dict[str, Any]:
    """Figures of all parts: those of the first, with the times and blocks of all."""
    sums = {name: sum(each.get(name) or 0 for each in figures) for name in ("seconds", "blocks")}
    return {**figures[0], **sums}
