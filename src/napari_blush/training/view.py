"""A training in a panel: how it stands, example slices as layers, losses and the gain in FSC."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QApplication, QFrame, QLabel, QProgressBar, QVBoxLayout, QWidget

from blushcore.jobs.train.example_files import read_examples
from blushcore.protocol import BlushError
from blushcore.runs import RunDirectory
from blushcore.runs.layout import read_description
from napari_blush.background import Background
from napari_blush.live.run import LiveRun
from napari_blush.live.slider import IterationSlider
from napari_blush.live.words import standing
from napari_blush.panels.cards import Section, hint, restyle, style_sheet
from napari_blush.plots.theme import Palette, follow_theme
from napari_blush.plots.training import TrainingPlots
from napari_blush.training.example_layers import ExampleLayers

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from numpy.typing import NDArray

_JOBS = ("train", "finetune")
_COLUMNS = "Middle slices of a few blocks, a block a row: input, output, target, mask, and the mask found."


def is_training(directory: Path) -> bool:
    """Whether a directory holds a training or a fine-tuning of ours."""
    try:
        return read_description(RunDirectory(directory)).job in _JOBS
    except BlushError:
        return False


class TrainingView(QWidget):
    """Everything to see of a training or a fine-tuning, live or finished, by its run directory.

    Parameters
    ----------
    viewer
        Where the slices are shown.
    directory
        The run directory.
    parent
        Qt's parent.

    Raises
    ------
    BlushError
        If `directory` is not a run directory.
    """

    def __init__(self, viewer: ViewerModel, directory: Path, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.run = LiveRun(viewer, directory, self)
        self.examples = ExampleLayers(viewer, self.run.directory.name)
        self._viewer = viewer
        self._background = Background(self)
        self._shown: Path | None = None
        self._build(viewer)
        self.run.looked.connect(self._on_looked)
        self.run.problem.connect(self._say_problem)
        self.slider.chosen.connect(lambda _: self._show())
        application = QApplication.instance()
        assert application is not None
        application.aboutToQuit.connect(self.close_run)
        self.destroyed.connect(self._background.close)
        follow_theme(self, self._apply_palette, viewer)
        self._on_looked()

    def _build(self, viewer: ViewerModel) -> None:
        self.setMinimumWidth(330)
        self.status = QFrame()
        self.status.setObjectName("blushStatus")
        self.title = QLabel()
        self.title.setObjectName("blushTitle")
        self.text = hint()
        self.figures = hint()
        self.problems = QLabel()
        self.problems.setObjectName("blushWarning")
        self.problems.setWordWrap(True)
        self.problems.hide()
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        card = QVBoxLayout(self.status)
        card.setContentsMargins(10, 8, 10, 8)
        card.setSpacing(5)
        for widget in (self.title, self.text, self.bar, self.figures, self.problems):
            card.addWidget(widget)
        section = Section("Examples")
        self.slider = IterationSlider()
        self.slider.slider.setToolTip("Report whose slices are shown")
        section.body.addWidget(self.slider)
        section.body.addWidget(hint(_COLUMNS))
        self.plots = TrainingPlots(viewer=viewer)
        column = QVBoxLayout(self)
        column.setContentsMargins(6, 6, 6, 6)
        column.setSpacing(8)
        column.addWidget(self.status)
        column.addWidget(section)
        column.addWidget(self.plots, 1)

    def _apply_palette(self, palette: Palette) -> None:
        self.setStyleSheet(style_sheet(palette))

    def closeEvent(self, event: Any) -> None:  # noqa: N802
        """Stop watching with the panel; the training goes on, and its layers stay."""
        self.close_run()
        super().closeEvent(event)

    def close_run(self) -> None:
        """Stop watching."""
        self.run.close()
        self._background.close()

    # --- what happens -----------------------------------------------------------------------------------------

    def _on_looked(self) -> None:
        status = self.run.summary
        said = standing(status)
        if self.status.property("tone") != said.tone:
            self.status.setProperty("tone", said.tone)
            restyle(self.status)
        name = status.directory.name
        self.title.setText(f"{said.title} · {name}" + (f" · {status.device}" if status.device else ""))
        self.title.setToolTip(str(status.directory))
        self.text.setText(f"{status.iteration} steps." if status.life == "finished" else said.text)
        self.bar.setVisible(status.life == "running" and not status.paused)
        self.bar.setRange(0, status.total)
        self.bar.setValue(status.done)
        history = status.history
        self.figures.setText(key_figures(history))
        self.figures.setVisible(bool(self.figures.text()))
        if status.warnings:
            self._say_problem(status.warnings[-1], "\n".join(status.warnings))
        with_slices = [number for number, record in status.iterations.items() if "examples" in record.files]
        self.slider.set_iterations(with_slices)
        self._show()

    def _say_problem(self, text: str, tooltip: str = "") -> None:
        self.problems.setText(text)
        self.problems.setToolTip(tooltip or text)
        self.problems.show()

    def _show(self) -> None:
        """Show the report at which the slider stands: its place in the plots, and its slices."""
        status, step = self.run.summary, self.slider.iteration
        self.plots.set_history(status.history, None if self.slider.following else step)
        if step is None or step not in status.iterations:
            return
        path = self.run.reader.files(status.iterations[step]).get("examples")
        if path is None or path == self._shown:
            return
        self._shown = path

        def work() -> dict[str, NDArray[Any]]:
            return read_examples(path)

        def done(slices: dict[str, NDArray[Any]]) -> None:
            is_first = not self.examples.layers
            self.examples.show(slices)
            if is_first:
                self._viewer.reset_view()

        self._background.run(work, done, lambda error: self._say_problem(str(error)), instead_of="slices")


def key_figures(history: list[dict[str, Any]]) -> str:
    """Return a training's newest figures in a line; nothing before the first report."""
    if not history:
        return ""
    newest = history[-1]
    words = [f"Step {newest['iteration']}"]
    for name, text in (
        ("validation_fsc_gain", "FSC {:+.4f} on validation models"),
        ("held_out_fsc_gain", "FSC {:+.4f} on what is held out"),
        ("blocks_per_second", "{:.3g} blocks/s"),
    ):
        if newest.get(name) is not None:
            words.append(text.format(newest[name]))
    waiting = newest.get("waiting_share")
    if waiting is not None and waiting >= 0.01:
        words.append(f"{100 * waiting:.0f} % of the time waiting for half-maps")
    return " · ".join(words)
