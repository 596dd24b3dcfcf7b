"""A run in a panel: how it stands, which iteration is looked at, what is compared, and the plots."""

from __future__ import annotations

from collections.abc import Sequence
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
    QSizePolicy,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from napari_blush.background import Background
from napari_blush.live.angles import read_directions
from napari_blush.live.comparison import Mode
from napari_blush.live.gridding import LARGEST_SHOWN
from napari_blush.live.layers import LiveLayers
from napari_blush.live.run import LiveRun
from napari_blush.live.slider import IterationSlider
from napari_blush.live.words import standing
from napari_blush.panels.cards import Section, hint, restyle, style_sheet
from napari_blush.plots.angles import AngularDistributionPlot
from napari_blush.plots.fsc_history import FscHistoryPlot
from napari_blush.plots.progress import ProgressPlots
from napari_blush.plots.safeguards import SafeguardsPlot, has_safeguards
from napari_blush.plots.theme import Palette, follow_theme

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_blush.plots.directions import DirectionCounts

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
        self._background = Background(self)
        self._directions_of: tuple[int, int] | None = None
        self._drawn: dict[QWidget, Any] = {}
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
        self._group = QButtonGroup(self)
        self.modes: dict[Mode, QPushButton] = {}
        segments = QHBoxLayout()
        segments.setSpacing(2)
        for mode, (label, words) in _MODES.items():
            button = QPushButton(label)
            button.setObjectName("blushSegment")
            button.setCheckable(True)
            button.setToolTip(words)
            button.clicked.connect(lambda _=False, mode=mode: self.layers.set_mode(mode))
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

        self.fsc = FscHistoryPlot(viewer=viewer)
        self.progress = ProgressPlots(viewer=viewer)
        self.angles = AngularDistributionPlot(viewer=viewer)
        self.denoiser = SafeguardsPlot(viewer=viewer)
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        bar = self.tabs.tabBar()
        assert bar is not None  # every QTabWidget has one
        bar.setDrawBase(False)
        for plot, name, words in (
            (self.fsc, "FSC", "Fourier shell correlation of the half-maps, over that of the other iterations"),
            (self.progress, "Progress", "Resolution, angles, offsets and Pmax over the iterations"),
            (self.angles, "Views", "From where the particles are seen"),
            (self.denoiser, "Denoiser", "Does the denoiser keep to the data, shell by shell"),
        ):
            page = QWidget()  # a page as high as its plot, whatever the others need
            column = QVBoxLayout(page)
            column.setContentsMargins(0, 0, 0, 0)
            column.addWidget(plot)
            page.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
            self.tabs.setTabToolTip(self.tabs.addTab(page, name), words)
        self.tabs.setTabVisible(self.tabs.count() - 1, False)  # until an iteration had one

        column = QVBoxLayout(self)
        column.setContentsMargins(6, 6, 6, 6)
        column.setSpacing(8)
        column.addWidget(self.status)
        column.addWidget(maps)
        column.addWidget(self.tabs, 1)

    def _connect(self) -> None:
        self.run.looked.connect(self._on_looked)
        self.run.problem.connect(self._on_problem)
        self.layers.failed.connect(self._on_problem)
        self.layers.changed.connect(self._on_maps)
        self.layers.mode_changed.connect(lambda mode: self.modes[mode].setChecked(True))
        self.layers.iterations_changed.connect(self._on_iterations)
        self.slider.chosen.connect(self._on_chosen)
        self.tabs.currentChanged.connect(self._draw)
        self.full.toggled.connect(self._on_full)
        application = QApplication.instance()
        assert application is not None
        application.aboutToQuit.connect(self.close_run)
        # What must end even where Qt deletes this without closing it; nothing of this object is touched then.
        self.destroyed.connect(self._background.close)

    def _apply_palette(self, palette: Palette) -> None:
        self.setStyleSheet(style_sheet(palette))

    def showEvent(self, event: Any) -> None:  # noqa: N802
        """Draw what nobody could see before."""
        super().showEvent(event)
        self._draw()

    def closeEvent(self, event: Any) -> None:  # noqa: N802
        """Stop watching with the panel; the run goes on, and its layers stay."""
        self.close_run()
        super().closeEvent(event)

    def become_part_of_a_dock(self) -> None:
        """Leave the run's state to who embeds it, and keep what nobody else shows."""
        column = self.layout()
        assert isinstance(column, QVBoxLayout)
        column.setContentsMargins(0, 0, 0, 0)
        for place, label in enumerate((self.figures, self.problems)):
            column.insertWidget(place, label)
        self.status.hide()

    def close_run(self) -> None:
        """Stop watching the run, which goes on."""
        self.run.close()
        self.layers.close()
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

    def _on_maps(self) -> None:
        roles = self.layers.roles
        self.modes["split"].setEnabled("before" in roles)
        self.modes["halves"].setEnabled("half1" in roles)
        wanted = self.modes[self.layers.mode]
        shown = wanted if wanted.isEnabled() else self.modes["single"]
        shown.setChecked(True)
        box = next((figures["box"] for figures in reversed(self.run.history) if figures.get("box")), 0)
        self.full.setVisible(box > LARGEST_SHOWN)

    # --- plots ------------------------------------------------------------------------------------------------

    def _draw(self, _: int = 0) -> None:
        """Draw the plot that can be seen, if it would look otherwise than it does."""
        page = self.tabs.currentWidget()
        if page is None or not self.isVisible():
            return
        iteration = self.slider.iteration
        history = self.run.history
        self.tabs.setTabVisible(self.tabs.count() - 1, any(map(has_safeguards, history)))
        if self.fsc.parent() is page:
            self._draw_history(self.fsc, history, iteration)
        elif self.denoiser.parent() is page:
            self._draw_history(self.denoiser, history, iteration)
        elif self.progress.parent() is page:
            self._draw_history(self.progress, history, None if self.slider.following else iteration)
        else:
            self._draw_directions(iteration)

    def _draw_history(
        self,
        plot: FscHistoryPlot | ProgressPlots | SafeguardsPlot,
        history: Sequence[dict[str, Any]],
        shown: int | None,
    ) -> None:
        state = (shown, [(figures["iteration"], figures.get("seconds_in_all")) for figures in history])
        if self._drawn.get(plot) != state:
            self._drawn[plot] = state
            plot.set_history(history, shown)

    def _draw_directions(self, iteration: int | None) -> None:
        status = self.run.summary
        if iteration is None or iteration not in status.iterations:
            return
        records, reader = status.records_of(iteration), self.run.reader
        if self._directions_of == (iteration, len(records)):
            return
        self._directions_of = (iteration, len(records))
        if self.angles.counts is None:
            self.angles.readout.setText("Reading the directions …")
        symmetry = str(status.parameters.get("symmetry", "C1"))

        def work() -> DirectionCounts | None:
            files = {role: path for record in records for role, path in reader.files(record).items()}
            return read_directions(files["data"], symmetry) if "data" in files else None

        def done(counts: DirectionCounts | None) -> None:
            self.angles.set_counts(counts, f"Iteration {iteration}, {symmetry}")

        def failed(error: Exception) -> None:
            self._on_problem(f"The directions cannot be shown: {error}")

        self._background.run(work, done, failed, instead_of="directions")


def key_figures(history: Sequence[dict[str, Any]]) -> str:
    """Return a run's newest figures in a line; nothing before the first iteration."""
    if not history or len(history[-1]) == 1:
        return ""
    newest = history[-1]
    words = [f"Iteration {newest['iteration']}"]
    for name, text in (
        ("resolution_angstrom", "{:.2f} Å at 0.143"),
        ("angular_step_deg", "step {:.3g}°"),
        ("current_size", "images {} px"),
        ("seconds", "{:.0f} s"),
    ):
        if newest.get(name) is not None:
            words.append(text.format(newest[name]))
    return " · ".join(words)
