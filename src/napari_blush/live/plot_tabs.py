"""The plots of a run, in tabs: drawn, and what they need read, only while they can be seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSize, Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QLabel, QSizePolicy, QTabWidget, QVBoxLayout, QWidget

from napari_blush.background import Background
from napari_blush.live.angles import read_directions
from napari_blush.live.words import has_classes
from napari_blush.panels.cards import hint
from napari_blush.plots.angles import AngularDistributionPlot
from napari_blush.plots.classes import ClassesPlot
from napari_blush.plots.fsc_history import FscHistoryPlot
from napari_blush.plots.progress import ProgressPlots
from napari_blush.plots.safeguards import SafeguardsPlot, has_safeguards

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from blushcore.runs import Record
    from napari_blush.live.run import LiveRun
    from napari_blush.plots.directions import DirectionCounts

_PATIENCE_SECONDS = 2.0
"""At the end, with a read that is under way: nothing is lost with it."""


class PlotTabs(QTabWidget):
    """FSC, classes, progress, directions and safeguards, as far as a run has them.

    Parameters
    ----------
    viewer
        Whose theme they wear.
    run
        The run.
    """

    problem = Signal(str)
    """A sentence: something could not be read."""

    def __init__(self, viewer: ViewerModel, run: LiveRun, parent: QWidget) -> None:
        super().__init__(parent)
        self._run = run
        self._background = Background(self, patience_seconds=_PATIENCE_SECONDS)
        self._looked_at: tuple[int | None, bool, int | None] = (None, True, None)
        self._directions_of: tuple[tuple[Record, ...], int | None] | None = None
        self._drawn: dict[QWidget, Any] = {}
        self._nothing: dict[QWidget, QLabel] = {}
        self.setDocumentMode(True)
        bar = self.tabBar()
        assert bar is not None  # every QTabWidget has one
        bar.setDrawBase(False)
        self.fsc = FscHistoryPlot(viewer=viewer)
        self.classes = ClassesPlot(viewer=viewer)
        self.progress = ProgressPlots(viewer=viewer)
        self.angles = AngularDistributionPlot(viewer=viewer)
        self.denoiser = SafeguardsPlot(viewer=viewer)
        for plot, name, words in (
            (self.fsc, "FSC", "Fourier shell correlation of the half-maps, over that of the other iterations"),
            (self.classes, "Classes", "Images, resolution and accuracy of each class over the iterations"),
            (self.progress, "Progress", "Resolution, angles, offsets and Pmax over the iterations"),
            (self.angles, "Views", "From where the particles are seen"),
            (self.denoiser, "Denoiser", "Does the denoiser keep to the data, shell by shell"),
        ):
            page = QWidget()
            column = QVBoxLayout(page)
            column.setContentsMargins(0, 0, 0, 0)
            column.addWidget(plot)
            if plot is not self.angles:  # which says so itself
                self._nothing[plot] = hint("The first iteration brings the first values.")
                self._nothing[plot].setAlignment(Qt.AlignmentFlag.AlignCenter)
                column.addWidget(self._nothing[plot])
            self.setTabToolTip(self.addTab(page, name), words)
        self._offer([])
        self.currentChanged.connect(self._on_page)
        self._on_page()
        # What must end even where Qt deletes this without closing it; nothing of this object is touched then.
        self.destroyed.connect(self._background.close)

    def show_run(self, iteration: int | None, following: bool, class_number: int | None) -> None:
        """Show the run as it stands.

        Parameters
        ----------
        iteration, following
            The one that is looked at, and whether it is the newest, whichever that is.
        class_number
            The class whose views are shown, from 1; None for all images.
        """
        self._looked_at = (iteration, following, class_number)
        self._draw()

    def show_plot(self, plot: QWidget) -> None:
        """Open the tab of one of the plots."""
        page = plot.parentWidget()
        assert page is not None  # its tab's
        self.setCurrentWidget(page)

    def close_run(self) -> None:
        """Read nothing more."""
        self._background.close()

    def hasHeightForWidth(self) -> bool:  # noqa: N802
        """Let a wrapped line in one tab not make all of them higher."""
        return False

    def sizeHint(self) -> QSize:  # noqa: N802
        """Ask for what the page that is seen needs at least: more comes with the window."""
        return self.minimumSizeHint()

    def showEvent(self, event: Any) -> None:  # noqa: N802
        """Draw what nobody could see before."""
        super().showEvent(event)
        self._draw()

    def _on_page(self, _: int = 0) -> None:
        """Be as high as the page that is seen needs, whatever the others need."""
        for index in range(self.count()):
            page = self.widget(index)
            assert page is not None  # there are so many
            seen = page is self.currentWidget()
            policy = QSizePolicy.Policy.Expanding if seen else QSizePolicy.Policy.Ignored
            page.setSizePolicy(QSizePolicy.Policy.Ignored if not seen else QSizePolicy.Policy.Preferred, policy)
        self.updateGeometry()
        self._draw()

    def _offer(self, history: Sequence[Mapping[str, Any]]) -> None:
        """Offer the tabs that there is something for: classifications have classes and no FSC."""
        of_classes = self._run.summary.job == "classify" or any(map(has_classes, history))
        for plot, is_offered in (
            (self.fsc, not of_classes),
            (self.classes, of_classes),
            (self.denoiser, any(map(has_safeguards, history))),
        ):
            index = self.indexOf(plot.parentWidget())
            if self.isTabVisible(index) != is_offered:
                self.setTabVisible(index, is_offered)

    def _draw(self) -> None:
        """Draw the plot that can be seen, if it would look otherwise than it does."""
        if not self.isVisible():
            return
        iteration, following, _ = self._looked_at
        history = self._run.history
        self._offer(history)
        has_figures = any(len(figures) > 1 for figures in history)  # iteration 0 has none
        for plot, words in self._nothing.items():
            plot.setVisible(has_figures)
            words.setHidden(has_figures)
        page = self.currentWidget()
        if page is self.fsc.parentWidget():
            self._draw_history(self.fsc, history, iteration)
        elif page is self.denoiser.parentWidget():
            self._draw_history(self.denoiser, history, iteration)
        elif page is self.angles.parentWidget():
            self._draw_directions()
        else:
            plot = self.progress if page is self.progress.parentWidget() else self.classes
            self._draw_history(plot, history, None if following else iteration)

    def _draw_history(
        self,
        plot: FscHistoryPlot | ProgressPlots | SafeguardsPlot,
        history: Sequence[dict[str, Any]],
        shown: int | None,
    ) -> None:
        state = (shown, tuple(self._run.summary.iterations.values()))
        if self._drawn.get(plot) != state:
            self._drawn[plot] = state
            plot.set_history(history, shown)

    def _draw_directions(self) -> None:
        iteration, _, class_number = self._looked_at
        status = self._run.summary
        if iteration is None or iteration not in status.iterations:
            return
        records, reader = status.records_of(iteration), self._run.reader
        if self._directions_of == (records, class_number):
            return
        self._directions_of = (records, class_number)
        if self.angles.counts is None:
            self.angles.readout.setText("Reading the directions …")
        symmetry = str(status.parameters.get("symmetry", "C1"))

        def work() -> DirectionCounts | None:
            files = {role: path for record in records for role, path in reader.files(record).items()}
            return read_directions(files["data"], symmetry, class_number) if "data" in files else None

        def done(counts: DirectionCounts | None) -> None:
            of_class = "" if class_number is None else f", class {class_number}"
            self.angles.set_counts(counts, f"Iteration {iteration}, {symmetry}{of_class}")

        def failed(error: Exception) -> None:
            self.problem.emit(f"The directions cannot be shown: {error}")

        self._background.run(work, done, failed, instead_of="directions")
