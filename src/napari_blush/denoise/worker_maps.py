"""The maps in hand, on their way into the worker's memory and out of it."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import numpy as np
from psygnal import Signal

from blushcore.interactive.arrays import MORE_ROOM
from blushcore.interactive.messages import Describe, Failed, Load, Loaded, Release
from blushcore.volumes import Volume
from napari_blush.background import Background
from napari_blush.denoise.states import Failure, Worker


class WorkerMaps:
    """One map or two halves, perhaps with a mask, handed to the worker as arrays in its folder.

    Each handing over counts a generation: what comes late of the one before is not heard, and nothing of it
    stays, neither as files nor in the worker's memory.

    Parameters
    ----------
    worker
        Into whose memory.
    background
        Writes the arrays.
    """

    loaded = Signal()
    """All of them are in the worker's memory."""
    failed = Signal(Failure)

    def __init__(self, worker: Worker, background: Background) -> None:
        self._worker = worker
        self._background = background
        self._loading: set[str] = set()
        self._told: set[str] = set()
        self.generation = 0
        self.has_mask = False
        """Whether there is a mask among them."""
        self.are_there = False
        """Whether the worker can work on them."""
        self.estimated_diameter: float | None = None
        """Å, of the first map; None where it is not known."""
        self.warnings: tuple[str, ...] = ()

    def key(self, index: int) -> str:
        """Under which key the worker has a map: 0 the first, 1 the second half."""
        return f"{self.generation}-map{index + 1}"

    @property
    def mask_key(self) -> str:
        """Under which key it has the mask."""
        return f"{self.generation}-mask"

    def load(self, sources: Sequence[Volume], mask: Volume | None) -> None:
        """Hand other maps over, in place of those before."""
        self._worker.start()
        self.release()
        generation, folder = self.generation, self._worker.folder
        volumes = {self.key(index): volume for index, volume in enumerate(sources)}
        if mask is not None:
            volumes[self.mask_key] = mask
        self._loading, self.has_mask = set(volumes), mask is not None

        paths = {key: folder / f"{key}.npy" for key in volumes}

        def remove() -> None:
            for path in paths.values():
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)

        def write() -> None:
            if generation != self.generation:  # other maps have been chosen since
                return
            try:
                for key, path in paths.items():
                    np.save(path, volumes[key].data)
            except OSError:
                remove()
                raise

        def tell(_: None) -> None:
            if generation != self.generation:
                remove()
                return
            for key, path in paths.items():
                self._told.add(key)
                self._worker.tell(
                    Load(
                        key=key,
                        path=path,
                        voxel_size=volumes[key].voxel_size,
                        role="mask" if key == self.mask_key else "map",
                    )
                )

        def failed(error: Exception) -> None:
            if generation == self.generation:
                # numpy counts what a full disk did not take, and gives no reason.
                reason = (error.strerror or "the disk is full") if isinstance(error, OSError) else error
                problem = f"The map could not be handed to the worker by way of {folder}: {reason}."
                self.failed.emit(Failure(problem, MORE_ROOM))

        self._background.run(write, tell, failed)

    def release(self) -> None:
        """Let the worker forget them."""
        for key in sorted(self._told):  # those that it is still reading, too: it does one after the other
            self._worker.tell(Release(key=key))
        self.forget()

    def forget(self) -> None:
        """Take note that they are nowhere, as when the worker is gone; those on their way are not heard of."""
        self.generation += 1
        self.are_there = False
        self._loading, self._told = set(), set()
        self.estimated_diameter, self.warnings = None, ()

    def on_loaded(self, event: Loaded) -> None:
        """Take note that one is there."""
        self._remove(event.key)
        if event.key not in self._loading:
            return
        self._loading.remove(event.key)
        self.warnings += event.warnings
        if event.key == self.key(0):
            self.estimated_diameter = event.estimated_diameter
        if not self._loading:
            self.are_there = True
            self._worker.tell(Describe(key=self.key(0)))
            self.loaded.emit()

    def on_failed(self, event: Failed) -> None:
        """Take note that the worker refuses one."""
        self._remove(str(event.id))
        if event.id in self._loading:
            self._loading = set()
            self.failed.emit(Failure(event.problem, event.remedy, details=self._worker.details))

    def _remove(self, key: str) -> None:
        """Remove the file of one that the worker has read."""
        if self._worker.is_running:
            (self._worker.folder / f"{key}.npy").unlink(missing_ok=True)
