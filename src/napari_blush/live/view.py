"""A run in a panel: how it stands, which iteration is looked at, what is compared, and the plots."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from qtpy.QtWidgets import QPushButton, QWidget

from napari_blush.live.classes import ClassChoice
from napari_blush.live.comparison import Mode
from napari_blush.live.gridding import LARGEST_SHOWN
from napari_blush.live.layers import LiveLayers
from napari_blush.live.panel import RunPanel
from napari_blush.live.plot_tabs import PlotTabs
from napari_blush.live.slider import IterationSlider
from napari_blush.live.words import key_figures, standing
from napari_blush.panels.cards import Section
from napari_blush.panels.segments import Segments

if TYPE_CHECKING:
    from napari.components import ViewerModel


_MODES: dict[Mode, tuple[str, str]] = {
    "single": ("Map", "The map so far: mean of the halves after the prior; at the end the final map"),
    "split": (
        "Before | after",
        "Before the prior left of a divider, after it right; in 3D side by side",
    ),
    "halves": ("Half 1 | half 2", "The two half-maps at a divider; in 3D side by side"),
}


class LiveView(RunPanel):
    """Everything to see of a run, live or finished. The run's steering is elsewhere: `LiveRun.send`.

    Plots are drawn, and what they need is read, only while they can be seen.

    Parameters
    ----------
    viewer, directory, parent
        As for `RunPanel`.
    """

    def __init__(self, viewer: ViewerModel, directory: Path, parent: QWidget | None = None) -> None:
        super().__init__(viewer, directory, parent)
        self.layers = LiveLayers(viewer, self.run, self)
        self._build(viewer)
        self._connect()
        self._on_looked()

    # --- building ---------------------------------------------------------------------------------------------

    def _build(self, viewer: ViewerModel) -> None:
        maps = Section("Maps")
        self.slider = IterationSlider()
        self.classes = ClassChoice()
        self._segments = Segments(_MODES)
        self._segments.press(self.layers.mode)
        self.modes = self._segments.buttons
        self.full = QPushButton("Whole box")
        self.full.setObjectName("blushToggle")
        self.full.setCheckable(True)
        self.full.setToolTip(f"Boxes above {LARGEST_SHOWN}³ voxels are binned; show all voxels (slower)")
        self.full.hide()
        for widget in (self.slider, self.classes, self._segments, self.full):
            maps.body.addWidget(widget)
        self.tabs = PlotTabs(viewer, self.run, self)
        self.fsc, self.progress, self.angles = self.tabs.fsc, self.tabs.progress, self.tabs.angles
        self.denoiser = self.tabs.denoiser
        self.column.addWidget(maps)
        self.column.addWidget(self.tabs, 1)

    def _connect(self) -> None:
        self.run.looked.connect(self._on_looked)
        self.tabs.problem.connect(self.card.tell_problem)
        self.layers.failed.connect(self.card.tell_problem)
        self.layers.changed.connect(self._on_maps)
        self.layers.mode_changed.connect(self._segments.press)
        self.classes.chosen.connect(self._on_class)
        self.layers.iterations_changed.connect(self._on_iterations)
        self.slider.chosen.connect(self._on_chosen)
        self.full.toggled.connect(self._on_full)
        self._segments.chosen.connect(self._on_mode)

    def become_part_of_a_dock(self) -> None:
        """Leave the run's state to who embeds it, and keep what nobody else shows."""
        self.column.setContentsMargins(0, 0, 0, 0)
        self.setMinimumWidth(0)  # the dock has one of its own
        for place, label in enumerate((self.card.figures, self.card.problems)):
            self.column.insertWidget(place, label)
        self.card.hide()

    def close_run(self) -> None:
        """Stop watching the run, which goes on."""
        super().close_run()
        self.layers.close()
        self.tabs.close_run()

    # --- what happens -----------------------------------------------------------------------------------------

    def _on_looked(self) -> None:
        status = self.run.summary
        self.card.show_run(status, standing(status), key_figures(status.history))
        self._draw()

    def _on_iterations(self) -> None:
        self.slider.set_iterations(self.layers.iterations)

    def _on_chosen(self, iteration: int | None) -> None:
        self.layers.show_iteration(iteration)
        self._draw()

    def _on_full(self, on: bool) -> None:
        self.layers.full = on

    def _on_mode(self, mode: Mode) -> None:
        if self.layers.mode == "classes":  # one of them then
            self.classes.set_classes(self.layers.classes, self._shown_figures(), self.layers.focus)
        self.layers.set_mode(mode)

    def _on_class(self, number: int | None) -> None:
        if number is None:
            self.layers.set_mode("classes")
            self._segments.press("single")
        else:
            self.layers.set_class(number)
            self._on_mode(cast("Mode", self._segments.pressed))
        self._draw()

    def _on_maps(self) -> None:
        for mode in ("split", "halves"):
            self.modes[mode].setEnabled(self.layers.offers(mode))
        classes = self.layers.classes
        for mode, button in self.modes.items():  # a classification has no halves
            has_it = not classes or (mode != "halves" and self.layers.offers("split"))
            button.setVisible(has_it)
        if classes and self.layers.mode == "classes":
            self.classes.set_classes(classes, self._shown_figures(), None)
            self._segments.press("single")
            return
        self.classes.set_classes(classes, self._shown_figures(), self.layers.focus)
        mode = self.layers.mode
        self._segments.press(mode if self.modes[mode].isEnabled() else "single")
        box = next((figures["box"] for figures in reversed(self.run.history) if figures.get("box")), 0)
        self.full.setVisible(box > LARGEST_SHOWN)
        self._draw()

    def _shown_figures(self) -> dict[str, Any]:
        """Return the figures of the iteration whose maps are shown."""
        history = self.run.history
        return next((one for one in history if one["iteration"] == self.layers.shown), {})

    def _draw(self) -> None:
        number = self.classes.number if self.layers.classes else None
        self.tabs.show_run(self.slider.iteration, self.slider.following, number)
