"""Where things stand, in a card: one look for each state, and what can be done about it."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QWidget

from napari_blush.panels.cards import hint, restyle
from napari_blush.panels.status_card import StatusCard
from napari_blush.refine.notes import Note, NoteLine
from napari_blush.refine.states import State, Words

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
    "report": (
        "Report…",
        "Write a report of the run as it stands: one HTML file with its curves, slices, figures and parameters",
    ),
    "set_up": ("New run", "Leave this run as it is, and set up another"),
    "other": ("Other run…", "Choose another run directory, running or finished, and watch it in place of this"),
}
"""What can be done: the button's words and its tooltip."""

_LEAVE = ("set_up", "other")
"""Offered with every run, whatever it does: it goes on without being watched."""
_ALWAYS = ("report", *_LEAVE)
"""Likewise, where there is something to be read."""
_BELOW = ("details", *_ALWAYS)
"""What stands in the second row."""
_OFFERED: dict[State, tuple[str, ...]] = {
    State.EMPTY: ("open", "demo", "attach"),
    State.ASKING: ("attach",),
    State.CHECKING: ("attach",),
    State.WRONG: ("attach",),
    State.READY: ("attach",),
    State.BROKEN: ("again", "details", "attach"),
    State.LOOKING: _LEAVE,
    State.WAITING: ("resume", *_ALWAYS),
    State.RUNNING: ("pause", "stop_after", "stop_now", *_ALWAYS),
    State.PAUSED: ("go_on", "stop_now", *_ALWAYS),
    State.STOPPING: ("stop_now", *_ALWAYS),
    State.SILENT: ("stop_now", *_ALWAYS),
    State.FINISHED: _ALWAYS,
    State.STOPPED: ("resume", *_ALWAYS),
    State.FAILED: ("resume", "details", *_ALWAYS),
    State.DEAD: ("resume", "details", *_ALWAYS),
    State.UNREACHABLE: _LEAVE,
}
_PRIMARY = {State.EMPTY: "demo", State.PAUSED: "go_on", State.DEAD: "resume", State.STOPPED: "resume"}


class RunCard(StatusCard):
    """Says in which state the set-up or the run is, how far it has come, and offers what can be done."""

    clicked = Signal(str)
    """The name of the button, as in the table of this module."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.state = State.EMPTY
        self.facts = hint()
        self.buttons: dict[str, QPushButton] = {}
        rows = [QHBoxLayout(), QHBoxLayout()]
        for name, (words, tooltip) in _BUTTONS.items():
            button = QPushButton(words)
            button.setToolTip(tooltip)
            button.clicked.connect(lambda _=False, name=name: self.clicked.emit(name))
            self.buttons[name] = button
            rows[name in _BELOW].addWidget(button)
        self.report = NoteLine()
        self.column.addWidget(self.facts)
        self.column.addWidget(self.report)
        for row in rows:
            row.setSpacing(6)
            row.addStretch(1)
            self.column.addLayout(row)

    def show_state(self, state: State, words: Words) -> None:
        """Take the look of a state."""
        self.state = state
        self.say(words.tone, words.title, words.text)
        self.show_done(words.done, words.total)
        self.picture.setVisible(state is State.EMPTY)
        offered = _OFFERED.get(state, ())
        for name, button in self.buttons.items():
            button.setVisible(name in offered)
            wanted = "blushPrimary" if _PRIMARY.get(state) == name else "blushPlainButton"
            if button.objectName() != wanted:
                button.setObjectName(wanted)
                restyle(button)
            button.setEnabled(True)

    def show_facts(self, sentence: str, directory: Path | None = None) -> None:
        """Say where the run lies, on what it runs and whether its heart beats; nothing hides the line."""
        self.facts.setText(sentence)
        self.facts.setToolTip(_FACTS if directory is None else f"{directory}\n{_FACTS}")
        self.facts.setVisible(bool(sentence))

    def show_report(self, note: Note) -> None:
        """Say how the report of the run stands; one is written at a time."""
        self.report.show_note(note)
        self.buttons["report"].setEnabled(not note.is_busy)
