"""The results of a session, their files, and their FSC."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Collection
from pathlib import Path

from psygnal import Signal

from blushcore.interactive.messages import Compare, Compared
from napari_blush.background import Background
from napari_blush.denoise.gathering import Gathering
from napari_blush.denoise.results import Fsc, Result
from napari_blush.denoise.states import Failure, Worker
from napari_blush.denoise.worker_maps import WorkerMaps
from napari_blush.scratch import scratch_folder

MOST_RESULTS = 10
"""Each takes two or three times a map's size on the disk, of two halves more, and keeps its input in memory."""
_SHARE_OF_DISK = 0.5
"""Of what is free beside them, that the results may take."""


class ResultStore:
    """Keeps results, numbered as they come, in a private folder that goes with it.

    Parameters
    ----------
    worker
        Is asked for the FSC of two halves.
    maps
        What it has in memory.
    background
        Reads and moves the files.
    """

    came = Signal(Result, int)
    """The newest, and the generation of the maps it was made of."""
    fsc_came = Signal(Fsc)
    failed = Signal(Failure)

    def __init__(self, worker: Worker, maps: WorkerMaps, background: Background) -> None:
        self._worker, self._maps, self._background = worker, maps, background
        self._folder = scratch_folder("results")
        self._count = 0
        self._compared: dict[str, int] = {}
        self.results: list[Result] = []
        self.fscs: dict[int, Fsc] = {}
        """By the number of the result."""

    @property
    def folder(self) -> Path:
        """Where the maps of the results lie."""
        return self._folder

    def take(self, gathering: Gathering) -> None:
        """Take what a denoising came to."""
        self._count += 1
        number, generation = self._count, self._maps.generation
        if len(gathering.ids) == 2:
            first, second = gathering.ids
            self._compared[first] = number
            halves = (self._maps.key(0), self._maps.key(1))
            self._worker.tell(Compare(id=first, halves=halves, results=(first, second)))

        def keep(result: Result) -> None:
            self.results.append(result)
            self.came.emit(result, generation)

        def failed(error: Exception) -> None:
            self.failed.emit(Failure(f"The result could not be read: {error}.", "Denoise again."))

        self._background.run(lambda: gathering.result(number, self._folder), keep, failed)

    def on_compared(self, event: Compared) -> None:
        """Take the FSC of two halves."""
        number = self._compared.pop(event.id, None)
        if event.after is None or number is None:
            return
        fsc = Fsc(number, event.box_size_angstrom, event.before, event.after)

        def keep(_: None) -> None:
            self.fscs[number] = fsc
            self.fsc_came.emit(fsc)

        # Behind the result itself, which is still being read.
        self._background.run(lambda: None, keep, lambda _: None)

    def forget(self, result: Result) -> None:
        """Take a result out, and its maps off the disk."""
        self.results.remove(result)
        self.fscs.pop(result.number, None)
        for array in (*result.maps, result.mask):
            # Where a mapped file cannot be removed, it goes with the folder.
            with contextlib.suppress(OSError):
                Path(str(getattr(array, "filename", ""))).unlink(missing_ok=True)

    def shorten(self, but: Collection[Result]) -> list[Result]:
        """Forget the oldest results while there are too many, except some; return those that are gone.

        Too many are more than `MOST_RESULTS`, or those that take more than half of what the disk has room for.
        """
        gone = []
        for result in [result for result in self.results if result not in but]:
            if len(self.results) <= MOST_RESULTS and self._have_room():
                break
            self.forget(result)
            gone.append(result)
        return gone

    def _have_room(self) -> bool:
        taken = sum(array.nbytes for result in self.results for array in (*result.maps, result.mask))
        try:
            free = shutil.disk_usage(self._folder).free
        except OSError:  # the folder is gone: there is nothing to make room in
            return True
        return taken <= _SHARE_OF_DISK * (free + taken)

    def close(self) -> None:
        """Forget all, and remove the folder."""
        self.results.clear()
        self.fscs.clear()
        shutil.rmtree(self._folder, ignore_errors=True)
