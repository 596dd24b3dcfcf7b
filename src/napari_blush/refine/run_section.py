"""Where the run goes, what it will take, and the button that starts it."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QFileDialog, QPushButton

from napari_blush.panels.cards import Section, hint, restyle
from napari_blush.refine import places
from napari_blush.refine.particles_panel import FileLine


class RunSection(Section):
    """The run directory, proposed until somebody names another; the predicted needs; *Run*."""

    changed = Signal()
    """Somebody named another directory."""
    run_clicked = Signal()

    def __init__(self) -> None:
        super().__init__("Run")
        self._job = "refine"
        self.is_users = False
        self.output = FileLine(
            "run directory", "Folder of the run: proposed beside the particles; it must not hold a run"
        )
        self.error_label = hint()
        self.error_label.setObjectName("blushError")
        self.need_label = hint()
        self.need_label.setToolTip(
            "Predicted peak of memory (GiB), disk and time of the run, beside what is free on this machine"
        )
        self.button = QPushButton("Run")
        self.button.setObjectName("blushPrimary")
        self.button.setToolTip("Start the job in a process of its own, which outlives napari")
        for widget in (self.output, self.error_label, self.need_label, self.button):
            self.body.addWidget(widget)
        self.error_label.hide()
        self.output.changed.connect(self._on_output)
        self.output.asked.connect(self._ask)
        self.button.clicked.connect(self.run_clicked)

    @property
    def path(self) -> Path | None:
        """The run directory that is named."""
        return self.output.path

    def propose(self, particles: Path | None, job: str) -> None:
        """Propose a directory beside the particles, unless somebody named one."""
        self._job = job
        if self.is_users:
            return
        proposed = None if particles is None else places.proposed_run(particles, job)
        if proposed != self.output.path:
            self.output.blockSignals(True)
            self.output.path = proposed
            self.output.blockSignals(False)

    def set_error(self, sentence: str) -> None:
        """Say what is wrong with the directory, or nothing."""
        self.error_label.setText(sentence)
        self.error_label.setVisible(bool(sentence))
        self.output.line.setProperty("wrong", bool(sentence))
        restyle(self.output.line)

    def set_need(self, words: str, warn: bool) -> None:
        """Say what the run will take, or nothing."""
        self.need_label.setText(words)
        self.need_label.setVisible(bool(words))
        name = "blushWarning" if warn else "blushHint"
        if self.need_label.objectName() != name:
            self.need_label.setObjectName(name)
            restyle(self.need_label)

    def _on_output(self) -> None:
        self.is_users = self.output.path is not None
        self.changed.emit()

    def _ask(self) -> None:
        start = "" if self.output.path is None else str(self.output.path.parent)
        name = QFileDialog.getExistingDirectory(self, "Folder for the run", start)
        if name:
            folder = Path(name)
            self.output.path = folder if _is_empty(folder) else places.proposed_run(folder / "run", self._job)


def _is_empty(folder: Path) -> bool:
    """Whether nothing is in a folder; one that may not be read is not known to be empty."""
    try:
        return not any(folder.iterdir())
    except OSError:
        return False
