"""The split view of a denoising: opened, renewed and closed as what it compares comes and goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psygnal import Signal

from blushcore.protocol import BlushError
from napari_blush.layers.split import SplitView

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image


class BeforeAfter:
    """At most one split view of two layers.

    Parameters
    ----------
    viewer
        Where it is.
    """

    closed_by_user = Signal()
    """The view's layer was removed, while what it compares is there still."""
    failed = Signal(str)
    """Two layers cannot be compared: why."""

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self.view: SplitView | None = None
        """What is open."""

    def show(self, before: Image | None, after: Image | None) -> None:
        """Compare two layers; with either missing, nothing."""
        if before is None or after is None or before not in self._viewer.layers:
            self.end()
            return
        if self.view is not None and self.view.before is before and self.view.after is after:
            self.rename()
            return
        self.end()
        try:
            self.view = SplitView(self._viewer, before, after)
        except BlushError as error:
            self.failed.emit(str(error))
            return
        self.view.closed.connect(self._on_closed)

    def rename(self) -> None:
        """Call the view after what it compares."""
        if self.view is not None:
            self.view.layer.name = f"{self.view.before.name} | {self.view.after.name}"

    def refresh(self) -> None:
        """Show what changed within the layers' arrays."""
        if self.view is not None:
            self.view.refresh()

    def end(self) -> None:
        """Close the view. Again, nothing happens."""
        view, self.view = self.view, None
        if view is not None:
            view.closed.disconnect(self._on_closed)
            view.close()

    def _on_closed(self) -> None:
        view, self.view = self.view, None
        if view is not None and view.before in self._viewer.layers and view.after in self._viewer.layers:
            self.closed_by_user.emit()
