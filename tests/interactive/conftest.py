"""A worker in a process of its own, as a viewer starts it."""

from __future__ import annotations

import contextlib
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
from pydantic import BaseModel

from blushcore.interactive.messages import Event, Failed, Ready, parse_event, to_line

T = TypeVar("T")
PATIENCE_SECONDS = 240.0


class WorkerProcess:
    """The worker, its events in the order they came. Every line of its stdout has to be an event."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        command = [sys.executable, "-m", "blushcore.interactive", "--folder", str(folder), "--remove-folder"]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe)
        self.events: list[Event] = []
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)

    def tell(self, *requests: BaseModel) -> None:
        self.say(b"".join(to_line(request) for request in requests))

    def say(self, raw: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(raw)
        self.process.stdin.flush()

    def next_event(self) -> Event:
        event = parse_event(self._lines.get(timeout=PATIENCE_SECONDS))
        self.events.append(event)
        return event

    def until(self, kind: type[T], where: Callable[[T], bool] = lambda _: True) -> T:
        while True:
            event = self.next_event()
            if isinstance(event, kind) and where(event):
                return event
            assert kind is Failed or not isinstance(event, Failed), event

    def end(self) -> int:
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.wait()

    def wait(self) -> int:
        code = self.process.wait(PATIENCE_SECONDS)
        self._reader.join(5)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
        return code


@pytest.fixture(scope="module")
def shared_worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcess]:
    """One for many tests: torch takes a while to come up."""
    worker = WorkerProcess(tmp_path_factory.mktemp("worker"))
    worker.until(Ready)
    yield worker
    assert worker.end() == 0
    assert not worker.folder.exists()


@pytest.fixture
def new_worker(tmp_path: Path) -> Iterator[WorkerProcess]:
    """One that a test may ill-treat."""
    folder = tmp_path / "arrays"
    folder.mkdir()
    worker = WorkerProcess(folder)
    yield worker
    if worker.process.poll() is None:
        worker.process.kill()
        worker.wait()


@pytest.fixture(scope="session")
def noisy_map(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    """A file with a map that takes three blocks at 1.5 Å, one above the other, and its values."""
    rng = np.random.default_rng(1)
    values = rng.normal(size=(72, 32, 32)).astype(np.float32)
    values[20:52, 10:22, 10:22] += 2
    path = tmp_path_factory.mktemp("maps") / "noisy.npy"
    np.save(path, values)
    return path, values


def wait_for(condition: Callable[[], bool], seconds: float = 20.0) -> bool:
    """Whether a condition comes true in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False
