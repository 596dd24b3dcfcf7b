"""Boxes to choose layers and files from."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QStyle, QStyleOptionComboBox, QStylePainter

from napari_blush.layers.view import unwrapped

_AROUND_TEXT_PX = 4
_LEAST_CHARACTERS = 10
"""Long names do not widen the dock: they are cut, and whole in their tooltip."""


def choice_box(tooltip: str) -> QComboBox:
    """Return an empty box whose width does not follow what is in it."""
    box = _ChoiceBox()
    box.setToolTip(tooltip)
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    box.setMinimumContentsLength(_LEAST_CHARACTERS)
    return box


class _ChoiceBox(QComboBox):
    """A box that leaves letters out of the middle of a long name: half-maps differ at the end of theirs."""

    def __init__(self) -> None:
        super().__init__()
        view = self.view()
        assert view is not None  # a box has a list
        view.setTextElideMode(Qt.TextElideMode.ElideMiddle)

    def paintEvent(self, event: Any) -> None:  # noqa: N802
        """Draw the box as its style does, but for the name."""
        option = QStyleOptionComboBox()
        self.initStyleOption(option)
        painter, style = QStylePainter(self), self.style()
        assert style is not None  # there is always the application's
        complex_control, part = QStyle.ComplexControl.CC_ComboBox, QStyle.SubControl.SC_ComboBoxEditField
        painter.drawComplexControl(complex_control, option)
        room = style.subControlRect(complex_control, option, part, self).width() - _AROUND_TEXT_PX
        words = self.fontMetrics().elidedText(option.currentText, Qt.TextElideMode.ElideMiddle, room)
        option.currentText = words
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)


def fill(box: QComboBox, entries: Iterable[tuple[str, Any]], chosen: Any) -> bool:
    """Offer other entries; nothing is emitted.

    Parameters
    ----------
    box
        The box.
    entries
        What each is called, and what it stands for: a layer, a path, None.
    chosen
        What to choose; where it is not among them, the first.

    Returns
    -------
    Whether `chosen` is among them.
    """
    was_blocked = box.blockSignals(True)
    box.clear()
    for label, data in entries:
        box.addItem(label, data)
        words = str(data) if isinstance(data, Path) else label
        box.setItemData(box.count() - 1, words, Qt.ItemDataRole.ToolTipRole)
    index = index_of(box, chosen)
    box.setCurrentIndex(max(0, index) if box.count() else -1)
    box.blockSignals(was_blocked)
    return index >= 0


def index_of(box: QComboBox, chosen: Any) -> int:
    """Return where something stands in a box, -1 if nowhere: by identity, since Qt compares data by value."""
    chosen = unwrapped(chosen)
    for index in range(box.count()):
        data = box.itemData(index)
        if data is chosen or (isinstance(data, Path) and data == chosen):
            return index
    return -1
