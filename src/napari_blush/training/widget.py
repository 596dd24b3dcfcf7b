"""The dock widget *Fine-tune*: adapt the denoiser's weights to two half-maps, and watch it."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from blushcore.jobs.finetune.parameters import FinetuneParameters
from blushcore.protocol import BlushError
from blushcore.runs import create_run
from napari_blush.background import Background
from napari_blush.panels.cards import Section, hint, restyle
from napari_blush.panels.dock import Dock, scrolled
from napari_blush.panels.files import ending_of
from napari_blush.parameter_form import ParameterForm
from napari_blush.plots.theme import follow_theme
from napari_blush.refine.places import proposed_run
from napari_blush.refine.runs import require_room, start_worker
from napari_blush.training.view import TrainingView, is_training

if TYPE_CHECKING:
    from napari.viewer import Viewer

_MAIN = ("half1", "half2", "mask", "weights", "name", "steps", "time_budget", "device")
_LABELS = {
    "half1": "Half-map 1",
    "half2": "Half-map 2",
    "weights": "Begin with",
    "name": "Name of the result",
    "steps": "Steps at most",
    "time_budget": "Minutes at most",
}
_NOTHING = {"time_budget": "no limit"}
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
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__(napari_viewer, least_width=350)
        self._background = Background(self)
        self.view: TrainingView | None = None
        self.form = ParameterForm(FinetuneParameters, fields=_MAIN, labels=_LABELS, nothing=_NOTHING)
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
        self.start.clicked.connect(self.run)
        self.stop.clicked.connect(self._stop)
        self.watch.clicked.connect(self._ask)
        self.end_with(self._background.close, self._close_view)
        follow_theme(self, self.take_palette, napari_viewer)

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
        """Start what is set up, and watch it."""
        values = self.form.values()
        for name in _MAIN:
            self.form.set_error(name, "")
        missing = [name for name in ("half1", "half2") if not _is_file(values[name])]
        for name in missing:
            self.form.set_error(name, "Choose a map.")
        if missing:
            return
        try:
            params = FinetuneParameters.parse(values, "The form").with_absolute_paths()
            directory = proposed_run(params.half1, "finetune")
            require_room(directory)
        except BlushError as error:
            self._say(str(error), wrong=True)
            return
        self.start.setEnabled(False)
        self._say("It begins …")

        def work() -> Path:
            create_run(directory, "finetune", params)
            start_worker(directory)
            return directory

        def failed(error: Exception) -> None:
            self.start.setEnabled(True)
            self._say(str(error), wrong=True)

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

    def _on_looked(self) -> None:
        assert self.view is not None
        is_running = self.view.run.summary.life in ("waiting", "running")
        self.stop.setVisible(is_running)
        self.start.setEnabled(not is_running)

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
        for words, field in ((("mask",), "mask"), (("half2", "half_2", "map_2"), "half2")):
            if any(word in name for word in words):
                return field
        return "half2" if _is_file(self.form.values()["half1"]) and "1" not in name else "half1"

    def _say(self, sentence: str, *, wrong: bool = False) -> None:
        self.message.setText(sentence)
        self.message.setObjectName("blushError" if wrong else "blushHint")
        restyle(self.message)


def _is_file(value: Any) -> bool:
    return isinstance(value, Path) and value.is_file()
