"""Workers for the tests: one that only listens, and waiting for the real one."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QApplication

from blushcore.interactive.messages import (
    Denoise,
    Described,
    DeviceFacts,
    Done,
    Load,
    Loaded,
    WeightsFacts,
)

PATIENCE_SECONDS = 240.0


class SilentWorker(QObject):
    """Takes requests down; a test says what it answers."""

    said = Signal(object)
    died = Signal(str, str)

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.folder.mkdir(exist_ok=True)
        self.requests: list[Any] = []
        self.is_running = False
        self.details = "last words"
        self.starts = 0
        self.loaded: dict[str, np.ndarray] = {}

    def start(self) -> None:
        self.starts += not self.is_running
        self.is_running = True

    def stop(self) -> None:
        self.is_running = False

    def tell(self, request: Any) -> None:
        self.requests.append(request)

    def asked(self, kind: type) -> list[Any]:
        return [request for request in self.requests if isinstance(request, kind)]

    def array(self, name: str, values: np.ndarray) -> Path:
        path = self.folder / f"{name}.npy"
        np.save(path, values.astype(np.float32))
        return path

    def answer_loads(self, estimated_diameter: float | None = None) -> None:
        """Say of all maps that it was told to load that they are loaded."""
        wait_until(lambda: bool(self.asked(Load)))
        for request in self.asked(Load):
            self.requests.remove(request)
            values = self.loaded[request.key] = np.load(request.path)
            self.said.emit(
                Loaded(
                    key=request.key,
                    shape=values.shape,
                    voxel_size=request.voxel_size,
                    estimated_diameter=estimated_diameter,
                )
            )

    def answer_loads_until(self, condition: Callable[[], bool]) -> None:
        """Go on saying so of whatever comes, since one choice may follow another, until a condition is true."""

        def is_true() -> bool:
            if not condition() and self.asked(Load):
                self.answer_loads()
            return condition()

        wait_until(is_true)

    def answer_denoise(self, factor: float = 0.5) -> None:
        """Say of the last map that it was told to denoise that it is done: `factor` times what it was."""
        [*_, request] = self.asked(Denoise)
        self.requests.remove(request)
        values = self.loaded[request.key] * factor
        self.said.emit(
            Done(
                id=request.id,
                key=request.key,
                map_path=self.array(f"map-{request.id}", values),
                mask_path=self.array(f"mask-{request.id}", np.ones(values.shape)),
                figures={
                    "weights": "first",
                    "seconds": 1.5,
                    "blocks": 4,
                    "device": "cpu",
                    "precision": "float32",
                },
            )
        )

    def describe(self, key: str | None = None, peak: int | None = None, free: int = 8 << 30) -> None:
        self.said.emit(
            Described(
                key=key,
                devices=(
                    DeviceFacts(
                        device="cuda:0", name="NVIDIA H200", free=free, total=141 << 30, predicted_peak=peak
                    ),
                    DeviceFacts(device="cpu", name="EPYC", free=free, total=16 << 30, predicted_peak=peak),
                ),
                weights=(
                    WeightsFacts(name="first", version="1", sha256="ab", default=True),
                    WeightsFacts(name="second", version="1", sha256="cd", default=False),
                ),
                default_weights="first",
            )
        )


def wait_until(condition: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
    """Let Qt work until a condition comes true; fails if it does not."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        QApplication.processEvents()
        time.sleep(0.005)


def end_worker(directory: Path) -> None:
    """End the worker of a run, if there is one; not this process, which may play one."""
    from blushcore.runs import find_worker

    worker = find_worker(directory)
    if worker is not None and worker.pid != os.getpid():
        worker.end(stop_seconds=0)


def pump(seconds: float) -> None:
    """Let Qt work for a while."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        QApplication.processEvents()
        time.sleep(0.005)
