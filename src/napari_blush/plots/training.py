"""How a training goes: losses and the gain in FSC over its steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from napari_blush.plots.series import Panel, Series
from napari_blush.plots.stacked import StackedCharts

TRAINING = (
    Panel(
        "Loss of the density",
        (Series("trained on", "density_loss"), Series("validation", "validation_density_loss")),
    ),
    Panel(
        "Gain in FSC",
        (Series("trained on", "fsc_gain"), Series("validation", "validation_fsc_gain")),
    ),
)
FINE_TUNING = (
    Panel(
        "Loss of what is held out",
        (Series("now", "held_out_loss"), Series("start", "held_out_loss_at_start", is_level=True)),
    ),
    Panel(
        "Gain in FSC",
        (Series("trained on", "fsc_gain"), Series("held out", "held_out_fsc_gain")),
    ),
)


class TrainingPlots(StackedCharts):
    """Losses above, gain in FSC below."""

    file_name = "training"
    counted = "step"
    _AT_FIRST = TRAINING
    _LEFT_PX = 52

    def _panels_of(self, history: Sequence[Mapping[str, Any]]) -> tuple[Panel, ...]:
        return FINE_TUNING if "held_out_loss" in history[-1] else TRAINING

    def _words_of(self, figures: Mapping[str, Any]) -> list[str]:
        return [
            f'{series.label} <span style="color: {self._style(number)[0]}">{value:.4g}</span>'
            for panel in self._panels
            for number, series in enumerate(panel.series)
            if (value := panel.value(series, figures)) is not None
        ]
