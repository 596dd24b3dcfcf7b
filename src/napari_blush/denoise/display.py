"""How a result is looked at: before and after, difference, mask, strength; and saved."""

from __future__ import annotations

from typing import Literal, TypeAlias

from qtpy.QtCore import Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QPushButton, QWidget
from superqt import QLabeledDoubleSlider

from napari_blush.panels.cards import Section, form_of
from napari_blush.panels.segments import Segments

Mode: TypeAlias = Literal["split", "result", "difference"]
_MODES: dict[Mode, tuple[str, str]] = {
    "split": ("Before | after", "Input left and result right of a divider to be dragged; side by side in 3D"),
    "result": ("After", "The denoised map alone"),
    "difference": ("Difference", "What denoising changed: denoised − input, in the map's own units"),
}


class DisplayPanel(Section):
    """Switches and a slider; what they mean is done elsewhere."""

    mode_chosen = Signal(str)
    mask_toggled = Signal(bool)
    strength_changed = Signal(float)
    save_clicked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("View", parent)
        self._segments = Segments(_MODES)
        self._segments.press("split")
        self.modes = self._segments.buttons
        self.body.addWidget(self._segments)
        self.strength = QLabeledDoubleSlider(Qt.Orientation.Horizontal)
        self.strength.setRange(0, 1)
        self.strength.setDecimals(2)
        self.strength.setSingleStep(0.05)  # type: ignore[arg-type]  # superqt's stub is QSlider's
        self.strength.setValue(1)
        self.strength.setToolTip(
            "How much of the change is applied (0 to 1): input + strength · (denoised − input)"
        )
        self.body.addLayout(form_of(("Strength", self.strength)))
        self.solvent_mask = QCheckBox("Solvent mask")
        self.solvent_mask.setToolTip(
            "Where the network sees the particle: 0 (solvent) to 1 (particle), over the map"
        )
        self.save = QPushButton("Save…")
        self.save.setToolTip(
            "Save the denoised map (of two halves, both) as MRC, at this strength, with its header"
        )
        row = QHBoxLayout()
        row.addWidget(self.solvent_mask, 1)
        row.addWidget(self.save)
        self.body.addLayout(row)
        self._segments.chosen.connect(self.mode_chosen)
        self.solvent_mask.toggled.connect(self.mask_toggled)
        self.strength.valueChanged.connect(self.strength_changed)
        self.save.clicked.connect(self.save_clicked)

    def set_mode(self, mode: Mode) -> None:
        """Mark a mode as chosen, as if by a click."""
        self.mark(mode)
        self.mode_chosen.emit(mode)

    def mark(self, mode: Mode) -> None:
        """Mark a mode as the one that is shown."""
        self._segments.press(mode)

    def enable(self, *, preview: bool, result: bool) -> None:
        """Offer what there is something to see of."""
        for mode, button in self.modes.items():
            button.setEnabled(result or (preview and mode != "difference"))
        for control in (self.solvent_mask, self.strength, self.save):
            control.setEnabled(result)
