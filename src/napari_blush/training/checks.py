"""What is looked at before a fine-tuning, by a process of its own; and which weights and devices there are."""

from __future__ import annotations

from qtpy.QtCore import QObject

from blushcore.interactive.messages import CheckFinetuning, FinetuningChecked
from blushcore.jobs.finetune.parameters import FinetuneParameters
from napari_blush.worker import Questions, WorkerClient


class FinetuneChecks(Questions):
    """Asks whether a fine-tuning can begin; `passed` comes with a `FinetuningChecked`."""

    def __init__(self, worker: WorkerClient, parent: QObject | None = None) -> None:
        super().__init__(worker, "check_finetuning", FinetuningChecked, parent)

    def check(self, params: FinetuneParameters) -> None:
        """Ask whether a fine-tuning can begin; `passed` or `refused` comes."""
        self.ask(lambda name: CheckFinetuning(id=name, parameters=params.model_dump(mode="json")))


def words_of_check(found: FinetuningChecked) -> str:
    """Return what a check found, for people."""
    size = f"Half-maps of {found.resolution:.1f} Å, the particle {found.diameter:.0f} Å across"
    return "\n".join([f"{size} · {found.device}: {found.device_name}", *found.warnings])
