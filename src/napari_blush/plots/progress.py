"""How a run goes, iteration by iteration: resolution, angles, offsets, Pmax, particles that change class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from napari_blush.plots.series import Panel, Series
from napari_blush.plots.stacked import StackedCharts

REFINEMENT = (
    Panel(
        "Resolution (Å)",
        (Series("FSC 0.143", "resolution_angstrom"), Series("in use", "resolution_in_use_angstrom")),
        is_log=True,
    ),
    Panel(
        "Angles (°)",
        (
            Series("step", "angular_step_deg"),
            Series("change", "change_angle_deg"),
            Series("accuracy", "accuracy_angle_deg"),
        ),
        is_log=True,
    ),
    Panel(
        "Offsets (Å)",
        (
            Series("step", "offset_step_angstrom"),
            Series("change", "change_offset_angstrom"),
            Series("accuracy", "accuracy_offset_angstrom"),
        ),
        is_log=True,
    ),
    Panel("Mean Pmax", (Series("Pmax", "mean_p_max"),), top=1.0),
)
CLASSIFICATION = (
    Panel("Moved to another class (%)", (Series("images", "change_classes"),), top=100.0, factor=100.0),
    Panel(
        "Angles (°)",
        (Series("step", "angular_step_deg"), Series("change", "change_angle_deg")),
        is_log=True,
    ),
    Panel(
        "Offsets (Å)",
        (Series("step", "offset_step_angstrom"), Series("change", "change_offset_angstrom")),
        is_log=True,
    ),
    Panel(
        "Mean probability",
        (Series("pose (Pmax)", "mean_p_max"), Series("class", "mean_class_probability")),
        top=1.0,
    ),
)


class ProgressPlots(StackedCharts):
    """A refinement or a classification over its iterations."""

    file_name = "progress"
    _AT_FIRST: tuple[Panel, ...] = REFINEMENT

    def _panels_of(self, history: Sequence[Mapping[str, Any]]) -> tuple[Panel, ...]:
        return CLASSIFICATION if "class_distribution" in history[-1] else REFINEMENT

    def _words_of(self, figures: Mapping[str, Any]) -> list[str]:
        words = []
        for panel in self._panels:
            found = [
                f'<span style="color: {self._style(number)[0]}">{value:.3g}</span>'
                for number, series in enumerate(panel.series)
                if (value := panel.value(series, figures)) is not None
            ]
            if found:
                # Many classes have many values: they may go on in the next line.
                apart = "&nbsp;&nbsp;" if panel.has_legend else " &nbsp;"
                words.append(f"{panel.title.replace(' ', '&nbsp;')}&nbsp;" + apart.join(found))
        return words
