"""Questions to the warm worker before something begins: only the answer to the newest one is heard."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]

from blushcore.interactive.messages import Describe, Described, Event, Failed
from blushcore.protocol import BlushError
from napari_blush.worker.client import WorkerClient


class Questions(QObject):
    """Asks the worker whether something can begin, as what is set up changes.

    The worker is started with the first question and ended by `rest`: what begins needs the memory.

    Parameters
    ----------
    worker
        The process.
    kind
        Of the requests (`request`) whose failure is an answer.
    answer
        The event that says that it can begin; it has an `id`.
    parent
        Qt's parent.
    """

    passed = Signal(object)
    """The answer to the newest question."""
    refused = Signal(str, str)
    """Field (or nothing), and the sentence that belongs to it."""
    described = Signal(Described)
    """Which weights and devices there are; once for each worker."""
    failed = Signal(str)
    """The worker is gone."""

    def __init__(
        self, worker: WorkerClient, kind: str, answer: type[Any], parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._worker, self._kind, self._answer = worker, kind, answer
        self._number = 0
        self._is_up = False
        worker.said.connect(self._on_said)
        worker.died.connect(self._on_died)

    def ask(self, question: Callable[[str], Any]) -> None:
        """Ask, with an id of its own, in place of what was asked before; `passed` or `refused` comes."""
        self._number += 1
        self.tell(question(str(self._number)))

    def tell(self, request: Any) -> None:
        """Send a request; a worker that was not up is asked first what there is."""
        self._worker.start()
        if not self._is_up:
            self._is_up = True
            self._worker.tell(Describe())
        self._worker.tell(request)

    def forget(self) -> None:
        """Hear no answer to what was asked so far."""
        self._number += 1

    def rest(self) -> None:
        """End the worker."""
        self._number += 1
        self._is_up = False
        self._worker.stop()

    def hear(self, event: Event) -> None:
        """Take what else the worker says; here, nothing."""

    def _on_said(self, event: Event) -> None:
        match event:
            case Described():
                self.described.emit(event)
            case Failed(request=self._kind):
                if event.id == str(self._number):
                    self.refused.emit(event.field, sentence_of(event))
            case _ if isinstance(event, self._answer):
                if event.id == str(self._number):
                    self.passed.emit(event)
            case _:
                self.hear(event)

    def _on_died(self, problem: str, remedy: str) -> None:
        self._is_up = False
        self.failed.emit(f"{problem} {remedy}")


def sentence_of(failure: Failed) -> str:
    """Return what went wrong and what to do, as one text."""
    return str(BlushError(failure.problem, failure.remedy))
