"""A counter that advances while the writer of a run lives, and the look at it from outside.

Readers compare what they see with what they saw, by their own clock: the clocks of two hosts need not agree.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from blushcore.runs.files import write_bytes_whole

BEAT_SECONDS = 2.0
SILENCE_SECONDS = 12.0
"""A counter that stood still for so long is silent: several beats, and the delay of a network disk."""

_WIDTH = 160


class Heartbeat:
    """Advances the counter in a thread, between ``with``'s begin and end.

    The file is written in place with a fixed width, so that it beats on a full disk too. A beat that fails (the
    disk is away) is tried again with the next one; meanwhile readers see silence, which is the truth.

    Parameters
    ----------
    path
        The counter's file.
    owner
        Distinguishes this writer's beats from another's: the lock's nonce.
    beat_seconds
        Time between beats.
    """

    def __init__(self, path: Path, owner: str, *, beat_seconds: float = BEAT_SECONDS) -> None:
        self._path = path
        self._owner = owner
        self.on_beat: Callable[[], None] = lambda: None
        """Called after each beat in the heartbeat's thread; an `OSError` is tolerated."""
        self._beat_seconds = beat_seconds
        self._counter = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="blush heartbeat", daemon=True)

    def __enter__(self) -> Heartbeat:
        write_bytes_whole(self._path, self._content())
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._beat_seconds):
            self._counter += 1
            try:
                with self._path.open("r+b", buffering=0) as stream:
                    stream.write(self._content())
                    os.fsync(stream.fileno())
                self.on_beat()
            except OSError:
                continue

    def _content(self) -> bytes:
        text = json.dumps({"counter": self._counter, "owner": self._owner, "time": round(time.time(), 3)})
        return text.ljust(_WIDTH - 1).encode() + b"\n"


class Pulse:
    """The heartbeat as seen from outside.

    Parameters
    ----------
    path
        The counter's file.
    silence_seconds
        How long the counter may stand still.
    """

    def __init__(self, path: Path, *, silence_seconds: float = SILENCE_SECONDS) -> None:
        self._path = path
        self._silence_seconds = silence_seconds
        self._seen: bytes | None = None
        self._changed: float | None = None

    def look(self) -> bool:
        """Look at the counter; whether it advanced within the last `silence_seconds`.

        The first look has nothing to compare with and trusts the file's age; a wrong clock can deceive it for
        `silence_seconds` at most.
        """
        content = self._read()
        now = time.monotonic()
        if content is not None and content != self._seen:
            if self._seen is None:
                self._changed = now - self._age()
            else:
                self._changed = now
            self._seen = content
        return self._changed is not None and now - self._changed <= self._silence_seconds

    def _read(self) -> bytes | None:
        try:
            return self._path.read_bytes() or None
        except OSError:
            return None

    def _age(self) -> float:
        try:
            return max(0.0, time.time() - self._path.stat().st_mtime)
        except OSError:
            return float("inf")


def advances(path: Path, within_seconds: float) -> bool:
    """Wait until the counter at `path` is seen to advance, for at most `within_seconds`; whether it did."""
    end = time.monotonic() + within_seconds

    def read() -> bytes | None:
        try:
            return path.read_bytes()
        except OSError:
            return None

    first = read()
    while time.monotonic() < end:
        time.sleep(min(0.25, within_seconds))
        if (now := read()) is not None and now != first:
            return True
    return False
