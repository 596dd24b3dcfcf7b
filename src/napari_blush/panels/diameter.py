"""The particle's diameter: a number in a form and a circle on a map that are one, and its estimate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_blush.layers.diameter import DiameterCircle
from napari_blush.layers.units import voxel_size_of
from napari_blush.panels.cards import hint, restyle
from napari_blush.parameter_form import ParameterForm

if TYPE_CHECKING:
    from napari.layers import Image
    from napari.viewer import Viewer

_FIELD = "diameter"
_FEW_VOXELS = 8
_NOTHING_STANDS_OUT = "No particle stands out at 15 Å. Give its diameter where you know it."


class DiameterPanel(QWidget):
    """The row under a form's diameter (Å): *Show circle*, *Estimate*, and a remark where the number is odd.

    Parameters
    ----------
    viewer
        On whose canvas the circle is drawn.
    form
        A form with a field `diameter`; a field that is None or 0 shows no circle.
    """

    estimate_clicked = Signal()

    def __init__(self, viewer: Viewer, form: ParameterForm) -> None:
        super().__init__()
        self.setObjectName("blushPlain")
        self._viewer, self._form = viewer, form
        self._layer: Image | None = None
        self._known = self.diameter
        self._estimating = False
        self.circle: DiameterCircle | None = None
        self.is_users = False
        """Whether the number is somebody's choice: no estimate takes its place unasked."""
        self.circle_box = QCheckBox("Show circle")
        self.circle_box.setChecked(True)
        self.circle_box.setToolTip("Draw the particle's sphere (Å) on the map; drag the circle to change it")
        self.estimate_button = QPushButton("Estimate")
        self.estimate_button.setToolTip(
            "Diameter (Å) of the sphere about the box's centre that holds what stands out at 15 Å, and 5 Å more"
        )
        self.remark = hint()
        self.remark.hide()
        row = QHBoxLayout()
        row.addWidget(self.circle_box, 1)
        row.addWidget(self.estimate_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.remark)
        column.addLayout(row)
        self.circle_box.toggled.connect(self._on_toggled)
        self.estimate_button.clicked.connect(self.estimate_clicked)
        form.changed.connect(self._on_form)

    @property
    def diameter(self) -> float:
        """Å; 0 where there is none."""
        return float(self._form.values()[_FIELD] or 0.0)

    def follow(self, layer: Image | None) -> None:
        """Draw the circle on a map, or on none; the number stays."""
        self.end()
        self._layer = layer
        if layer is not None:
            self.circle = DiameterCircle(self._viewer, layer, self.diameter)
            self.circle.visible = self.circle_box.isChecked()
            self.circle.diameter_changed.connect(self._on_circle)
        self._remark()

    def take_estimate(self, diameter: float | None) -> None:
        """Show an estimate (Å); None if there was nothing to go by."""
        self._estimating = True
        try:
            self._form.set_values({_FIELD: diameter})
        finally:
            self._estimating = False
        self.is_users = False
        if diameter is None:
            self._say(_NOTHING_STANDS_OUT)

    def end(self) -> None:
        """Take the circle off the canvas. Again, nothing happens."""
        circle, self.circle = self.circle, None
        if circle is not None:
            circle.diameter_changed.disconnect(self._on_circle)
            circle.close()

    def _on_form(self) -> None:
        diameter = self.diameter
        if diameter == self._known:
            return
        self._known = diameter
        self.is_users = not self._estimating
        if self.circle is not None:
            self.circle.diameter = diameter
        self._remark()

    def _on_circle(self, diameter: float) -> None:
        value = round(diameter, 1)
        if value != self.diameter:
            self._form.set_values({_FIELD: value or None})

    def _on_toggled(self, on: bool) -> None:
        if self.circle is not None:
            self.circle.visible = on

    def _remark(self) -> None:
        """Say where a number can hardly be meant."""
        size = None if self._layer is None else voxel_size_of(self._layer)
        diameter = self.diameter
        if self._layer is None or size is None or not diameter:
            self._say("")
            return
        sides = [n * edge for n, edge in zip(self._layer.data.shape, size, strict=True)]
        if diameter > max(sides):
            self._say(f"Larger than the box ({max(sides):.0f} Å).", warn=True)
        elif diameter < _FEW_VOXELS * min(size):
            self._say(f"Only {diameter / min(size):.1f} voxels across: outside it all is flat.", warn=True)
        else:
            self._say("")

    def _say(self, sentence: str, *, warn: bool = False) -> None:
        self.remark.setText(sentence)
        self.remark.setVisible(bool(sentence))
        self.remark.setObjectName("blushWarning" if warn else "blushHint")
        restyle(self.remark)
