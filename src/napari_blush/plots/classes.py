"""Classes over the iterations: how many images each has, and how far each is resolved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qtpy.QtWidgets import QBoxLayout, QLabel

from napari_blush.plots.progress import DASHES, Panel, ProgressPlots, Series

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
    _AT_FIRST: tuple[Panel, ...] = ()

    def _build(self) -> None:
        super()._build()
        self.legend = QLabel(" ")
        self.legend.setWordWrap(True)
        self.legend.setMinimumWidth(1)  # a long line must not widen the dock
        layout = self.layout()
        assert isinstance(layout, QBoxLayout)
        layout.insertWidget(0, self.legend)

    def _panels_of(self, history: Sequence[Mapping[str, Any]]) -> tuple[Panel, ...]:
        count = len(history[-1].get("class_distribution", ())) if history else 0
        if count == 0:
            return self._panels
        return tuple(
            Panel(
                title,
                tuple(Series(f"class {place + 1}", figure, place) for place in range(count)),
                top,
                factor,
                has_legend=False,
            )
            for title, figure, top, factor in _FIGURES
        )

    def _style(self, number: int) -> tuple[str, Any]:
        cycle, place = divmod(number, len(self.palette_of_theme.curves))
        return self.palette_of_theme.curves[place], DASHES[cycle % len(DASHES)][0]

    def _redraw(self) -> None:
        super()._redraw()
        names = self._panels[0].series if self._panels else ()
        words = [
            f'<span style="color: {self._style(number)[0]}">●&nbsp;{series.label.replace(" ", "&nbsp;")}</span>'
            for number, series in enumerate(names)
        ]
        self.legend.setText(" &nbsp; ".join(words))
