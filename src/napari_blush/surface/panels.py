"""The parts of the dock *Coloured surface*: which maps, how high, which colours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)
from superqt import QLabeledDoubleSlider

from napari_blush.panels.boxes import choice_box
from napari_blush.panels.cards import Section, form_of, hint
from napari_blush.surface.colour_bar import ColourBar

if TYPE_CHECKING:
    from collections.abc import Iterator

COLORMAPS = ("viridis", "plasma", "turbo", "coolwarm")
LEAST_PIECE_ANGSTROM = 15.0
_HIGHEST_SIGMA = 20.0


class MapsSection(Section):
    """The map whose surface is drawn, and the one by which it is coloured."""

    def __init__(self) -> None:
        super().__init__("Maps")
        self.map_box = choice_box("The map whose surface is drawn; not a map of resolution")
        self.local_box = choice_box("Resolution from place to place (Å), e.g. of blush local-resolution")
        self.body.addLayout(form_of(("Surface of", self.map_box), ("Coloured by", self.local_box)))
        self.halves = _Plain()
        self.half1_box = choice_box("First half-map: unfiltered, unmasked, undenoised")
        self.half2_box = choice_box("Second half-map, on the same grid")
        self.mask_box = choice_box("Where to measure (a mask from 0 to 1): with one it takes less time")
        form = form_of(("Half-map 1", self.half1_box), ("Half-map 2", self.half2_box), ("Mask", self.mask_box))
        self.measure = QPushButton("Measure local resolution")
        self.measure.setToolTip("In a process of its own; the viewer stays free")
        self.progress = QProgressBar()
        self.progress.setTextVisible(False)
        self.progress.hide()
        self.halves.column.addLayout(form)
        self.halves.column.addWidget(self.measure)
        self.halves.column.addWidget(self.progress)
        self.body.addWidget(self.halves)

    def boxes(self) -> Iterator[QComboBox]:
        """All boxes in which a map is chosen."""
        yield from (self.map_box, self.local_box, self.half1_box, self.half2_box, self.mask_box)


class LevelSection(Section):
    """The density of the surface, in σ above the mean."""

    def __init__(self) -> None:
        super().__init__("Threshold")
        self.slider = QLabeledDoubleSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0.5, _HIGHEST_SIGMA)
        self.slider.setDecimals(2)
        self.slider.setSingleStep(0.05)  # type: ignore[arg-type]  # superqt's, of numbers
        self.slider.setValue(4.0)
        self.slider.setToolTip("Density of the surface: standard deviations (σ) of the map above its mean")
        self.density = hint()
        self.dust = QCheckBox(f"Leave out pieces below {LEAST_PIECE_ANGSTROM:g} Å")
        self.dust.setToolTip("Pieces of noise: the diagonal of their bounding box counts")
        self.dust.setChecked(True)
        for widget in (self.slider, self.density, self.dust):
            self.body.addWidget(widget)


class ColoursSection(Section):
    """Which colours, and between which resolutions they run."""

    def __init__(self) -> None:
        super().__init__("Colours")
        self.colormap = choice_box("Colours from the finest to the coarsest resolution")
        self.colormap.addItems(COLORMAPS)
        self.automatic = QCheckBox("automatic")
        self.automatic.setToolTip("The middle 96 % of the values on the surface")
        self.automatic.setChecked(True)
        self.finest, self.coarsest = QDoubleSpinBox(), QDoubleSpinBox()
        for box, what in ((self.finest, "begin"), (self.coarsest, "end")):
            box.setRange(0.1, 999.0)
            box.setDecimals(1)
            box.setSingleStep(0.5)
            box.setSuffix(" Å")
            box.setToolTip(f"Resolution (Å) at which the colours {what}")
        self.bar = ColourBar()
        ends = QHBoxLayout()
        for widget in (self.finest, self.coarsest, self.automatic):
            ends.addWidget(widget)
        self.body.addLayout(form_of(("Colour map", self.colormap)))
        self.body.addLayout(ends)
        self.body.addWidget(self.bar)

    @property
    def limits(self) -> tuple[float, float]:
        """The resolutions (Å) that are set; never one and the same."""
        low, high = sorted((self.finest.value(), self.coarsest.value()))
        return (low, high) if high > low else (low, low + 0.1)

    def set_limits(self, limits: tuple[float, float]) -> None:
        """Show other resolutions (Å); nothing is emitted."""
        for box, value in zip((self.finest, self.coarsest), limits, strict=True):
            was_blocked = box.blockSignals(True)
            box.setValue(value)
            box.blockSignals(was_blocked)


class _Plain(QWidget):
    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("blushPlain")
        self.column = QVBoxLayout(self)
        self.column.setContentsMargins(0, 0, 0, 0)
