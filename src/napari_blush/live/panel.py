"""What the panels of runs have in common: the run, its card, and their end."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QApplication, QVBoxLayout, QWidget

from napari_blush.live.card import WatchedCard
from napari_blush.live.run import LiveRun
from napari_blush.panels.cards import style_sheet
from napari_blush.plots.theme import Palette, follow_theme

if TYPE_CHECKING:
    from napari.components import ViewerModel

_LEAST_WIDTH_PX = 330


class RunPanel(QWidget):
    """A run that is watched, live or finished, with how it stands at the top of `column`.

    It is watched until the panel or napari closes; the run itself goes on, and its layers stay.

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
        self.setMinimumWidth(_LEAST_WIDTH_PX)
        self.run = LiveRun(viewer, directory, self)
        self.card = WatchedCard()
        self.run.problem.connect(self.card.tell_problem)
        self.column = QVBoxLayout(self)
        self.column.setContentsMargins(6, 6, 6, 6)
        self.column.setSpacing(8)
        self.column.addWidget(self.card)
        application = QApplication.instance()
        assert application is not None
        application.aboutToQuit.connect(self.close_run)
        follow_theme(self, self._apply_palette, viewer)

    def close_run(self) -> None:
        """Stop watching the run, which goes on. Again, nothing happens."""
        self.run.close()

    def closeEvent(self, event: Any) -> None:  # noqa: N802
        """Stop watching with the panel."""
        self.close_run()
        super().closeEvent(event)

    def _apply_palette(self, palette: Palette) -> None:
        self.setStyleSheet(style_sheet(palette))
