"""Whole lines out of a pipe that delivers pieces."""

from __future__ import annotations

_LONGEST_LINE = 1 << 20


class LineBuffer:
    """Collects bytes and gives them back line by line.

    A line without end longer than a megabyte is no message of ours: it is dropped up to its end.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._dropping = False

    def feed(self, piece: bytes) -> list[bytes]:
        """Take a piece; return the lines that are whole now, without their ends."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        if self._dropping and lines:
            del lines[0]
            self._dropping = False
        if len(self._rest) > _LONGEST_LINE:
            self._rest, self._dropping = b"", True
        return [line for line in lines if line.strip()]
