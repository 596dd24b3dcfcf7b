"""Does the denoiser keep to the data? Cross-validation and transfer of an iteration, shell by shell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from napari_blush.plots.fsc import Curve, FscPlot

_CURVES: tuple[tuple[str, str, int, Literal["solid", "dashed", "dotted"]], ...] = (
    # figure, name, place in the palette, style
    ("denoiser_transfer_noise", "noise ×", 3, "dotted"),
    ("denoiser_transfer_signal", "signal ×", 4, "dotted"),
    ("denoiser_raw_fsc", "raw halves", 2, "dashed"),
    ("denoiser_cross_fsc", "denoised half, other raw", 0, "solid"),
)
_HARM = -0.01


class SafeguardsPlot(FscPlot):
    """What the denoiser did to the halves in an iteration, held against the raw other half.

    Where the solid curve falls below the dashed one, the denoiser takes signal away or makes up detail; where
    it rises above, it takes noise away. The dotted curves are what it multiplies signal and noise by. None of
    it is a resolution.
    """

    file_name = "denoiser"
    _HIGHEST = 1.6
    _LEFT_LABEL = "FSC, factor"
    _figures: Mapping[str, Any]

    def _build(self) -> None:
        self._figures = {}
        super()._build()

    def set_history(self, history: Sequence[Mapping[str, Any]], shown: int | None = None) -> None:
        """Show a run's figures; a view that was zoomed stays unless the box changes.

        Parameters
        ----------
        history
            The figures of the iterations, oldest first; those without a denoiser are passed over.
        shown
            The iteration to show; the newest, if it is not given or has no denoiser.
        """
        known = {int(figures["iteration"]): figures for figures in history if has_safeguards(figures)}
        if not known:
            self._figures = {}
            self.clear()
            return
        self._figures = figures = known[shown if shown in known else max(known)]
        gain = figures["denoiser_gain"]
        warning = ""
        if gain < _HARM:
            warning = (
                "The denoiser takes signal away or makes up detail: it agrees less with the raw other half."
            )
        self.set_curves(
            [
                Curve(name, numbers(figures[figure]), colour, style, 2.0, quote_resolution=False)
                for figure, name, colour, style in _CURVES
                if figures.get(figure)
            ],
            float(figures["box"]) * float(figures["voxel_size_angstrom"]),
            threshold=None,
            warning=warning,
            shells=int(figures["box"]) // 2 + 1,
        )

    @property
    def iteration(self) -> int | None:
        """The iteration that is shown."""
        return int(self._figures["iteration"]) if self._figures else None

    def _resolutions(self) -> str:
        if not self._figures:
            return " "
        gain = self._figures["denoiser_gain"]
        verb = "less" if gain < 0 else "more"
        return f"Iteration {self.iteration}:\nagrees {abs(gain):.3f} {verb} with the raw other half"


def has_safeguards(figures: Mapping[str, Any]) -> bool:
    """Return whether an iteration's figures tell what its denoiser did."""
    return figures.get("denoiser_gain") is not None and bool(figures.get("denoiser_cross_fsc"))


def numbers(values: Sequence[float | None]) -> np.ndarray:
    """Return a curve as float64; None, "nothing to tell it by", becomes NaN."""
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
