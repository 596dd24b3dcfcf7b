"""The FSC of two half-maps, before and after denoising, in the dock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_blush.denoise.results import Fsc
from napari_blush.panels.cards import Section

if TYPE_CHECKING:
    from napari.viewer import Viewer

_PLOT_HEIGHT = 420
FSC_WARNING = (
    "An FSC after denoising is no estimate of resolution: the network puts the same expectations "
    "into both halves. Report the curve before."
)


class FscSection(Section):
    """Shows the curves of one result; hidden where there are none.

    Parameters
    ----------
    viewer
        In whose theme they are drawn.
    """

    def __init__(self, viewer: Viewer) -> None:
        super().__init__("FSC of the half-maps")
        self._viewer = viewer
        self.plot: Any = None
        """Made with the first curves: plotting takes a while to import."""
        self.hide()

    def show_fsc(self, fsc: Fsc | None) -> None:
        """Show curves, or none."""
        self.setVisible(fsc is not None)
        if fsc is None:
            return
        from napari_blush.plots.fsc import Curve, FscPlot

        if self.plot is None:
            self.plot = FscPlot(viewer=self._viewer)
            self.plot.setMaximumHeight(_PLOT_HEIGHT)
            self.body.addWidget(self.plot)
        self.plot.set_curves(
            [
                Curve("after denoising", fsc.after, colour=2, style="dashed", quote_resolution=False),
                Curve("half-maps as given", fsc.before, colour=0),
            ],
            fsc.box_size_angstrom,
            warning=FSC_WARNING,
        )
