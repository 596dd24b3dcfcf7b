"""Which class of a classification is looked at: one, or all of them beside each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QHBoxLayout, QLabel, QWidget

from napari_blush.panels.boxes import choice_box, fill

_ALL = 0
"""What stands for all classes, which count from 1."""


class ClassChoice(QWidget):
    """A box with the classes, each with its share of the images and its resolution, and *All classes*."""

    chosen = Signal(object)
    """The number of a class, from 1, or None: all of them."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.box = choice_box(
            "Class whose map is shown, with its share of the images and its resolution (SSNR 1)"
        )
        self._entries: list[tuple[str, int]] = []
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(6)
        row.addWidget(QLabel("Class"))
        row.addWidget(self.box, 1)
        self.box.currentIndexChanged.connect(lambda _: self.chosen.emit(self.number))
        self.hide()

    @property
    def number(self) -> int | None:
        """The class that is looked at; None: all of them."""
        return self.box.currentData() or None

    def set_classes(self, classes: Sequence[int], figures: Mapping[str, Any], chosen: int | None) -> None:
        """Offer classes, from 1, with the figures of an iteration; without classes, nothing is seen."""
        self.setVisible(bool(classes))
        entries = [(words_of_class(number, figures), number) for number in classes]
        if len(classes) > 1:
            entries.append((f"All {len(classes)}, side by side", _ALL))
        if entries != self._entries or chosen != self.number:
            self._entries = entries
            fill(self.box, entries, None)
            was_blocked = self.box.blockSignals(True)
            self.box.setCurrentIndex(max(0, self.box.findData(chosen or _ALL)))
            self.box.blockSignals(was_blocked)


def words_of_class(number: int, figures: Mapping[str, Any]) -> str:
    """Return a class with its share of the images and its resolution, as far as they are known."""
    words = [f"Class {number}"]
    for name, text, factor in (
        ("class_distribution", "{:.0f} %", 100.0),
        ("class_resolution_angstrom", "{:.1f} Å", 1.0),
    ):
        values = figures.get(name) or ()
        if number <= len(values) and values[number - 1] is not None:
            words.append(text.format(values[number - 1] * factor))
    if number in (figures.get("empty_classes") or ()):
        words = [f"Class {number}", "empty"]
    return " · ".join(words)
