"""A run in a panel: how it stands, which iteration is looked at, what is compared, and the plots."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import (
    QApplication,
    QButtonGroup,
    QFrame,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_blush.live.classes import ClassChoice
from napari_blush.live.comparison import Mode
from napari_blush.live.gridding import LARGEST_SHOWN
from napari_blush.live.layers import LiveLayers
from napari_blush.live.plot_tabs import PlotTabs
from napari_blush.live.run import LiveRun
from napari_blush.live.slider import IterationSlider
from napari_blush.live.words import key_figures, standing
from napari_blush.panels.cards import Section, hint, restyle, style_sheet
from napari_blush.plots.theme import Palette, follow_theme

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


class LiveView(QWidget):
    """Everything to see of a run, live or finished. The run's steering is elsewhere: `LiveRun.send`.

    Plots are drawn, and what they need is read, only while they can be seen.

    Parameters
    ----------
    viewer
        Where the run's maps are shown.
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
        self.layers = LiveLayers(viewer, self.run, self)
        self._problems: list[str] = []
        self._build(viewer)
        self._connect()
        follow_theme(self, self._apply_palette, viewer)
        self._on_looked()

    # --- building ---------------------------------------------------------------------------------------------

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

        maps = Section("Maps")
        self.slider = IterationSlider()
        maps.body.addWidget(self.slider)
        self.classes = ClassChoice()
        maps.body.addWidget(self.classes)
        self._group = QButtonGroup(self)
        self.modes: dict[Mode, QPushButton] = {}
        segments = QHBoxLayout()
        segments.setSpacing(2)
        for mode, (label, words) in _MODES.items():
            button = QPushButton(label)
            button.setObjectName("blushSegment")
            button.setCheckable(True)
            button.setToolTip(words)
            button.clicked.connect(lambda _=False: self._on_mode())
            self._group.addButton(button)
            self.modes[mode] = button
            segments.addWidget(button, 1)
        self.modes[self.layers.mode].setChecked(True)
        maps.body.addLayout(segments)
        self.full = QPushButton("Whole box")
        self.full.setObjectName("blushToggle")
        self.full.setCheckable(True)
        self.full.setToolTip(f"Boxes above {LARGEST_SHOWN}³ voxels are binned; show all voxels (slower)")
        self.full.hide()
        maps.body.addWidget(self.full)

        self.tabs = PlotTabs(viewer, self.run, self)
        self.fsc, self.progress, self.angles = self.tabs.fsc, self.tabs.progress, self.tabs.angles
        self.denoiser = self.tabs.denoiser

        column = QVBoxLayout(self)
        column.setContentsMargins(6, 6, 6, 6)
        column.setSpacing(8)
        column.addWidget(self.status)
        column.addWidget(maps)
        column.addWidget(self.tabs, 1)

    def _connect(self) -> None:
        self.run.looked.connect(self._on_looked)
        self.run.problem.connect(self._on_problem)
        self.tabs.problem.connect(self._on_problem)
        self.layers.failed.connect(self._on_problem)
        self.layers.changed.connect(self._on_maps)
        self.layers.mode_changed.connect(lambda mode: self.modes[mode].setChecked(True))
        self.classes.chosen.connect(self._on_class)
        self.layers.iterations_changed.connect(self._on_iterations)
        self.slider.chosen.connect(self._on_chosen)
        self.full.toggled.connect(self._on_full)
        application = QApplication.instance()
        assert application is not None
        application.aboutToQuit.connect(self.close_run)

    def _apply_palette(self, palette: Palette) -> None:
        self.setStyleSheet(style_sheet(palette))

    def closeEvent(self, event: Any) -> None:  # noqa: N802
        """Stop watching with the panel; the run goes on, and its layers stay."""
        self.close_run()
        super().closeEvent(event)

    def become_part_of_a_dock(self) -> None:
        """Leave the run's state to who embeds it, and keep what nobody else shows."""
        column = self.layout()
        assert isinstance(column, QVBoxLayout)
        column.setContentsMargins(0, 0, 0, 0)
        self.setMinimumWidth(0)  # the dock has one of its own
        for place, label in enumerate((self.figures, self.problems)):
            column.insertWidget(place, label)
        self.status.hide()

    def close_run(self) -> None:
        """Stop watching the run, which goes on."""
        self.run.close()
        self.layers.close()
        self.tabs.close_run()

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
        self.text.setText(said.text)
        is_busy = status.life == "running" and not status.paused
        self.bar.setVisible(is_busy)
        self.bar.setRange(0, status.total)  # 0, 0 is a bar that only moves
        self.bar.setValue(status.done)
        self.figures.setText(key_figures(status.history))
        self.figures.setVisible(bool(self.figures.text()))
        self._draw()

    def _on_problem(self, text: str) -> None:
        self._problems.append(text)
        more = f" (and {len(self._problems) - 1} before)" if len(self._problems) > 1 else ""
        self.problems.setText(text + more)
        self.problems.setToolTip("\n".join(self._problems[-20:]))
        self.problems.show()

    def _on_iterations(self) -> None:
        self.slider.set_iterations(self.layers.iterations)

    def _on_chosen(self, iteration: int | None) -> None:
        self.layers.show_iteration(iteration)
        self._draw()

    def _on_full(self, on: bool) -> None:
        self.layers.full = on

    def _on_mode(self) -> None:
        mode = next(mode for mode, button in self.modes.items() if button.isChecked())
        if self.layers.mode == "classes":  # one of them then
            self.classes.set_classes(self.layers.classes, self._shown_figures(), self.layers.focus)
        self.layers.set_mode(mode)

    def _on_class(self, number: int | None) -> None:
        if number is None:
            self.layers.set_mode("classes")
            self.modes["single"].setChecked(True)
        else:
            self.layers.set_class(number)
            self._on_mode()
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
            self.modes["single"].setChecked(True)
            return
        self.classes.set_classes(classes, self._shown_figures(), self.layers.focus)
        wanted = self.modes[self.layers.mode]
        shown = wanted if wanted.isEnabled() else self.modes["single"]
        shown.setChecked(True)
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
