"""A map in the computing process, and masks of it: the newest that was asked for, as soon as it is free."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]

from blushcore.interactive.messages import Event, Failed, Load, Loaded, MakeMask, MaskMade, Release
from blushcore.volumes import Volume
from blushcore.volumes.mask_settings import MaskSettings
from napari_blush.background import Background
from napari_blush.worker import WorkerClient, sentence_of


@dataclass(frozen=True, eq=False)
class ShownMask:
    """A mask with what was found about it."""

    mask: Volume
    made: MaskMade


class MaskTask(QObject):
    """Masks of one map at a time. While one is made, only the last wish counts.

    Parameters
    ----------
    worker
        The process; started when it is first needed.
    background
        Writes and reads the arrays.
    parent
        Qt's parent.
    """

    made = Signal(object)
    """A `ShownMask`."""
    failed = Signal(str)
    """A sentence, with what to do."""

    def __init__(self, worker: WorkerClient, background: Background, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._worker, self._background = worker, background
        self._numbers = itertools.count(1)
        self._map: Volume | None = None
        self._key = ""
        self._is_loaded = False
        self._wish: MaskSettings | None = None
        self._asked = ""
        worker.said.connect(self._on_said)
        worker.died.connect(self._on_died)

    @property
    def has_map(self) -> bool:
        """Whether there is a map to make masks of."""
        return self._map is not None

    def take(self, volume: Volume | None) -> None:
        """Make masks of another map from now on, or of none; it is handed over with the first wish."""
        if self._key:
            self._worker.tell(Release(key=self._key))
        self._map, self._key, self._is_loaded = volume, "", False
        self._wish, self._asked = None, ""

    def make(self, settings: MaskSettings) -> None:
        """Make a mask; `made` or `failed` comes, unless another wish overtakes this one."""
        self._wish = settings
        if self._map is None:
            return
        if not self._key:
            self._hand_over(self._map)
        elif self._is_loaded and not self._asked:
            self._ask()

    def _hand_over(self, volume: Volume) -> None:
        self._worker.start()
        key = self._key = f"mask-{next(self._numbers)}"
        path = self._worker.folder / f"{key}.npy"

        def write() -> None:
            np.save(path, volume.data)

        def tell(_: None) -> None:
            if key == self._key:
                self._worker.tell(Load(key=key, path=path, voxel_size=volume.voxel_size))
            else:  # another map was chosen meanwhile
                path.unlink(missing_ok=True)

        def failed(error: Exception) -> None:
            if key == self._key:
                self._on_trouble(error)

        self._background.run(write, tell, failed)

    def _ask(self) -> None:
        wish, self._wish = self._wish, None
        if wish is not None:
            self._asked = f"{self._key}-{next(self._numbers)}"
            self._worker.tell(MakeMask(id=self._asked, key=self._key, settings=wish))

    def _on_said(self, event: Event) -> None:
        match event:
            case Loaded():
                (self._worker.folder / f"{event.key}.npy").unlink(missing_ok=True)
                if event.key == self._key:
                    self._is_loaded = True
                    self._ask()
            case MaskMade() if event.id == self._asked:
                self._read(event)
            case MaskMade():  # of a map that was left meanwhile
                event.path.unlink(missing_ok=True)
            case Failed() if event.id is not None and event.id in (self._asked, self._key):
                self._asked = ""
                if event.id == self._key:
                    (self._worker.folder / f"{event.id}.npy").unlink(missing_ok=True)
                    self._key = ""
                self.failed.emit(sentence_of(event))
                if self._is_loaded:
                    self._ask()

    def _read(self, event: MaskMade) -> None:
        volume = self._map
        assert volume is not None  # there is one while something is asked

        def read() -> ShownMask:
            values = np.load(event.path)
            event.path.unlink(missing_ok=True)
            return ShownMask(volume.with_data(values), event)

        def done(shown: ShownMask) -> None:
            if event.id == self._asked:
                self._asked = ""
                self.made.emit(shown)
                self._ask()

        def failed(error: Exception) -> None:
            if event.id == self._asked:  # else the worker, and its folder, may be others by now
                self._on_trouble(error)

        self._background.run(read, done, failed)

    def _on_trouble(self, error: Exception) -> None:
        self.take(self._map)
        self.failed.emit(f"The map could not be exchanged with the computing process: {error}.")

    def _on_died(self, problem: str, remedy: str) -> None:
        if self._key:
            self.take(self._map)
            self.failed.emit(f"{problem} {remedy}")
