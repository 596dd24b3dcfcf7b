"""What is said, in a line, of something that was asked for and takes a while."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from qtpy.QtWidgets import QLabel, QWidget

from napari_blush.panels.cards import restyle

_STYLES = {"busy": "blushHint", "good": "blushHint", "warn": "blushWarning", "bad": "blushError"}
_MAY_BREAK = "\u200b"
"""After the slash of a path: a long one must not widen the dock."""


@dataclass(frozen=True)
class Note:
    """A sentence, and the file that it is about.

    Attributes
    ----------
    tone
        busy while it is under way, then good, warn or bad.
    text
        The sentence; nothing where there is nothing to be said.
    path
        The file, which its tooltip names.
    """

    tone: Literal["busy", "good", "warn", "bad"] = "good"
    text: str = ""
    path: Path | None = None

    @property
    def is_busy(self) -> bool:
        """Whether it is still under way."""
        return self.tone == "busy"


class NoteLine(QLabel):
    """Shows a note, in the colour of its tone; hidden where there is nothing to be said."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.note = Note()
        self.setObjectName("blushHint")
        self.setWordWrap(True)
        self.hide()

    def show_note(self, note: Note) -> None:
        """Show a note in place of the one before."""
        self.note = note
        self.setText(note.text.replace("/", f"/{_MAY_BREAK}"))
        self.setToolTip("" if note.path is None else str(note.path))
        if self.objectName() != _STYLES[note.tone]:
            self.setObjectName(_STYLES[note.tone])
            restyle(self)
        self.setVisible(bool(note.text))
