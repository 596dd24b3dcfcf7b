"""A training in a panel: how it stands, example slices as layers, losses and the gain in FSC."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QWidget

from blushcore.jobs.train.example_files import read_examples
from blushcore.protocol import BlushError
from blushcore.runs import RunDirectory
from blushcore.runs.layout import read_description
from napari_blush.background import Background
from napari_blush.live.panel import RunPanel
from napari_blush.live.slider import IterationSlider
from napari_blush.live.words import standing
from napari_blush.panels.cards import Section, hint
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


class TrainingView(RunPanel):
    """Everything to see of a training or a fine-tuning, live or finished, by its run directory.

    Parameters
    ----------
    viewer, directory, parent
        As for `RunPanel`.
    """

    def __init__(self, viewer: ViewerModel, directory: Path, parent: QWidget | None = None) -> None:
        super().__init__(viewer, directory, parent)
        self.examples = ExampleLayers(viewer, self.run.directory.name)
        self._viewer = viewer
        self._background = Background(self)
        self._shown: Path | None = None
        section = Section("Examples")
        self.slider = IterationSlider()
        self.slider.slider.setToolTip("Report whose slices are shown")
        section.body.addWidget(self.slider)
        section.body.addWidget(hint(_COLUMNS))
        self.plots = TrainingPlots(viewer=viewer)
        self.column.addWidget(section)
        self.column.addWidget(self.plots, 1)
        self.run.looked.connect(self._on_looked)
        self.slider.chosen.connect(lambda _: self._show())
        self.destroyed.connect(self._background.close)
        self._on_looked()

    def close_run(self) -> None:
        """Stop watching the training, which goes on."""
        super().close_run()
        self._background.close()

    # --- what happens -----------------------------------------------------------------------------------------

    def _on_looked(self) -> None:
        status = self.run.summary
        said = standing(status)
        if status.life == "finished":
            said = replace(said, text=f"{status.iteration} steps.")
        self.card.show_run(status, said, key_figures(status.history))
        with_slices = [number for number, record in status.iterations.items() if "examples" in record.files]
        self.slider.set_iterations(with_slices)
        self._show()

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

        self._background.run(work, done, lambda error: self.card.tell_problem(str(error)), instead_of="slices")


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
