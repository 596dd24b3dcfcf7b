"""Classes over the iterations: how many images each has, and how far each is resolved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from napari_blush.plots.chart import WrappedLabel
from napari_blush.plots.progress import ProgressPlots
from napari_blush.plots.series import Panel, Series

_FIGURES = (
    # title, figure, top of the axis (None: logarithmic), factor
    ("Share of the images (%)", "class_distribution", 100.0, 100.0),
    ("Resolution, SSNR 1 (Å)", "class_resolution_angstrom", None, 1.0),
    ("Accuracy of angles (°)", "class_accuracy_angle_deg", None, 1.0),
)


class ClassesPlot(ProgressPlots):
    """Occupancy, resolution and accuracy of each class over the iterations; a class keeps its colour.

    The classes are named once, above the charts, with what they have at the iteration in question.
    """

    file_name = "classes"
    _AT_FIRST = ()

    def _build(self) -> None:
        super()._build()
        self.legend = WrappedLabel(" ")
        self.column.insertWidget(0, self.legend)

    def _panels_of(self, history: Sequence[Mapping[str, Any]]) -> tuple[Panel, ...]:
        count = len(history[-1].get("class_distribution", ()))
        if count == 0:
            return self._panels
        return tuple(
            Panel(
                title,
                tuple(Series(f"class {place + 1}", figure, place) for place in range(count)),
                top=top,
                is_log=top is None,
                factor=factor,
                has_legend=False,
            )
            for title, figure, top, factor in _FIGURES
        )

    def _redraw(self) -> None:
        super()._redraw()
        names = self._panels[0].series if self._panels else ()
        words = [
            f'<span style="color: {self._style(number)[0]}">●&nbsp;{series.label.replace(" ", "&nbsp;")}</span>'
            for number, series in enumerate(names)
        ]
        self.legend.setText(" &nbsp; ".join(words))
