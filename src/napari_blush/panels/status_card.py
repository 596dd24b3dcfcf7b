"""How something stands, in a card: the colour of its state, a title, a sentence and a bar."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFrame, QHBoxLayout, QLabel, QMessageBox, QProgressBar, QVBoxLayout, QWidget

from napari_blush.icons import blush_icon
from napari_blush.panels.cards import hint, restyle

_ICON_PX = 44


class StatusCard(QFrame):
    """What the cards of all docks have in common; what else one has stands below, in its `column`."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("blushStatus")
        self.title = QLabel()
        self.title.setObjectName("blushTitle")
        self.title.setWordWrap(True)
        self.text = hint()
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.picture = QLabel()
        self.picture.hide()
        self.column = QVBoxLayout()
        self.column.setSpacing(6)
        for widget in (self.title, self.text, self.bar):
            self.column.addWidget(widget)
        row = QHBoxLayout(self)
        row.setContentsMargins(10, 8, 10, 8)
        row.setSpacing(10)
        row.addWidget(self.picture)
        row.addLayout(self.column, 1)

    def set_ink(self, ink: str) -> None:
        """Draw the icon, seen while there is nothing else, in the ink of the theme (``#rrggbb``)."""
        self.picture.setPixmap(blush_icon(ink, _ICON_PX).pixmap(_ICON_PX, _ICON_PX))

    def say(self, tone: str, title: str, text: str) -> None:
        """Say how it stands; `tone` is one of those in `style_sheet`."""
        if self.property("tone") != tone:
            self.setProperty("tone", tone)
            restyle(self)
        self.title.setText(title)
        self.text.setText(text)
        self.text.setVisible(bool(text))

    def show_done(self, done: int, total: int | None) -> None:
        """Show how far it has come; a total of 0 is a bar that only moves, None is no bar."""
        self.bar.setVisible(total is not None)
        if total is not None:
            # Qt's bar draws itself and what is behind it at once, and twice: let it wait for the next frame.
            self.bar.setUpdatesEnabled(False)
            self.bar.setRange(0, total)
            self.bar.setValue(done)
            self.bar.setUpdatesEnabled(True)

    def show_details(self, details: str) -> None:
        """Show what a worker said last."""
        box = QMessageBox(self)
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.setWindowTitle("The worker's last words")
        box.setText(self.title.text())
        box.setDetailedText(details or "It said nothing.")
        box.open()
