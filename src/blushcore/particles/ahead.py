"""Work done ahead of need, in the background."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Generator
from typing import TypeVar

T = TypeVar("T")

_LOOK_EVERY_S = 0.1
"""How soon the thread notices that nobody wants more."""


def made_ahead(source: Generator[T, None, None], depth: int) -> Generator[T, None, None]:
    """Run a generator in one background thread, at most `depth` items ahead of the one that was asked for.

    One more is in the making. What the generator raises is raised here, in its turn. When this iteration ends
    or is closed, the generator is closed too, and its thread has ended.
    """
    ready: queue.Queue[tuple[T] | BaseException | None] = queue.Queue(depth)
    unwanted = threading.Event()

    def hand_over(item: tuple[T] | BaseException | None) -> bool:
        while not unwanted.is_set():
            with contextlib.suppress(queue.Full):
                ready.put(item, timeout=_LOOK_EVERY_S)
                return True
        return False

    def work() -> None:
        try:
            with contextlib.closing(source):
                for item in source:
                    if not hand_over((item,)):
                        return
            hand_over(None)
        except BaseException as error:  # raised again where the items are wanted
            hand_over(error)

    thread = threading.Thread(target=work, name="blush-ahead", daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item[0]
            del item  # the caller's alone, while the next is awaited
    finally:
        unwanted.set()
        thread.join()
