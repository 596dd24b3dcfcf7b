"""Maps on their way through the computing process to an answer: handed over, waited for, forgotten there."""

from __future__ import annotations

import itertools
from abc import abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]

from blushcore.interactive.messages import (
    Cancel,
    Cancelled,
    Event,
    Failed,
    Load,
    Loaded,
    Release,
    Request,
    Working,
)
from blushcore.volumes import Volume
from napari_blush.background import Background
from napari_blush.worker.client import WorkerClient
from napari_blush.worker.questions import sentence_of

Ask: TypeAlias = Callable[[str, Mapping[str, str]], Request]
"""Makes the request, of its id and of the key of each map."""

MASK = "mask"
"""The map of this name holds values from 0 to 1."""
_numbers = itertools.count(1)


class MapTask(QObject):
    """Work on some maps in the computing process, one piece at a time.

    Parameters
    ----------
    worker
        The process; started when it is first needed.
    background
        Writes the arrays.
    answer
        The event that ends the work; `take` gets it.
    parent
        Qt's parent.
    """

    advanced = Signal(object)
    """How far it has come: a `Working`."""
    failed = Signal(str)
    """A sentence, with what to do."""
    stopped = Signal()

    def __init__(
        self, worker: WorkerClient, background: Background, answer: type[Any], parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._worker, self._background, self._answer = worker, background, answer
        self._id = ""
        self._waiting: set[str] = set()
        self._keys: dict[str, str] = {}
        self._ask: Ask | None = None
        worker.said.connect(self._on_said)
        worker.died.connect(self._on_died)

    @property
    def is_running(self) -> bool:
        """Whether there is work under way."""
        return bool(self._id)

    def begin(self, maps: Mapping[str, Volume], ask: Ask) -> None:
        """Hand maps over and ask; instead of what is under way.

        Parameters
        ----------
        maps
            By names of the task's own; `MASK` is a mask.
        ask
            Called once they are all in the worker's memory.
        """
        if self._id:
            self.stop()
        self._worker.start()
        self._id = name = f"task-{next(_numbers)}"
        self._keys = {role: f"{name}-{role}" for role in maps}
        self._waiting, self._ask = set(self._keys.values()), ask
        keys, folder = dict(self._keys), self._worker.folder

        def write() -> dict[str, Path]:
            paths = {role: folder / f"{key}.npy" for role, key in keys.items()}
            for role, path in paths.items():
                np.save(path, maps[role].data)
            return paths

        def tell(paths: dict[str, Path]) -> None:
            for role, path in paths.items():
                if name != self._id:  # stopped meanwhile
                    path.unlink(missing_ok=True)
                    continue
                self._worker.tell(
                    Load(
                        key=keys[role],
                        path=path,
                        voxel_size=maps[role].voxel_size,
                        position=maps[role].position,
                        role="mask" if role == MASK else "map",
                    )
                )

        self.advanced.emit(Working(id=name, stage="handing over the maps"))
        self._background.run(write, tell, lambda error: self._on_trouble(name, error))

    def stop(self) -> None:
        """Go no further."""
        if self._id:
            self._worker.tell(Cancel(id=self._id))
            self._end()
            self.stopped.emit()

    @abstractmethod
    def take(self, event: Any) -> None:
        """Take the answer, and end the work: at once, or when what it names has been read."""

    def _end(self) -> None:
        self._id, self._ask = "", None
        self._waiting = set()
        for key in self._keys.values():
            self._worker.tell(Release(key=key))
        self._keys = {}

    def _on_said(self, event: Event) -> None:
        match event:
            case Loaded():
                (self._worker.folder / f"{event.key}.npy").unlink(missing_ok=True)
                if event.key in self._waiting:
                    self._waiting.remove(event.key)
                    if not self._waiting and self._ask is not None:
                        self._worker.tell(self._ask(self._id, self._keys))
            case Working() if event.id == self._id:
                self.advanced.emit(event)
            case Cancelled() if event.id == self._id:  # another asker took the worker
                self._end()
                self.stopped.emit()
            case Failed() if event.id is not None and (event.id == self._id or event.id in self._waiting):
                self._end()
                self.failed.emit(sentence_of(event))
            case _ if isinstance(event, self._answer) and event.id == self._id:
                self.take(event)

    def _on_trouble(self, name: str, error: Exception) -> None:
        """Take note that arrays of some work could not be written or read; of work that has ended, not."""
        if name != self._id:
            return
        self._end()
        self.failed.emit(f"The maps could not be exchanged with the computing process: {error}.")

    def _on_died(self, problem: str, remedy: str) -> None:
        if self._id:
            self._end()
            self.failed.emit(f"{problem} {remedy}")
