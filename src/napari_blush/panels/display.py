"""How a result is looked at: before and after, difference, mask, strength; and saved."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QCheckBox, QFormLayout, QGridLayout, QPushButton, QWidget
from superqt import QLabeledDoubleSlider

from napari_blush.panels.cards import Section


class DisplayPanel(Section):
    """Switches and a slider; what they mean is done elsewhere."""

    split_toggled = Signal(bool)
    difference_toggled = Signal(bool)
    mask_toggled = Signal(bool)
    strength_changed = Signal(float)
    save_clicked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("View", parent)
        self.split = QCheckBox("Before | after")
        self.split.setToolTip("Input left and result right of a divider to be dragged; side by side in 3D")
        self.split.setChecked(True)
        self.difference = QCheckBox("Difference")
        self.difference.setToolTip("What denoising changed: denoised − input, in the map's own units")
        self.solvent_mask = QCheckBox("Solvent mask")
        self.solvent_mask.setToolTip("Where the network sees the particle: 0 (solvent) to 1 (particle)")
        self.strength = QLabeledDoubleSlider(Qt.Orientation.Horizontal)
        self.strength.setRange(0, 1)
        self.strength.setDecimals(2)
        self.strength.setSingleStep(0.05)  # type: ignore[arg-type]  # superqt's stub is QSlider's
        self.strength.setValue(1)
        self.strength.setToolTip(
            "How much of the change is applied (0 to 1): input + strength · (denoised − input)"
        )
        self.save = QPushButton("Save…")
        self.save.setToolTip(
            "Save the denoised map (of two halves, both) as MRC, at this strength, with its header"
        )
        grid = QGridLayout()
        grid.addWidget(self.split, 0, 0)
        grid.addWidget(self.difference, 0, 1)
        grid.addWidget(self.solvent_mask, 1, 0)
        grid.addWidget(self.save, 1, 1)
        self.body.addLayout(grid)
        form = QFormLayout()
        form.setContentsMargins(0, 0, 0, 0)
        form.addRow("Strength", self.strength)
        self.body.addLayout(form)
        self.split.toggled.connect(self.split_toggled)
        self.difference.toggled.connect(self.difference_toggled)
        self.solvent_mask.toggled.connect(self.mask_toggled)
        self.strength.valueChanged.connect(self.strength_changed)
        self.save.clicked.connect(self.save_clicked)

    def enable(self, *, preview: bool, result: bool) -> None:
        """Offer what there is something to see of."""
        self.split.setEnabled(preview or result)
        for control in (self.difference, self.solvent_mask, self.strength, self.save):
            control.setEnabled(result)
