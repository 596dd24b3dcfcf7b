"""Weights and device in a parameter form: what there is, and what it takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QFileDialog, QLabel

from blushcore.interactive.messages import Described, DeviceFacts
from napari_blush.panels.cards import restyle
from napari_blush.parameter_form import ParameterForm

FROM_FILE = "a file …"
_GIB = 2**30


class NetworkChoice(QObject):
    """Fills a form's `weights` and `device` with what the worker knows, and asks for weights from a file.

    Parameters
    ----------
    form
        A form with a field `device`, and perhaps `weights`.
    """

    changed = Signal()
    """The form changed, and no file is being asked for: take this in place of the form's own signal."""

    def __init__(self, form: ParameterForm) -> None:
        super().__init__(form)
        self._form = form
        self._last: Any = None
        form.changed.connect(self._on_form)

    def offer(self, facts: Described) -> None:
        """Offer the weights and devices that there are; what is chosen stays."""
        if "weights" in self._form.values():
            default = facts.default_weights
            weights: list[tuple[str, Any]] = [(f"{Path(default).stem} (default)", None)]
            weights += [(known.name, known.name) for known in facts.weights if known.name != default]
            self._form.set_choices("weights", [*weights, (FROM_FILE, FROM_FILE)])
        devices: list[tuple[str, Any]] = [(f"automatic: {facts.devices[0].device}", "auto")]
        devices += [(f"{device.device}: {device.name}", device.device) for device in facts.devices]
        self._form.set_choices("device", devices)

    def _on_form(self) -> None:
        weights = self._form.values().get("weights")
        if weights == FROM_FILE:
            name, _ = QFileDialog.getOpenFileName(self._form, "Network weights", "", "Weights (*.safetensors)")
            if name:
                self._form.name_choice("weights", Path(name).name, name)
            self._form.set_values({"weights": name or self._last})  # comes here again
            return
        self._last = weights
        self.changed.emit()


def chosen_device(facts: Described, wanted: str) -> DeviceFacts:
    """Return the device that is meant: by name, or the one that ``auto`` takes."""
    return next((one for one in facts.devices if one.device == wanted), facts.devices[0])


class MemoryLabel(QLabel):
    """Names a device, with the memory that the map takes at most beside what is free (GiB)."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("blushHint")
        self.setWordWrap(True)
        self.setToolTip("Predicted peak of memory for this map beside what is free on the device (GiB)")
        self.hide()

    def show_device(self, device: DeviceFacts) -> None:
        """Show a device; in the colour of warnings where the memory will not do, or there is a note."""
        words = f"{device.name}: {device.free / _GIB:.1f} GiB free"
        is_tight = False
        if device.predicted_peak is not None:
            peak = device.predicted_peak / _GIB
            words = f"{device.name}: needs up to {peak:.1f} GiB, {device.free / _GIB:.1f} GiB free"
            is_tight = device.predicted_peak > device.free
        self.setText(f"{words}\n{device.note}" if device.note else words)
        self.setObjectName("blushWarning" if is_tight or device.note else "blushHint")
        restyle(self)
        self.show()
