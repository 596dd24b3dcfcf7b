"""What is looked at before a fine-tuning, by a process of its own; and which weights and devices there are."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]

from blushcore.interactive.messages import CheckFinetuning, Describe, Described, Failed, FinetuningChecked
from blushcore.jobs.finetune.parameters import FinetuneParameters
from napari_blush.worker import WorkerClient


class FinetuneChecks(QObject):
    """Asks the warm worker, and hears only the answer to the newest question.

    The worker is started with the first question and ended by `rest`: a training needs the memory.
    """

    passed = Signal(FinetuningChecked)
    refused = Signal(str, str)
    """Field (or nothing), and the sentence that belongs to it."""
    described = Signal(Described)
    failed = Signal(str)
    """The worker is gone."""

    def __init__(self, worker: WorkerClient, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._worker = worker
        self._number = 0
        self._is_up = False
        worker.said.connect(self._on_said)
        worker.died.connect(self._on_died)

    def describe(self) -> None:
        """Ask which weights and devices there are; `described` comes, once for each worker."""
        self._worker.start()
        if not self._is_up:
            self._is_up = True
            self._worker.tell(Describe())

    def check(self, params: FinetuneParameters) -> None:
        """Ask whether a fine-tuning can begin; `passed` or `refused` comes."""
        self._number += 1
        self.describe()
        self._worker.tell(CheckFinetuning(id=str(self._number), parameters=params.model_dump(mode="json")))

    def forget(self) -> None:
        """Hear no answer to what was asked so far."""
        self._number += 1

    def rest(self) -> None:
        """End the worker."""
        self._number += 1
        self._is_up = False
        self._worker.stop()

    def _on_said(self, event: Any) -> None:
        match event:
            case FinetuningChecked(id=name) if name == str(self._number):
                self.passed.emit(event)
            case Failed(request="check_finetuning", id=name) if name == str(self._number):
                self.refused.emit(event.field, f"{event.problem} {event.remedy}".strip())
            case Described():
                self.described.emit(event)

    def _on_died(self, problem: str, remedy: str) -> None:
        self._is_up = False
        self.failed.emit(f"{problem} {remedy}")


def words_of_check(found: FinetuningChecked) -> str:
    """Return what a check found, for people."""
    size = f"Half-maps of {found.resolution:.1f} Å, the particle {found.diameter:.0f} Å across"
    return "\n".join([f"{size} · {found.device}: {found.device_name}", *found.warnings])
