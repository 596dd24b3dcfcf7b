"""A dock widget's life: its colours, files dropped on it, sentences to the user, and its end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, Qt
from qtpy.QtWidgets import QApplication, QFrame, QScrollArea, QWidget

from napari_blush.controls import mend_controls
from napari_blush.panels.cards import style_sheet
from napari_blush.panels.ends import Ends
from napari_blush.plots.theme import Palette
from napari_blush.qt_references import hold_constants

if TYPE_CHECKING:
    from napari.viewer import Viewer


class Dock(QWidget):
    """What the plugin's dock widgets have in common.

    It ends once, whichever way comes first: closed, taken out of its dock (which is all that napari does at a
    click on a dock's ×; nobody can put it back, so it is deleted then), deleted by Qt, or together with the
    application.

    Parameters
    ----------
    viewer
        The viewer beside which it stands.
    least_width
        In pixels.
    """

    def __init__(self, viewer: Viewer, least_width: int = 330) -> None:
        hold_constants()
        super().__init__()
        self._viewer = viewer
        self._was_docked = False
        self._ends = Ends()
        self.setMinimumWidth(least_width)
        self.setAcceptDrops(True)
        application = QApplication.instance()
        assert application is not None
        application.aboutToQuit.connect(self.shut_down)
        self.destroyed.connect(self._ends.do_all)  # nothing of the object itself is touched then

    def end_with(self, *ends: Callable[[], Any]) -> None:
        """Call these when the dock ends, the last one given first. They touch no widget inside it."""
        self._ends.add(ends)

    @property
    def is_open(self) -> bool:
        """Whether it has not ended yet."""
        return self._ends.are_left

    def shut_down(self) -> None:
        """End what belongs to the dock. Again, nothing happens."""
        self._ends.do_all()

    def take_files(self, paths: list[Path]) -> None:
        """Take files that were dropped."""
        raise NotImplementedError

    def take_palette(self, palette: Palette) -> None:
        """Take the colours of a theme."""
        self.setStyleSheet(style_sheet(palette))

    def say(self, sentence: str) -> None:
        """Tell the user something, in napari's way."""
        from napari.utils.notifications import show_info

        show_info(sentence)

    def say_error(self, error: Exception) -> None:
        """Tell the user what went wrong, in napari's way."""
        from napari.utils.notifications import show_error

        show_error(str(error))

    def closeEvent(self, event: Any) -> None:  # noqa: N802
        """End."""
        self.shut_down()
        super().closeEvent(event)

    def changeEvent(self, event: Any) -> None:  # noqa: N802
        """End where it was taken out of its dock."""
        if event.type() == QEvent.Type.ParentChange:
            if self.parentWidget() is not None:
                self._was_docked = True
            elif self._was_docked:
                self.shut_down()
                # Here, not by the garbage collector: that may run in any thread, where no widget can end.
                self.deleteLater()
        super().changeEvent(event)

    def dragEnterEvent(self, event: Any) -> None:  # noqa: N802
        """Let files in."""
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: Any) -> None:  # noqa: N802
        """Take what was dropped."""
        paths = [Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()]
        if paths:
            event.acceptProposedAction()
            self.take_files(paths)


def scrolled(content: QWidget) -> QScrollArea:
    """Return a frame in which a column of panels, now complete, is scrolled up and down."""
    mend_controls(content)
    area = QScrollArea()
    area.setWidget(content)
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    return area
