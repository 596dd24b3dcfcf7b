"""Where things stand, in a card: one look for each state, and what can be done about it."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QMessageBox,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_blush.icons import blush_icon
from napari_blush.panels.cards import hint, restyle
from napari_blush.refine.states import State, Words

_ICON_PX = 44
_FACTS = "Run directory, device, and how long ago the worker's heartbeat was seen to advance"

_BUTTONS = {
    "open": ("Open…", "Choose a STAR file of particles (RELION 3.0 to 5)"),
    "demo": (
        "Demo particles",
        "Take the built-in particle set: 400 images of 64 pixels of 2.25 Å, made on first use",
    ),
    "attach": ("Watch a run…", "Choose a run directory, running or finished, and watch it"),
    "pause": ("Pause", "Hold still within a second or so, and keep the memory"),
    "go_on": ("Continue", "Go on after the pause"),
    "stop_after": ("Stop after iteration", "Stop once the iteration under way is done; it can be resumed"),
    "stop_now": ("Stop now", "Stop at once; the iteration under way is lost, the run can be resumed"),
    "resume": ("Resume", "Start a new worker, which goes on after the last iteration that was done"),
    "again": ("Try again", "Start the process that looks at the inputs anew"),
    "details": ("Details…", "What the worker said last, and the traceback of an unexpected error"),
    "set_up": ("New run", "Leave this run as it is, and set up another"),
}
"""What can be done: the button's words and its tooltip."""

_OFFERED: dict[State, tuple[str, ...]] = {
    State.EMPTY: ("open", "demo", "attach"),
    State.ASKING: ("attach",),
    State.BROKEN: ("again", "details"),
    State.WAITING: ("resume", "set_up"),
    State.RUNNING: ("pause", "stop_after", "stop_now"),
    State.PAUSED: ("go_on", "stop_now"),
    State.STOPPING: ("stop_now",),
    State.SILENT: ("stop_now", "set_up"),
    State.FINISHED: ("set_up",),
    State.STOPPED: ("resume", "set_up"),
    State.FAILED: ("resume", "details", "set_up"),
    State.DEAD: ("resume", "details", "set_up"),
    State.UNREACHABLE: ("set_up",),
}
_PRIMARY = {State.EMPTY: "demo", State.PAUSED: "go_on", State.DEAD: "resume", State.STOPPED: "resume"}


class RunCard(QFrame):
    """Says in which state the set-up or the run is, how far it has come, and offers what can be done."""

    clicked = Signal(str)
    """The name of the button, as in the table of this module."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("blushStatus")
        self.state = State.EMPTY
        self.title = QLabel()
        self.title.setObjectName("blushTitle")
        self.title.setWordWrap(True)
        self.text = hint()
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.facts = hint()
        self.buttons: dict[str, QPushButton] = {}
        rows = [QHBoxLayout(), QHBoxLayout()]
        for name, (words, tooltip) in _BUTTONS.items():
            button = QPushButton(words)
            button.setToolTip(tooltip)
            button.clicked.connect(lambda _=False, name=name: self.clicked.emit(name))
            self.buttons[name] = button
            rows[name in ("details", "set_up")].addWidget(button)
        for row in rows:
            row.setSpacing(6)
            row.addStretch(1)
        self.picture = QLabel()
        column = QVBoxLayout()
        column.setSpacing(6)
        for widget in (self.title, self.text, self.bar, self.facts):
            column.addWidget(widget)
        for row in rows:
            column.addLayout(row)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(10, 8, 10, 8)
        layout.setSpacing(10)
        layout.addWidget(self.picture)
        layout.addLayout(column, 1)

    def set_ink(self, ink: str) -> None:
        """Draw the icon, seen while there are no particles, in the ink of the theme (``#rrggbb``)."""
        self.picture.setPixmap(blush_icon(ink, _ICON_PX).pixmap(_ICON_PX, _ICON_PX))

    def show_state(self, state: State, words: Words) -> None:
        """Take the look of a state."""
        self.state = state
        if self.property("tone") != words.tone:
            self.setProperty("tone", words.tone)
            restyle(self)
        self.title.setText(words.title)
        self.text.setText(words.text)
        self.text.setVisible(bool(words.text))
        self.picture.setVisible(state is State.EMPTY)
        offered = _OFFERED.get(state, ())
        for name, button in self.buttons.items():
            button.setVisible(name in offered)
            wanted = "blushPrimary" if _PRIMARY.get(state) == name else "blushPlainButton"
            if button.objectName() != wanted:
                button.setObjectName(wanted)
                restyle(button)
            button.setEnabled(True)
        self.bar.setVisible(words.total is not None)
        if words.total is not None:
            self.bar.setRange(0, words.total)
            self.bar.setValue(words.done)

    def show_facts(self, sentence: str, directory: Path | None = None) -> None:
        """Say where the run lies, on what it runs and whether its heart beats; nothing hides the line."""
        self.facts.setText(sentence)
        self.facts.setToolTip(_FACTS if directory is None else f"{directory}\n{_FACTS}")
        self.facts.setVisible(bool(sentence))

    def show_details(self, text: str) -> None:
        """Show what a worker said last."""
        box = QMessageBox(self)
        box.setWindowTitle("The worker's last words")
        box.setText(self.title.text())
        box.setDetailedText(text or "It said nothing.")
        box.open()
