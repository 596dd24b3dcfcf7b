"""The particles of some classes of the classification that is watched: written, and refined on their own."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]

from blushcore.jobs.refine.parameters import RefineParameters
from blushcore.protocol import BlushError
from napari_blush.commands import Commands
from napari_blush.live.words import has_classes
from napari_blush.panels.files import ask_for_new_file
from napari_blush.plots.theme import follow_theme
from napari_blush.refine.classes_panel import ClassesPanel
from napari_blush.refine.kinds import REFINE
from napari_blush.refine.notes import Note
from napari_blush.refine.onwards import free_name, proposed_selection, refinement_of
from napari_blush.refine.remedies import in_the_dock

if TYPE_CHECKING:
    from napari_blush.live import LiveView

_STAR_FILES, _ENDINGS = "Particles (*.star)", (".star",)
_PURPOSE = (
    "Write {file}, and set up a refinement of it: it begins with the map of class {number}; diameter "
    "({diameter:g} Å), symmetry ({symmetry}) and the like are those of this run. Run is yours to press"
)


class Taking(QObject):
    """Offers the classes of the iteration that is looked at, in a panel below its maps.

    Parameters
    ----------
    view
        The run, and where the panel is put; nothing is seen of it unless the run has classes.
    commands
        Where ``blush select`` is called.
    say, say_error
        How the user is told what came of it once the run is not watched any more.
    """

    refinement_wanted = Signal(object)
    """`RefineParameters` for particles that were written; not once this is closed."""

    def __init__(
        self,
        view: LiveView,
        commands: Commands,
        say: Callable[[str], None],
        say_error: Callable[[Exception], None],
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._view, self._commands = view, commands
        self._say, self._say_error = say, say_error
        self._is_closed = False
        self.panel = ClassesPanel()
        view.column.insertWidget(view.column.indexOf(view.tabs), self.panel)
        self.panel.save_clicked.connect(self._save)
        self.panel.refine_clicked.connect(self._refine)
        self.panel.changed.connect(self._say_purpose)
        view.run.looked.connect(self._follow)
        view.layers.changed.connect(self._follow)
        follow_theme(self.panel, self.panel.set_palette, view.run.viewer)
        self._follow()

    def close(self) -> None:
        """Touch the panel no more. Again, nothing happens."""
        self._is_closed = True

    # --- what is looked at ------------------------------------------------------------------------------------

    def _follow(self) -> None:
        """List the classes of the iteration whose maps are shown; of the newest, where those have none."""
        if self._is_closed:
            return
        figures = {int(one["iteration"]): one for one in self._view.run.history if has_classes(one)}
        shown = self._view.layers.shown
        at = shown if shown is not None and shown in figures else max(figures, default=0)
        self.panel.set_classes(at, figures.get(at, {}))
        self._say_purpose()

    def _say_purpose(self) -> None:
        ticked, parameters = self.panel.ticked, self._view.run.summary.parameters
        if ticked:
            self.panel.set_purpose(
                _PURPOSE.format(
                    file=self._proposed().name,
                    number=self._largest(),
                    diameter=parameters["diameter"],
                    symmetry=parameters["symmetry"],
                )
            )

    def _largest(self) -> int:
        """Return the number of the largest class that is ticked: with its map a refinement begins."""
        return max(self.panel.ticked, key=lambda row: row.particles).number

    def _proposed(self) -> Path:
        run = self._view.run
        given = run.summary.parameters.get("particles")
        particles = None if given is None else Path(given)
        numbers = [row.number for row in self.panel.ticked]
        return proposed_selection(run.directory, particles, self.panel.iteration, numbers)

    def _file(self, role: str) -> Path:
        """Return a file of the iteration that is listed.

        Raises
        ------
        BlushError
            If it is not there.
        """
        run, iteration = self._view.run, self.panel.iteration
        for record in reversed(run.summary.records_of(iteration)):
            if role in record.files and (path := run.directory / record.files[role]).is_file():
                return path
        what = "table of particles" if role == "data" else f"map of class {int(role[5:])}"
        raise BlushError(
            f"The {what} after iteration {iteration} is not in {run.directory.name}.",
            "Choose another iteration, or put the file back.",
        )

    # --- what is done -----------------------------------------------------------------------------------------

    def _save(self) -> None:
        try:
            path = ask_for_new_file(self.panel, "Save the particles", self._proposed(), _STAR_FILES, _ENDINGS)
            if path is not None:
                self._write(path, ("--overwrite",), lambda: None)
        except BlushError as error:
            self._tell(Note("bad", str(error)))

    def _refine(self) -> None:
        try:
            path = free_name(self._proposed())
            params = self._refinement(path)
            self._write(path, (), lambda: self.refinement_wanted.emit(params))
        except BlushError as error:
            self._tell(Note("bad", str(error)))

    def _refinement(self, particles: Path) -> RefineParameters:
        status = self._view.run.summary
        figures = next(one for one in status.history if one["iteration"] == self.panel.iteration)
        is_whole = bool(figures.get("is_last")) or status.parameters.get("keep") == "full"
        reference = self._file(f"class{self._largest():03d}")
        return refinement_of(status.parameters, particles, reference, is_whole=is_whole)

    def _write(self, path: Path, options: Sequence[str], then: Callable[[], None]) -> None:
        """Write the particles of what is ticked; `then`, if the run is still watched."""
        if self.panel.line.note.is_busy:
            return
        numbers = [str(row.number) for row in self.panel.ticked]
        classes = [word for number in numbers for word in ("--class", number)]
        has_root = bool(self._view.run.summary.parameters.get("root"))

        def done(said: str) -> None:
            self._tell(_note_of(json.loads(said), path, has_root))
            if not self._is_closed:
                then()

        def failed(error: BlushError) -> None:
            self._tell(Note("bad", f"Nothing was written. {error}"))

        words = ["select", str(self._file("data")), "-o", str(path), *classes, *options, "--json"]
        self._commands.run(words, done, failed)
        self._tell(Note("busy", f"Writing {path.name} …", path))

    def _tell(self, note: Note) -> None:
        if not self._is_closed:
            self.panel.show_note(note)
        elif note.tone == "bad":
            self._say_error(BlushError(note.text))
        else:
            self._say(note.text)


def _note_of(result: Any, path: Path, has_root: bool) -> Note:
    """Return what is to be said of what ``blush select --json`` printed.

    Where the classification was told its images' folder, that they are not found without is no news.
    """
    figures, warnings = result["figures"], [] if has_root else result["warnings"]
    words = f"{figures['particles']} of {figures['of']} particles are in {path.name}."
    if warnings:
        return Note("warn", f"{words} {in_the_dock(' '.join(warnings), REFINE)}", path)
    return Note("good", words, path)
