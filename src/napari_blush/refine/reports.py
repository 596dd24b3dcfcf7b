"""Reports of runs, written on demand by a process of their own and then opened."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from qtpy.QtCore import QObject, QUrl, Signal  # type: ignore[attr-defined]
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QWidget

from blushcore.protocol import BlushError
from napari_blush.commands import Commands
from napari_blush.panels.files import ask_for_new_file
from napari_blush.refine.notes import Note

_ENDINGS = (".html", ".htm")
_PAGES = "Pages (*.html)"


def open_with_system(path: Path) -> bool:
    """Open a file with the program that the system has for it; whether there is one."""
    return bool(QDesktopServices.openUrl(QUrl.fromLocalFile(str(path))))


class Reports(QObject):
    """Writes reports, one at a time of each run, and keeps what is to be said of the last one.

    Parameters
    ----------
    commands
        Where ``blush report`` is called.
    """

    changed = Signal(object)
    """The directory of the run of which there is something else to be said."""

    def __init__(self, commands: Commands, parent: QObject) -> None:
        super().__init__(parent)
        self._commands = commands
        self._notes: dict[Path, Note] = {}
        self.open_file: Callable[[Path], bool] = open_with_system

    def note(self, directory: Path) -> Note:
        """Return what is to be said of a run's report."""
        return self._notes.get(directory, Note())

    def ask(self, directory: Path, parent: QWidget) -> None:
        """Ask for a name, and write the report of a run."""
        if self.note(directory).is_busy:
            return
        proposed = directory / "report.html"
        try:
            path = ask_for_new_file(parent, "Save the report", proposed, _PAGES, _ENDINGS)
        except BlushError as error:
            self._say(directory, Note("bad", str(error)))
            return
        if path is not None:
            self.write(directory, path)

    def write(self, directory: Path, path: Path) -> None:
        """Write the report of a run, in place of what is there, and open it; not while one is under way."""
        if self.note(directory).is_busy:
            return

        def done(_: str) -> None:
            words = f"The report is in {path.name}"
            if not self.open_file(path):
                words += ", and opens with a browser"
            self._say(directory, Note("good", f"{words}.", path))

        def failed(error: BlushError) -> None:
            self._say(directory, Note("bad", f"No report was written. {error}"))

        try:
            words = ["report", str(directory), "-o", str(path), "--overwrite"]
            self._commands.run(words, done, failed)
        except BlushError as error:
            failed(error)
            return
        self._say(directory, Note("busy", "Writing the report …", path))

    def _say(self, directory: Path, note: Note) -> None:
        self._notes[directory] = note
        self.changed.emit(directory)
