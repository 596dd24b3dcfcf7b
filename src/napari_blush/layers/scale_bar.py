"""napari's scale bar, which is in Å once the layers are."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari.components import ViewerModel


class ScaleBar:
    """Shows the scale bar once; whether it stays is then the user's choice.

    Parameters
    ----------
    viewer
        Whose scale bar it is.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self._was_shown = False

    def show_once(self) -> None:
        """Show the bar, unless this was done before."""
        if not self._was_shown:
            self._was_shown = True
            self._viewer.canvas.overlays.scale_bar.visible = True
