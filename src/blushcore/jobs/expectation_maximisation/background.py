"""Long computations on a thread of their own, so that commands are heard meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

from blushcore.protocol import Control, Event

T = TypeVar("T")

_LISTEN_SECONDS = 0.1


class Background:
    """One thread that computes while the caller listens to its control.

    A pause holds the caller still once the computation is done; a stop leaves at once and lets it run out.
    """

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="refine")

    def run(self, compute: Callable[[], T], control: Control) -> Generator[Event, None, T]:
        """Return what `compute` returns; yields the answers to commands that come meanwhile.

        Raises
        ------
        Stopped
            If told to stop now.
        Exception
            What `compute` raises.
        """
        future = self._executor.submit(compute)
        while not wait((future,), timeout=_LISTEN_SECONDS).done:
            yield from control.obey()
        yield from control.obey()
        return future.result()
