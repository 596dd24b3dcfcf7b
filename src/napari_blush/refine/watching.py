"""The run that is watched: how it stands, and how it is steered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QVBoxLayout

from blushcore.protocol import BlushError
from napari_blush.background import Background
from napari_blush.commands import Commands
from napari_blush.live import LiveView
from napari_blush.refine import places, runs
from napari_blush.refine.card import RunCard
from napari_blush.refine.heart import Heart
from napari_blush.refine.reports import Reports
from napari_blush.refine.states import State, state_of, words_of_run
from napari_blush.refine.taking import Taking
from napari_blush.training.view import is_training

if TYPE_CHECKING:
    from napari.viewer import Viewer


class Watching(QObject):
    """Watches one run at a time in a column of the dock, shows its state in the card, and sends its commands.

    Parameters
    ----------
    viewer
        Where its maps are shown.
    card
        Where its state is shown.
    column
        Where its view is put.
    background
        For what takes long.
    commands
        For what takes a process of its own.
    say, say_error
        How the user is told something.
    """

    attached = Signal()
    """Another run is watched."""
    refinement_wanted = Signal(object)
    """`RefineParameters` for particles of classes of the run that is watched."""

    def __init__(
        self,
        viewer: Viewer,
        card: RunCard,
        column: QVBoxLayout,
        background: Background,
        commands: Commands,
        say: Callable[[str], None],
        say_error: Callable[[Exception], None],
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._viewer, self._card, self._column, self._background = viewer, card, column, background
        self._say, self._say_error = say, say_error
        self._commands = commands
        self.reports = Reports(commands, self)
        self.reports.changed.connect(self._on_report)
        self.view: LiveView | None = None
        self.taking: Taking | None = None
        self.state = State.EMPTY
        self._heart: Heart | None = None
        self._stopping = self._starting = False

    def attach(self, directory: Path) -> None:
        """Watch a run in place of the one that is watched.

        Raises
        ------
        BlushError
            If it is no run directory, or that of a training.
        """
        if is_training(directory):
            raise BlushError(f"{directory} holds a training.", "Watch it in the dock Fine-tune weights.")
        view = LiveView(self._viewer, directory)
        self.detach()
        self.view = view
        self._column.addWidget(view)
        view.become_part_of_a_dock()
        self.taking = Taking(view, self._commands, self._say, self._say_error, self)
        self.taking.refinement_wanted.connect(self.refinement_wanted)
        self._heart = Heart(directory, self._background, self)
        self._heart.looked.connect(self._on_look)
        view.run.looked.connect(self._on_look)
        view.run.life_changed.connect(self._on_life)
        view.run.record.connect(self._on_record)
        self._stopping = self._starting = False
        places.remember_run(directory)
        self.attached.emit()
        self._on_look()

    def detach(self) -> None:
        """Watch no run; the one that was watched goes on. Again, nothing happens."""
        view, self.view = self.view, None
        heart, self._heart = self._heart, None
        taking, self.taking = self.taking, None
        if taking is not None:
            taking.close()
            taking.deleteLater()
        if heart is not None:
            heart.stop()
            heart.deleteLater()
        if view is not None:
            view.close_run()
            self._column.removeWidget(view)
            view.hide()  # what Qt deletes later it draws until then, over the view of the next run
            view.deleteLater()

    def act(self, name: str) -> None:
        """Do what a button of the card says."""
        actions: dict[str, Callable[[], None]] = {
            "pause": lambda: self._send("pause"),
            "go_on": lambda: self._send("resume"),
            "stop_after": lambda: self._stop("stop_after_iteration"),
            "stop_now": self._stop_now,
            "resume": self.resume,
            "details": self._show_details,
            "report": self._report,
        }
        if name in actions and self.view is not None:
            actions[name]()

    def resume(self) -> None:
        """Start a worker that goes on with the run."""
        assert self.view is not None
        directory = self.view.run.directory
        self._starting = True
        if self._heart is not None:
            self._heart.forget()  # the old worker's
        self._on_look()

        def done(_: Any) -> None:
            self._starting = False
            self._on_look()

        def failed(error: Exception) -> None:
            done(None)
            self._say_error(error)

        self._background.run(lambda: runs.start_worker(directory), done, failed)

    def _send(self, action: str) -> None:
        assert self.view is not None
        for button in self._card.buttons.values():
            button.setEnabled(False)
        try:
            self.view.run.send(action)
        except BlushError as error:
            self._say_error(error)
            self._on_look()

    def _stop(self, action: str) -> None:
        self._stopping = True
        self._send(action)
        self._on_look()

    def _stop_now(self) -> None:
        assert self.view is not None
        if self.state is not State.SILENT:
            self._stop("stop_now")
            return
        directory = self.view.run.directory

        def told(was_there: bool) -> None:
            if not was_there:
                self._say("Its worker is on another machine, or gone already.")

        self._background.run(lambda: runs.end_worker(directory), told, self._say_error)

    def _show_details(self) -> None:
        assert self.view is not None
        directory = self.view.run.directory
        self._background.run(lambda: runs.last_words(directory), self._card.show_details, self._say_error)

    def _report(self) -> None:
        assert self.view is not None
        self.reports.ask(self.view.run.directory, self._card)

    def _on_report(self, directory: Path) -> None:
        """Say how a report stands: in the card, or, where another run is watched by now, in a notice."""
        note = self.reports.note(directory)
        if self.view is not None and self.view.run.directory == directory:
            self._card.show_report(note)
        elif note.tone == "bad":
            self._say_error(BlushError(f"{directory.name}: {note.text}"))
        elif not note.is_busy:
            self._say(f"{directory.name}: {note.text}")

    def _on_life(self, life: str) -> None:
        if life != "waiting":
            self._starting = False
        if life not in ("running", "silent"):
            self._stopping = False
        self._on_look()

    def _on_record(self, record: Any) -> None:
        event = record.event
        if event.kind == "acknowledged" and not event.accepted:
            if event.action.startswith("stop"):
                self._stopping = False
            self._say(f"The run did not take the command: {event.text}.")

    def _on_look(self) -> None:
        if self.view is None:
            return
        status = self.view.run.summary
        if self._starting:
            self.state = State.STARTING
        else:
            self.state = state_of(status, self._stopping) if self.view.run.was_seen else State.LOOKING
        self._card.show_state(self.state, words_of_run(self.state, status))
        self._card.show_report(self.reports.note(self.view.run.directory))
        facts = [status.directory.name]
        if status.device:
            facts.append(status.device)
        age = None if self._heart is None else self._heart.age_seconds
        if status.life in ("running", "silent"):
            facts.append("heartbeat …" if age is None else f"heartbeat {age:.0f} s ago")
        if status.attempt > 1:
            facts.append(f"attempt {status.attempt}")
        self._card.show_facts(" · ".join(facts), status.directory)
