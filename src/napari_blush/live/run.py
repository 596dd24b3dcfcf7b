"""A run directory, live or finished, as Qt signals."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]

from blushcore.protocol import IterationDone
from blushcore.runs import ENDED, RunReader, send_command
from napari_blush.live.status import RunStatus, figures_of
from napari_blush.live.watcher import Sight, Watcher

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from blushcore.runs import RunWatch

POLL_MILLISECONDS = 100


class LiveRun(QObject):
    """Watches a run and tells what happens in it. It changes nothing in the run but by `send`.

    The directory is polled beside the GUI's thread, over a network disk too; it may vanish and come back.

    Parameters
    ----------
    viewer
        The viewer in which it is watched.
    directory
        The run directory.
    parent
        Qt's parent.
    poll_milliseconds
        Time between looks, where they are quick.
    watch
        What to watch in place of our own reader of `directory`.

    Raises
    ------
    BlushError
        If `directory` is not a run directory.
    """

    record = Signal(object)
    """Each `blushcore.runs.Record`, in order; those of a run's past too."""
    iteration = Signal(dict)
    """Figures of an iteration that is done, and ``iteration``, its number."""
    looked = Signal()
    """A look has brought something new: all of it was told, and `summary` is of now."""
    life_changed = Signal(str)
    """See `blushcore.runs.Life`."""
    problem = Signal(str)
    """A sentence: something in the directory is not as it should be, and was passed over."""
    finished = Signal()
    """Nothing more comes unless the run is resumed."""

    def __init__(
        self,
        viewer: ViewerModel,
        directory: Path,
        parent: QObject | None = None,
        *,
        poll_milliseconds: int = POLL_MILLISECONDS,
        watch: RunWatch | None = None,
    ) -> None:
        super().__init__(parent)
        self.viewer = viewer
        self.reader: RunWatch = RunReader(Path(directory)) if watch is None else watch
        self._status = RunStatus(
            self.reader.directory, self.reader.job, parameters=dict(self.reader.summary.parameters)
        )
        self._was_seen = False
        self._watcher = Watcher(self.reader, poll_milliseconds=poll_milliseconds, parent=self)
        self._watcher.seen.connect(self._on_sight)
        self.destroyed.connect(self._watcher.close)

    @property
    def directory(self) -> Path:
        """The run directory."""
        return self.reader.directory

    @property
    def was_seen(self) -> bool:
        """Whether there was a look yet; until then `summary` says nothing."""
        return self._was_seen

    @property
    def summary(self) -> RunStatus:
        """How the run stood at the last look."""
        return self._status

    @property
    def history(self) -> list[dict[str, Any]]:
        """The figures of all iterations that are valid now, each with ``iteration``, its number."""
        return self._status.history

    def look(self) -> None:
        """Look now, not when the timer says so."""
        self._watcher.look()

    def send(self, action: str, **changes: Any) -> str:
        """Send a command to the run; the answer is an ``acknowledged`` record with the id that is returned.

        Parameters
        ----------
        action
            ``pause``, ``resume``, ``stop_after_iteration``, ``stop_now`` or ``change``.
        changes
            For ``change``: parameters and their new values.

        Raises
        ------
        BlushError
            If there is no such command, or it cannot be written.
        """
        return send_command(self.directory, action, changes)

    def close(self) -> None:
        """Stop watching; the run itself goes on."""
        self._watcher.close()

    def _on_sight(self, sight: Sight) -> None:
        before, self._status = self._status, sight.status
        for record in sight.records:
            self.record.emit(record)
            if isinstance(record.event, IterationDone):
                self.iteration.emit(figures_of(record))
        for text in sight.problems:
            self.problem.emit(text)
        life_is_new = not self._was_seen or before.life != sight.status.life
        self._was_seen = True
        if life_is_new:
            self.life_changed.emit(sight.status.life)
        self.looked.emit()
        if life_is_new and sight.status.life in ENDED:
            self.finished.emit()
