"""Ctrl-C and SIGTERM as a command to stop."""

from __future__ import annotations

import os
import signal
import threading
import uuid
from collections.abc import Iterable
from types import FrameType
from typing import Any, Self

from blushcore.protocol import Command

_SHOW_CURSOR = "\x1b[?25h"


class Interrupts:
    """A source of commands: the first Ctrl-C or SIGTERM is ``stop_now``, the second ends the process at once.

    SIGTERM is what batch systems send before they kill, and what `Worker.end` sends. After the first signal the
    system's own handling is back in place, so the second works even while a long computation runs. Signals are
    caught between ``with``'s begin and end, and only in the main thread, where Python allows it.
    """

    def __init__(self) -> None:
        self._asked = False
        self._handed_out = False
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def __call__(self) -> Iterable[Command]:
        """Return the command to stop, once."""
        if self._asked and not self._handed_out:
            self._handed_out = True
            return [Command(id=f"signal{uuid.uuid4().hex}", action="stop_now")]
        return []

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._asked = True
        for other in self._previous:
            signal.signal(other, signal.SIG_DFL)
        # Straight to the descriptor: this may come in the middle of another print. The cursor, which a progress
        # bar hides, is shown in case the second signal comes.
        cursor = _SHOW_CURSOR if os.isatty(2) else ""
        hint = "; press Ctrl-C again to stop at once" if number == signal.SIGINT else ""
        os.write(2, f"{cursor}\nblush: stopping{hint}\n".encode())
