"""Buttons side by side, of which one is pressed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QButtonGroup, QHBoxLayout, QPushButton, QSizePolicy, QWidget

Name = TypeVar("Name", bound=str)


class Segments(QWidget):
    """A choice of one among a few.

    Parameters
    ----------
    choices
        What each is called by the program, its words on the button, and its tooltip.
    """

    chosen = Signal(str)
    """A click on one, by its name."""

    def __init__(self, choices: Mapping[Name, tuple[str, str]]) -> None:
        super().__init__()
        self.setObjectName("blushPlain")
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.buttons: dict[str, QPushButton] = {}
        self._group = QButtonGroup(self)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(2)
        for name, (words, tooltip) in choices.items():
            button = QPushButton(words)
            button.setObjectName("blushSegment")
            button.setCheckable(True)
            button.setToolTip(tooltip)
            button.clicked.connect(lambda _=False, name=name: self.chosen.emit(name))
            self._group.addButton(button)
            self.buttons[name] = button
            row.addWidget(button, 1)

    @property
    def pressed(self) -> str:
        """The one that is pressed."""
        return next(name for name, button in self.buttons.items() if button.isChecked())

    def press(self, name: str) -> None:
        """Press one, without a click."""
        self.buttons[name].setChecked(True)
