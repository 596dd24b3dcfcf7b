"""The dock widget *Fine-tune*: adapt the denoiser's weights to two half-maps, and watch it."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from blushcore.interactive.messages import FinetuningChecked
from blushcore.jobs.finetune.parameters import FinetuneParameters
from blushcore.protocol import BlushError
from blushcore.runs import create_run
from napari_blush.background import Background
from napari_blush.panels.cards import Section, hint, restyle
from napari_blush.panels.dock import Dock, scrolled
from napari_blush.panels.files import ending_of
from napari_blush.panels.network import FROM_FILE, NetworkChoice
from napari_blush.parameter_form import ParameterForm
from napari_blush.plots.theme import follow_theme
from napari_blush.refine.places import proposed_run
from napari_blush.refine.runs import require_room, start_worker
from napari_blush.training.checks import FinetuneChecks, words_of_check
from napari_blush.training.view import TrainingView, is_training
from napari_blush.worker import WorkerClient

if TYPE_CHECKING:
    from napari.viewer import Viewer

_MAIN = ("half1", "half2", "mask", "voxel_size", "weights", "name", "steps", "time_budget", "device")
_LABELS = {
    "half1": "Half-map 1",
    "half2": "Half-map 2",
    "weights": "Begin with",
    "name": "Name of the result",
    "steps": "Steps at most",
    "time_budget": "Minutes at most",
}
_NOTHING = {"time_budget": "no limit", "voxel_size": "as in the files"}
_CHOICES: dict[str, list[tuple[str, Any]]] = {
    "weights": [("default", None), (FROM_FILE, FROM_FILE)],
    "device": [("automatic", "auto")],
}
_SECOND_HALF = ("half2", "half_2", "half-2", "map_2", "map-2", "half_b", "half-b", "map_b")
_SETTLE_MILLISECONDS = 400
"""After the last change of the form, before half-maps are read."""
_ABOUT = (
    "Half-maps as they were reconstructed. A part of the particle is held out: by it the best weights are "
    "chosen, and if none is better, yours are kept."
)
_WARNING = (
    "The result knows this data set. Look at its maps with it, but do not refine its particles with it: the "
    "resolution would be told too good."
)


class FinetuneWidget(Dock):
    """Fine-tune weights on two half-maps, in a process of its own, and watch it.

    Parameters
    ----------
    napari_viewer
        Where the example slices are shown.
    worker
        The process that looks at the half-maps; by default a new one, started when it is needed.
    """

    def __init__(self, napari_viewer: Viewer, worker: WorkerClient | None = None) -> None:
        super().__init__(napari_viewer, least_width=350)
        self._worker = WorkerClient() if worker is None else worker
        self._worker.setParent(self)
        self._background = Background(self)
        self.checks = FinetuneChecks(self._worker, self)
        self.view: TrainingView | None = None
        self._waiting: FinetuneParameters | None = None
        """What begins as soon as it is found to be good."""
        self.form = ParameterForm(
            FinetuneParameters, fields=_MAIN, labels=_LABELS, nothing=_NOTHING, choices=_CHOICES
        )
        self.network = NetworkChoice(self.form)
        self._build()
        self._settle = QTimer(self)
        self._settle.setSingleShot(True)
        self._settle.setInterval(_SETTLE_MILLISECONDS)
        self._settle.timeout.connect(self._look)
        self.start.clicked.connect(self.run)
        self.stop.clicked.connect(self._stop)
        self.watch.clicked.connect(self._ask)
        self.network.changed.connect(self._on_form)
        self.checks.described.connect(self.network.offer)
        self.checks.passed.connect(self._on_passed)
        self.checks.refused.connect(self._on_refused)
        self.checks.failed.connect(lambda sentence: self._on_refused("", sentence))
        self.end_with(self._background.close, self._close_view, self.checks.rest, self._settle.stop)
        follow_theme(self, self.take_palette, napari_viewer)

    def _build(self) -> None:
        self.start = QPushButton("Fine-tune")
        self.start.setObjectName("blushPrimary")
        self.start.setToolTip("Start it in a process of its own, which outlives napari")
        self.stop = QPushButton("Stop")
        self.stop.setToolTip("Stop it; it can be resumed with blush resume")
        self.stop.hide()
        self.watch = QPushButton("Watch a training…")
        self.watch.setToolTip("Show a training or fine-tuning, live or finished, by its run directory")
        self.message = QLabel()
        self.message.setWordWrap(True)
        self.message.setObjectName("blushHint")
        section = Section("Two half-maps of one data set")
        warning = hint(_WARNING)
        warning.setObjectName("blushWarning")
        buttons = QHBoxLayout()
        for button in (self.start, self.stop, self.watch):
            buttons.addWidget(button, 1)
        for part in (hint(_ABOUT), self.form, warning, self.message):
            section.body.addWidget(part)
        section.body.addLayout(buttons)
        content = QWidget()
        self._column = QVBoxLayout(content)
        self._column.setContentsMargins(0, 0, 4, 0)
        self._column.addWidget(section)
        self._column.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.addWidget(scrolled(content))

    def take_files(self, paths: list[Path]) -> None:
        """Take half-maps and masks by their names, and a run directory to watch."""
        for path in paths:
            if path.is_dir():
                self._try_to_attach(path)
            elif ending_of(path.name):
                self.form.set_values({self._field_for(path): path})
            else:
                self._say(f"{path.name} is neither a map nor a run directory.", wrong=True)

    def run(self) -> None:
        """Look at what is set up; begin it, and watch it, if it is good."""
        self._settle.stop()
        params = self._parameters(complain=True)
        if params is None:
            return
        self._waiting = params
        self.start.setEnabled(False)
        self._say("Looking at the half-maps …")
        self.checks.check(params)

    # --- looking at what is set up ----------------------------------------------------------------------------

    def _on_form(self) -> None:
        self._waiting = None
        self.checks.forget()
        self._clear_errors()
        is_running = self._is_watching_a_running_one()
        self.start.setEnabled(not is_running)
        if not is_running and all(_is_file(self.form.values()[name]) for name in ("half1", "half2")):
            self._settle.start()

    def _look(self) -> None:
        params = self._parameters(complain=False)
        if params is not None:
            self._say("Looking at the half-maps …")
            self.checks.check(params)

    def _parameters(self, *, complain: bool) -> FinetuneParameters | None:
        """Return what the form holds; None where it cannot be, which is told if that is wanted."""
        values = self.form.values()
        self._clear_errors()
        missing = [name for name in ("half1", "half2") if not _is_file(values[name])]
        if missing:
            for name in missing if complain else ():
                self.form.set_error(name, "Choose a map.")
            return None
        try:
            return FinetuneParameters.parse(values, "The form").with_absolute_paths()
        except BlushError as error:
            self._say(str(error), wrong=True)
            return None

    def _on_passed(self, found: FinetuningChecked) -> None:
        self._say(words_of_check(found), warns=bool(found.warnings))
        params, self._waiting = self._waiting, None
        if params is not None:
            self._begin(params)

    def _on_refused(self, field: str, sentence: str) -> None:
        self._waiting = None
        self.start.setEnabled(not self._is_watching_a_running_one())
        under_field = self.form.set_error(field, sentence)
        self._say("" if under_field else sentence, wrong=True)

    def _clear_errors(self) -> None:
        for name in _MAIN:
            self.form.set_error(name, "")

    # --- running ----------------------------------------------------------------------------------------------

    def _begin(self, params: FinetuneParameters) -> None:
        """Make the run's directory and start its worker."""
        directory = proposed_run(params.half1, "finetune")
        try:
            require_room(directory)
        except BlushError as error:
            self._on_refused("", str(error))
            return
        self.checks.rest()  # the training needs the memory

        def work() -> Path:
            create_run(directory, "finetune", params)
            start_worker(directory)
            return directory

        def failed(error: Exception) -> None:
            self._on_refused("", str(error))

        self._background.run(work, self._try_to_attach, failed)

    def attach(self, directory: Path) -> None:
        """Watch a training, in place of the one that is watched.

        Raises
        ------
        BlushError
            If it is no run directory of a training or a fine-tuning.
        """
        if not is_training(directory):
            raise BlushError(
                f"{directory} holds no training.",
                "Choose that of a training or a fine-tuning; other runs are watched in the dock Refine.",
            )
        view = TrainingView(self._viewer, directory)
        self._close_view()
        self.view = view
        self._column.insertWidget(1, view)
        view.run.looked.connect(self._on_looked)
        self._say(f"Its files are in {directory}.")
        self._on_looked()

    def _is_watching_a_running_one(self) -> bool:
        return self.view is not None and self.view.run.summary.life in ("waiting", "running")

    def _on_looked(self) -> None:
        is_running = self._is_watching_a_running_one()
        self.stop.setVisible(is_running)
        self.start.setEnabled(not is_running and self._waiting is None)

    def _stop(self) -> None:
        if self.view is not None:
            try:
                self.view.run.send("stop_now")
            except BlushError as error:
                self._say(str(error), wrong=True)

    def _ask(self) -> None:
        name = QFileDialog.getExistingDirectory(self, "Watch a training: choose its directory")
        if name:
            self._try_to_attach(Path(name))

    def _try_to_attach(self, directory: Path) -> None:
        try:
            self.attach(directory)
        except BlushError as error:
            self._say(str(error), wrong=True)

    def _close_view(self) -> None:
        view, self.view = self.view, None
        if view is not None:
            view.close_run()
            with contextlib.suppress(RuntimeError):  # Qt deleted it with the dock
                view.setParent(None)
                view.deleteLater()

    def _field_for(self, path: Path) -> str:
        """Return which field a map's name speaks of; else the first that is empty."""
        name = path.name.lower()
        for words, field in ((("mask",), "mask"), (_SECOND_HALF, "half2")):
            if any(word in name for word in words):
                return field
        return "half2" if _is_file(self.form.values()["half1"]) and "1" not in name else "half1"

    def _say(self, sentence: str, *, wrong: bool = False, warns: bool = False) -> None:
        self.message.setText(sentence)
        self.message.setVisible(bool(sentence))
        self.message.setObjectName("blushError" if wrong else "blushWarning" if warns else "blushHint")
        restyle(self.message)


def _is_file(value: Any) -> bool:
    return isinstance(value, Path) and value.is_file()
