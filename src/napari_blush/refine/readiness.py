"""Whether a run can begin: inputs are looked at a moment after each change, and the run is started."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject, QTimer, Signal  # type: ignore[attr-defined]

from blushcore.interactive.messages import RefinementChecked
from blushcore.protocol import BlushError
from napari_blush.background import Background
from napari_blush.refine import runs
from napari_blush.refine.checks import Checks, words_of_check
from napari_blush.refine.kinds import JobParameters
from napari_blush.refine.remedies import in_the_dock
from napari_blush.refine.run_section import RunSection
from napari_blush.refine.set_up import SetUp
from napari_blush.refine.states import State

_SETTLE_MILLISECONDS = 300
_MARKED = "It is marked below."


class Readiness(QObject):
    """Follows the set-up and says how far it is from a run; `begin` starts one.

    Parameters
    ----------
    set_up, run_section
        What is looked at, and where faults are said.
    checks
        The process that looks.
    background
        For files to be written.
    folder
        For maps that are layers only.
    is_held
        Whether changes are of no matter now: a run is watched.
    """

    stood = Signal(object, str)
    """A `State` before a run, and what is to be said in place of its own words."""
    fault_shown = Signal()
    """A sentence stands at a field."""
    begun = Signal(object)
    """The directory of the run that was started."""

    def __init__(
        self,
        set_up: SetUp,
        run_section: RunSection,
        checks: Checks,
        background: Background,
        folder: Path,
        is_held: Callable[[], bool],
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._set_up, self._run, self._checks = set_up, run_section, checks
        self._background, self._folder, self._is_held = background, folder, is_held
        self.state = State.EMPTY
        self._settle = QTimer(self)
        self._settle.setInterval(_SETTLE_MILLISECONDS)
        self._settle.setSingleShot(True)
        self._settle.timeout.connect(self._check)
        set_up.changed.connect(self.look)
        run_section.changed.connect(self.look)
        checks.passed.connect(self._on_passed)
        checks.refused.connect(self._on_refused)
        checks.failed.connect(self._on_failed)

    def stand(self, state: State, text: str = "") -> None:
        """Take a state before a run, and tell it."""
        self.state = state
        self._run.button.setEnabled(state is State.READY)
        if state is not State.READY:
            self._run.set_need("", False)
        if state not in (State.WRONG, State.BROKEN, State.READY):
            self._run.set_error("")
        self.stood.emit(state, text)

    def stop(self) -> None:
        """Look at nothing more."""
        self._settle.stop()

    def look(self) -> None:
        """Look at what is set up: at once at what is missing, in a moment at the files."""
        self._checks.forget()
        self._settle.stop()
        self._set_up.clear_errors()
        particles = self._set_up.particles
        particles.show_diameter(self._set_up.diameter)
        self._run.propose(particles.path, self._set_up.kind.name)
        if self._is_held() or (self.state is State.MAKING and particles.path is None):
            return
        missing = self._set_up.missing()
        if particles.path is None:
            self.stand(State.EMPTY)
        elif particles.error_label.text():
            self.stand(State.WRONG, "See the particles.")
        elif missing:
            self.stand(State.ASKING, missing)
        else:
            self.stand(State.CHECKING)
            self._settle.start()

    def begin(self) -> None:
        """Make the run directory and start the worker; `begun` comes, or a fault is said."""
        output = self._run.path
        if self.state is not State.READY or output is None:
            return
        set_up = self._set_up
        kind, values = set_up.kind, set_up.values()

        def parameters(folder: Path) -> JobParameters:
            files = kind.with_files(values, **self._layers_as_files(folder))
            return kind.parse(files, f"The {kind.heading.lower()}")

        def begun(directory: Path) -> None:
            self._run.is_users = False
            self.begun.emit(directory)

        def failed(error: Exception) -> None:
            self.stand(State.CHECKING)
            self._on_refusal(error)

        self._checks.rest()
        self.stand(State.STARTING)
        self._background.run(lambda: runs.begin(output, kind.name, parameters), begun, failed)

    def _layers_as_files(self, folder: Path) -> dict[str, Path | None]:
        """Return files of what is chosen; maps that are layers only are written into a folder."""
        set_up = self._set_up
        return {
            "reference": set_up.reference.file_for(folder),
            "mask": set_up.solvent_mask.file_for(folder),
        }

    def _check(self) -> None:
        folder = self._folder
        self._background.run(
            lambda: self._layers_as_files(folder), self._ask_worker, self._on_refusal, instead_of="files"
        )

    def _ask_worker(self, files: dict[str, Path | None]) -> None:
        output = self._run.path
        if self.state is not State.CHECKING:
            return
        params = self._set_up.validated(**files)
        if params is None:
            self.fault_shown.emit()
            self.stand(State.WRONG, _MARKED)
        elif output is None:
            self._on_refused("output", "Name the folder that the run is to make.")
        else:
            try:
                runs.require_room(output)
            except BlushError as error:
                self._on_refusal(error)
                return
            self._checks.check(self._set_up.kind, params.with_absolute_paths(), output)

    def _on_passed(self, found: RefinementChecked) -> None:
        if self.state is State.CHECKING:
            self._run.set_need(*words_of_check(found))
            self.stand(State.READY)

    def _on_refused(self, field: str, sentence: str) -> None:
        if self.state is not State.CHECKING:
            return
        sentence = in_the_dock(sentence, self._set_up.kind)
        if field == "output":
            self._run.set_error(sentence)
            placed = True
        else:
            placed = self._set_up.set_error(field, sentence)
            self.fault_shown.emit()
        self.stand(State.WRONG, _MARKED if placed else sentence)

    def _on_refusal(self, error: Exception) -> None:
        self._on_refused(getattr(error, "field", ""), str(error))

    def _on_failed(self, sentence: Any) -> None:
        if self.state in (State.MAKING, State.CHECKING):
            self.stand(State.BROKEN, str(sentence))
