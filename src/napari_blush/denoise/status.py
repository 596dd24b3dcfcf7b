"""Where things stand, in a card: one look for each state."""

from __future__ import annotations

from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QWidget

from napari_blush.denoise.states import Failure, Picture, ProgressOfAll, State
from napari_blush.panels.status_card import StatusCard
from napari_blush.panels.words import duration


class SessionCard(StatusCard):
    """Says in which state a session is, how far it has come, and offers what can be done about it."""

    cancel_clicked = Signal()
    restart_clicked = Signal()
    open_clicked = Signal()
    sample_clicked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._details = ""
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.setToolTip("Stop at once; the blocks that are done are kept")
        self.restart_button = QPushButton("Restart worker")
        self.restart_button.setObjectName("blushDanger")
        self.restart_button.setToolTip("Start the computing process again and load the map into it")
        self.details_button = QPushButton("Details…")
        self.details_button.setToolTip("What the computing process said last")
        self.open_button = QPushButton("Open map…")
        self.open_button.setToolTip("Choose a map file: .mrc, .map, .ccp4, also compressed")
        self.sample_button = QPushButton("Demo half-maps")
        self.sample_button.setToolTip(
            "Open the simulated half-maps that come with the plugin (96³ voxels of 1.5 Å)"
        )
        self._buttons = {
            self.cancel_button: self.cancel_clicked,
            self.restart_button: self.restart_clicked,
            self.open_button: self.open_clicked,
            self.sample_button: self.sample_clicked,
        }
        row = QHBoxLayout()
        row.setSpacing(6)
        for button in (*self._buttons, self.details_button):
            row.addWidget(button)
        row.addStretch(1)
        self.column.addLayout(row)
        for button, signal in self._buttons.items():
            button.clicked.connect(signal)
        self.details_button.clicked.connect(lambda: self.show_details(self._details))
        self.show_state(State.EMPTY)

    def show_state(self, state: State, *, failure: Failure | None = None, text: str = "") -> None:
        """Take the look of a state.

        Parameters
        ----------
        state
            Which.
        failure
            For `State.FAILED`: what went wrong.
        text
            What else there is to say, in place of the state's own words.
        """
        tone, title, words = _LOOKS[state]
        offered: tuple[QPushButton, ...] = ()
        self._details = ""
        match state:
            case State.EMPTY:
                offered = (self.open_button, self.sample_button)
            case State.RUNNING:
                offered = (self.cancel_button,)
            case State.FAILED if failure is not None:
                title, words, self._details = failure.problem, failure.remedy, failure.details
                offered = (self.restart_button,) if failure.crashed else ()
        self._show(tone, title, text or words, offered)
        self.picture.setVisible(state is State.EMPTY)
        self.show_done(0, 0 if state in _BUSY else None)

    def ask(self, title: str, text: str) -> None:
        """Ask for something without which it cannot go on."""
        self._details = ""
        self._show("ask", title, text, ())
        self.picture.hide()
        self.show_done(0, None)

    def _show(self, tone: str, title: str, text: str, offered: tuple[QPushButton, ...]) -> None:
        self.say(tone, title, text)
        for button in self._buttons:
            button.setVisible(button in offered)
        self.details_button.setVisible(bool(self._details))

    def show_progress(self, progress: ProgressOfAll, preview: bool) -> None:
        """Show how far the work has come."""
        if not progress.total:
            return
        self.show_done(progress.done, progress.total)
        if preview:
            return
        words = f"{progress.done} of {progress.total} blocks"
        if progress.eta_seconds is not None:
            words += f" · {duration(progress.eta_seconds)} left"
        self.text.setText(words)
        self.text.show()

    def show_picture(self, picture: Picture) -> None:
        """Say what the slice in view is worth."""
        if not picture.approximate:
            self.title.setText("Preview · this slice is final")
            self.text.setText("It equals the full result. Move the slider, or denoise the whole map.")
        elif picture.blocks_done < picture.blocks_total:
            self.title.setText("Preview · approximate")
            self.text.setText(
                f"{picture.blocks_done} of {picture.blocks_total} blocks of this slice are exact."
            )
        else:
            self.title.setText("Preview · nearly final")
            self.text.setText("All its blocks are done; resampling to this voxel size waits for the whole map.")
        is_whole = picture.blocks_done >= picture.blocks_total
        self.show_done(picture.blocks_done, None if is_whole else picture.blocks_total)


_LOOKS = {
    State.EMPTY: ("idle", "No map yet", "Drop a map here, open one, or try the demo."),
    State.LOADING: ("busy", "Reading the map", "The computing process takes it into memory."),
    State.READY: ("idle", "Ready", "Preview what is in view, or denoise the whole map."),
    State.PREVIEWING: ("busy", "Preview", "Denoising the slice in view."),
    State.RUNNING: ("busy", "Denoising", "Preparing the map."),
    State.CANCELLED: ("idle", "Cancelled", "The blocks that are done are kept: Denoise goes on from there."),
    State.FAILED: ("bad", "Failed", ""),
    State.DONE: ("good", "Done", ""),
}
"""Tone, title and text of each state."""
_BUSY = (State.LOADING, State.PREVIEWING, State.RUNNING)
