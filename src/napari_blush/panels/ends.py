"""What is to be called at the end of a Qt object, whichever way it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar


class Ends:
    """What is to be called when its owner, a Qt object, ends; once.

    It is kept here until then: Python's garbage collector empties functions that only the owner holds before
    the owner itself ends, and Qt would call what is left of them.
    """

    _all: ClassVar[set[Ends]] = set()

    def __init__(self) -> None:
        self._calls: list[Callable[[], Any]] = []

    @property
    def are_left(self) -> bool:
        """Whether there is anything to be called."""
        return bool(self._calls)

    def add(self, calls: Iterable[Callable[[], Any]]) -> None:
        """Call these, too, the last one first."""
        self._calls.extend(calls)
        self._all.add(self)

    def do_all(self) -> None:
        """Call them. Again, nothing happens."""
        self._all.discard(self)
        while self._calls:
            self._calls.pop()()
