"""napari's scale bar, which is in Å once the layers are."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakSet

from napari_blush.layers.view import unwrapped

if TYPE_CHECKING:
    from napari.components import ViewerModel


_shown_in: WeakSet[ViewerModel] = WeakSet()
"""By whichever dock: one that is opened again does not show it again."""


class ScaleBar:
    """Shows the scale bar of a viewer once; whether it stays is then the user's choice.

    Parameters
    ----------
    viewer
        Whose scale bar it is.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer

    def show_once(self) -> None:
        """Show the bar, unless this was done before."""
        bare = unwrapped(self._viewer)
        if bare not in _shown_in:
            _shown_in.add(bare)
            self._viewer.canvas.overlays.scale_bar.visible = True
