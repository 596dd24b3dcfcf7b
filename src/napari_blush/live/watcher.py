"""Looks at a run directory beside the GUI's thread: a disk that hangs keeps nobody waiting."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QTimer, Signal  # type: ignore[attr-defined]

from napari_blush.live.status import RunStatus

if TYPE_CHECKING:
    from blushcore.runs import Record, RunWatch

_log = logging.getLogger(__name__)
_JOIN_SECONDS = 1.0
_REST = 5.0
"""Times as long as a look took, nobody looks again: a slow disk is not kept busy."""
_LONGEST_REST_MILLISECONDS = 5000


@dataclass(frozen=True)
class Sight:
    """What one look found: new records, oldest first, new problems, and how the run stands."""

    records: tuple[Record, ...]
    problems: tuple[str, ...]
    status: RunStatus


class Watcher(QObject):
    """Polls a run on a timer, in a thread of its own; one look at a time, however long it takes.

    Parameters
    ----------
    watch
        The run; from now on only the thread touches it, but for what never changes in it.
    poll_milliseconds
        Time between looks, at least; longer where a look takes long.
    parent
        Qt's parent.
    """

    seen = Signal(object)
    """A `Sight`, in the GUI's thread, whenever something is new."""
    _came_back = Signal(object)

    def __init__(self, watch: RunWatch, *, poll_milliseconds: int, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._watch = watch
        self._asked: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._looking = False
        self._closed = False
        self._problems_told = 0
        self._came_back.connect(self._deliver)
        self._poll_milliseconds = poll_milliseconds
        self._took_seconds = 0.0
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.look)
        self._thread = threading.Thread(target=self._work, name="blush live run", daemon=True)
        self._thread.start()
        self.look()

    def look(self) -> None:
        """Ask for a look now, unless one is under way."""
        if not self._closed and not self._looking:
            self._looking = True
            self._asked.put(True)

    def close(self) -> None:
        """Stop looking. A look that hangs in the disk is left to itself."""
        if self._closed:
            return
        self._closed = True
        self._timer.stop()
        self._asked.put(False)
        self._thread.join(_JOIN_SECONDS)

    def _work(self) -> None:
        last: RunStatus | None = None
        fault = ""
        while self._asked.get():
            sight: Sight | None = None
            begin = time.monotonic()
            try:
                sight = self._see(last)
                fault = ""
            except Exception as error:  # a fault of ours must not end the watching unheard
                text = f"A look at {self._watch.directory} failed: {error}."
                if text != fault:  # said once, however often it comes
                    _log.exception("a look at %s failed", self._watch.directory)
                    fault, status = text, last or RunStatus(self._watch.directory, self._watch.job)
                    sight = Sight((), (text,), status)
            if sight is not None:
                last = sight.status
            if self._closed:
                return
            self._took_seconds = time.monotonic() - begin
            with contextlib.suppress(RuntimeError):  # Qt deleted this meanwhile
                self._came_back.emit(sight)

    def _see(self, last: RunStatus | None) -> Sight | None:
        """Look once, in the thread; None if nothing is new."""
        life = self._watch.life()  # judged before polling: what an ended run wrote last is not missed
        records = self._watch.poll()
        if records:
            life = self._watch.life()
        problems = self._watch.problems
        new = tuple(problem.text for problem in problems[self._problems_told :])
        self._problems_told = len(problems)
        if not records and not new and last is not None and last.life == life:
            return None
        return Sight(tuple(records), new, RunStatus.of(self._watch, life))

    def _deliver(self, sight: Sight | None) -> None:
        self._looking = False
        if self._closed:
            return
        rest = min(round(1000 * _REST * self._took_seconds), _LONGEST_REST_MILLISECONDS)
        self._timer.start(max(self._poll_milliseconds, rest))
        if sight is not None:
            self.seen.emit(sight)
