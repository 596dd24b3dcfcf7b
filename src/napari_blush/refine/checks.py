"""What is looked at before a run, by a process of its own: inputs, memory, disk, time; and the demo set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]

from blushcore.interactive.messages import (
    CheckRefinement,
    Describe,
    Described,
    Failed,
    Load,
    Loaded,
    MakeDemoParticles,
    ParticlesMade,
    RefinementChecked,
    Working,
)
from napari_blush.panels.words import duration
from napari_blush.refine.kinds import JobKind, JobParameters
from napari_blush.worker import WorkerClient

_GIB = 2**30
_MIB = 2**20
_REFERENCE = "reference"


class Checks(QObject):
    """Asks the warm worker, and hears only the answer to the newest question.

    The worker is started with the first question and ended by `rest`: a run needs the memory.
    """

    passed = Signal(RefinementChecked)
    refused = Signal(str, str)
    """Field (or nothing), and the sentence that belongs to it."""
    described = Signal(Described)
    progressed = Signal(int, int)
    made = Signal(ParticlesMade)
    estimated = Signal(object)
    """Diameter in Å, or None where no particle stands out."""
    failed = Signal(str)
    """The worker is gone, or the demo set could not be made."""

    def __init__(self, worker: WorkerClient, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._worker = worker
        self._number = 0
        self._is_up = False
        worker.said.connect(self._on_said)
        worker.died.connect(self._on_died)

    def check(self, kind: JobKind, params: JobParameters, output: Path) -> None:
        """Ask whether a run can begin; `passed` or `refused` comes."""
        self._number += 1
        self._tell(
            CheckRefinement(
                id=str(self._number), job=kind.name, parameters=params.model_dump(mode="json"), output=output
            )
        )

    def forget(self) -> None:
        """Hear no answer to what was asked so far."""
        self._number += 1

    def make_demo(self, folder: Path) -> None:
        """Make the built-in set, or find that it is there; `progressed`, then `made` comes."""
        self._tell(MakeDemoParticles(id="demo", folder=folder))

    def estimate(self, reference: Path) -> None:
        """Estimate the diameter of what a map shows; `estimated` comes."""
        self._tell(Load(key=_REFERENCE, path=reference))

    def rest(self) -> None:
        """End the worker."""
        self._number += 1
        self._is_up = False
        self._worker.stop()

    def _tell(self, request: Any) -> None:
        self._worker.start()
        if not self._is_up:
            self._is_up = True
            self._worker.tell(Describe())
        self._worker.tell(request)

    def _on_said(self, event: Any) -> None:
        match event:
            case RefinementChecked(id=name) if name == str(self._number):
                self.passed.emit(event)
            case Failed(request="check_refinement", id=name) if name == str(self._number):
                self.refused.emit(event.field, f"{event.problem} {event.remedy}".strip())
            case Failed(request="make_demo_particles" | "?"):
                self.failed.emit(f"{event.problem} {event.remedy}".strip())
            case Working(id="demo"):
                self.progressed.emit(event.done, event.total)
            case ParticlesMade():
                self.made.emit(event)
            case Described():
                self.described.emit(event)
            case Loaded(key=key) if key == _REFERENCE:
                self.estimated.emit(event.estimated_diameter)

    def _on_died(self, problem: str, remedy: str) -> None:
        self._is_up = False
        self.failed.emit(f"{problem} {remedy}")


def words_of_check(found: RefinementChecked) -> tuple[str, bool]:
    """Return what a check found, and whether it is worth a warning."""
    images = f"{found.particles} images"
    if found.half_sizes is not None:
        images = "Halves of {} and {} images".format(*found.half_sizes)
    memory = f"Memory {_gib(found.host_peak)} of {_gib(found.host_free)} free"
    if found.device_peak:
        memory += f" · on {found.device} {_gib(found.device_peak)} of {_gib(found.device_free)} free"
    lines = [
        f"{images} · {found.device}: {found.device_name}",
        memory,
        f"Disk {_size(found.disk)} of {_size(found.disk_free)} free",
    ]
    if found.seconds is not None:
        low, high = found.seconds
        lines.append(f"Roughly {duration(low)} to {duration(high)}")
    lines += found.warnings
    return "\n".join(lines), bool(found.warnings)


def _gib(size: int) -> str:
    return f"{size / _GIB:.1f} GiB"


def _size(size: int) -> str:
    return _gib(size) if size > _GIB else f"{max(1, round(size / _MIB))} MiB"
