"""What a validation of the denoiser found, shell by shell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from napari_blush.plots.fsc import Curve, FscPlot
from napari_blush.plots.safeguards import numbers

_CURVES: tuple[tuple[str, str, int, Literal["solid", "dashed", "dotted"]], ...] = (
    # name among the figures, in the legend, place in the palette, style
    ("transfer_noise", "noise ×", 3, "dotted"),
    ("transfer_signal", "signal ×", 4, "dotted"),
    ("model_raw", "model, raw", 4, "dashed"),
    ("model_denoised", "model, denoised", 4, "solid"),
    ("chance", "random phases", 1, "solid"),
    ("raw", "raw halves", 2, "dashed"),
    ("cross", "denoised half, other raw", 0, "solid"),
)


class ValidationPlot(FscPlot):
    """The curves of a validation; none of them is a resolution.

    Where the blue curve falls below that of the raw halves, the denoiser takes signal away or makes up detail.
    What the curve of random phases shows beyond where they begin, it made up.
    """

    file_name = "validation"
    _HIGHEST = 1.6
    _LEFT_LABEL = "FSC, factor"

    def show_figures(self, figures: Mapping[str, Any]) -> None:
        """Show what `blushcore.denoiser.findings.Findings.figures` returned."""
        found = figures["curves"]
        self.set_curves(
            [
                Curve(words, numbers(found[name]), colour, style, 2.0, quote_resolution=False)
                for name, words, colour, style in _CURVES
                if name in found
            ],
            float(figures["box"]) * float(figures["voxel_size_angstrom"]),
            threshold=None,
        )
