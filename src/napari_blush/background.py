"""Work that would keep the GUI waiting: done in a thread, handed back in the GUI's."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from qtpy.QtCore import QObject, Qt, Signal  # type: ignore[attr-defined]

T = TypeVar("T")


class Background(QObject):
    """One thread for reading, writing and arithmetic on whole maps, in the order asked for.

    Parameters
    ----------
    parent
        Qt's parent.
    patience_seconds
        How long `close` waits for what is under way: a disk that hangs must not keep napari open. None: until
        it is done, for work that must not be lost.
    """

    _came_back = Signal(object)

    def __init__(self, parent: QObject | None = None, *, patience_seconds: float | None = None) -> None:
        super().__init__(parent)
        self._patience_seconds = patience_seconds
        self._labours: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
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

        def labour() -> None:
            if is_stale():
                return
            try:
                result = work()
            except BaseException as error:
                came_to = error
                self._hand_over(lambda: None if is_stale() else _fail(came_to, failed))
            else:
                self._hand_over(lambda: None if is_stale() else done(result))

        self._labours.put(labour)
        if self._thread is None:
            # A daemon: whoever waits for a disk that hangs does not keep the process.
            self._thread = threading.Thread(target=self._work, name="blush", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        while (labour := self._labours.get()) is not None:
            labour()
            del labour  # and what it holds

    def _hand_over(self, call: Callable[[], Any]) -> None:
        if not self._closed:
            with contextlib.suppress(RuntimeError):  # Qt deleted this meanwhile
                self._came_back.emit(call)

    def _deliver(self, call: Callable[[], Any]) -> None:
        if not self._closed:
            call()

    def close(self) -> None:
        """Drop what has not begun, and wait for what has as long as there is patience."""
        self._closed = True
        self._labours.put(None)
        if self._thread is not None:
            self._thread.join(self._patience_seconds)


def _fail(error: BaseException, failed: Callable[[Exception], None]) -> None:
    if not isinstance(error, Exception):
        raise error
    failed(error)
