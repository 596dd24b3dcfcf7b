"""Work that would keep the GUI waiting: done in a thread, handed back in the GUI's."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from qtpy.QtCore import QObject, Qt, Signal  # type: ignore[attr-defined]

T = TypeVar("T")
_log = logging.getLogger(__name__)


class Background(QObject):
    """One thread for reading, writing and arithmetic on whole maps, in the order asked for.

    Parameters
    ----------
    parent
        Qt's parent.
    """

    _came_back = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="blush")
        self._closed = False
        self._newest: dict[str, int] = {}
        self._count = 0
        # Queued even where the work is done before `run` returns: nobody expects an answer while still asking.
        self._came_back.connect(self._deliver, Qt.ConnectionType.QueuedConnection)

    def run(
        self,
        work: Callable[[], T],
        done: Callable[[T], None],
        failed: Callable[[Exception], None],
        *,
        instead_of: str | None = None,
    ) -> None:
        """Do `work` in the thread, then call `done` or `failed` with what it came to, in the GUI's thread.

        Parameters
        ----------
        work
            Touches nothing that the GUI changes meanwhile.
        done, failed
            Called once at most, after this has returned; not at all after `close`.
        instead_of
            Work of one name: only the newest is done and delivered, what it overtakes is dropped.
        """
        if self._closed:
            return
        self._count += 1
        number = self._count
        if instead_of is not None:
            self._newest[instead_of] = number

        def is_stale() -> bool:
            return self._closed or (instead_of is not None and self._newest[instead_of] != number)

        def labour() -> T | None:
            return None if is_stale() else work()

        def deliver(future: Future[T | None]) -> None:
            if is_stale() or future.cancelled():
                return
            error = future.exception()
            if error is None:
                done(future.result())  # type: ignore[arg-type]  # None only where stale
            elif isinstance(error, Exception):
                failed(error)
            else:
                raise error

        def hand_over(future: Future[T | None]) -> None:
            if not self._closed:
                self._came_back.emit(lambda: deliver(future))

        self._pool.submit(labour).add_done_callback(hand_over)

    def _deliver(self, call: Callable[[], Any]) -> None:
        if not self._closed:
            call()

    def close(self) -> None:
        """Drop what has not begun and wait for what has: fractions of a second."""
        self._closed = True
        self._pool.shutdown(wait=True, cancel_futures=True)
