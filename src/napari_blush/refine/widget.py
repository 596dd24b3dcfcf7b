"""The dock widget *Refine*: sets up a refinement or a classification, starts it, watches it and steers it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QFileDialog, QVBoxLayout, QWidget

from blushcore.interactive.messages import Described, ParticlesMade
from blushcore.jobs.refine.parameters import RefineParameters
from blushcore.protocol import BlushError
from blushcore.runs import find_worker
from napari_blush.background import Background
from napari_blush.commands import Commands
from napari_blush.layers.scale_bar import ScaleBar
from napari_blush.panels.cards import hint
from napari_blush.panels.dock import Dock, scrolled
from napari_blush.panels.files import ending_of
from napari_blush.panels.segments import Segments
from napari_blush.plots.theme import Palette, follow_theme
from napari_blush.refine import places
from napari_blush.refine.card import RunCard
from napari_blush.refine.checks import Checks
from napari_blush.refine.kinds import JobParameters, kind_named
from napari_blush.refine.notes import Note
from napari_blush.refine.particles_panel import STAR_FILES
from napari_blush.refine.readiness import Readiness
from napari_blush.refine.reference_layer import ReferenceLayer
from napari_blush.refine.run_section import RunSection
from napari_blush.refine.set_up import SetUp
from napari_blush.refine.states import OF_A_RUN, State, words_of_setting_up
from napari_blush.refine.watching import Watching
from napari_blush.scratch import scratch_folder
from napari_blush.worker import WorkerClient

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from napari_blush.live import LiveView

_PATIENCE_SECONDS = 5.0
"""At the end, with what is under way: maps that are written for a run, or a disk that does not answer."""
_PAGES = {
    "set_up": ("Set up", "What a run begins with"),
    "watch": ("Watch", "The run: maps, curves and figures as they arrive"),
}


class RefineWidget(Dock):
    """Set up a refinement or classification, start it in a process of its own, watch it and steer it.

    Parameters
    ----------
    napari_viewer
        Where the maps are shown.
    worker
        The process that looks at the inputs; by default a new one, started when it is needed.
    """

    def __init__(self, napari_viewer: Viewer, worker: WorkerClient | None = None) -> None:
        super().__init__(napari_viewer, least_width=350)
        self._worker = WorkerClient() if worker is None else worker
        self._worker.setParent(self)
        self._background = Background(self, patience_seconds=_PATIENCE_SECONDS)
        self._commands = Commands(self)
        self._scratch = scratch_folder("refine")
        self._scale_bar = ScaleBar(napari_viewer)
        self._build()
        self.checks = Checks(self._worker, self)
        self.watching = Watching(
            napari_viewer,
            self.card,
            self._watch_column,
            self._background,
            self._commands,
            self.say,
            self.say_error,
            parent=self,
        )
        self.readiness = Readiness(
            self.set_up,
            self.run_section,
            self.checks,
            self._background,
            self._scratch,
            is_held=lambda: self.view is not None,
            parent=self,
        )
        self.reference_layer = ReferenceLayer(
            napari_viewer, self.set_up, self.checks, self._background, self._scratch, self
        )
        self._connect()
        scratch = self._scratch
        self.end_with(
            lambda: shutil.rmtree(scratch, ignore_errors=True),
            self._background.close,
            self._commands.close,
            self.checks.rest,
            self.set_up.reference.disconnect_viewer,
            self.set_up.solvent_mask.disconnect_viewer,
            self.reference_layer.end,
            self.watching.detach,
            self.readiness.stop,
        )
        follow_theme(self, self.take_palette, napari_viewer)
        self.show_page("set_up")
        self.readiness.stand(State.EMPTY)
        self._look_for_a_run()

    # --- building ---------------------------------------------------------------------------------------------

    def _build(self) -> None:
        self.card = RunCard()
        self.set_up = SetUp(self._viewer, self._background)
        self.run_section = RunSection()
        self._segments = Segments(_PAGES)
        self.pages = self._segments.buttons
        self._watch_page = QWidget()
        self._watch_column = QVBoxLayout(self._watch_page)
        self._watch_column.setContentsMargins(0, 0, 0, 0)
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(6, 6, 10, 6)
        column.setSpacing(8)
        column.addWidget(self.set_up, 1)
        column.addWidget(self._watch_page, 1)  # its plots take what room there is
        self._scroll = scrolled(content)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.setSpacing(8)
        layout.addWidget(self.card)
        layout.addWidget(self._segments)
        layout.addWidget(self._scroll, 1)
        layout.addWidget(self.run_section)  # always in sight
        self._held = hint("A run is watched; it goes on by itself. New run takes up what is set up here.")
        layout.addWidget(self._held)

    def _connect(self) -> None:
        self.card.clicked.connect(self._on_card)
        self._segments.chosen.connect(self.show_page)
        self.run_section.run_clicked.connect(self.readiness.begin)
        self.set_up.estimate_clicked.connect(self.reference_layer.estimate)
        self.readiness.stood.connect(self._on_stood)
        self.readiness.fault_shown.connect(self._scroll_to_error)
        self.readiness.begun.connect(self._on_begun)
        self.watching.attached.connect(self._on_attached)
        self.watching.refinement_wanted.connect(self._set_up_refinement)
        self.checks.described.connect(self._on_described)
        self.checks.progressed.connect(self._on_making)
        self.checks.made.connect(self._on_made)

    def take_palette(self, palette: Palette) -> None:
        """Take the colours of a theme."""
        super().take_palette(palette)
        self.card.set_ink(palette.ink)

    # --- what somebody does -----------------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """Where things stand."""
        return self.readiness.state if self.view is None else self.watching.state

    @property
    def view(self) -> LiveView | None:
        """The run that is watched."""
        return self.watching.view

    def value(self) -> JobParameters:
        """Return the parameters in the form; raises `BlushError` where something is missing."""
        return self.set_up.value()

    def setValue(self, params: JobParameters) -> None:  # noqa: N802
        """Show parameters, as those in a run's ``params.json``."""
        self.set_up.set_value(params)

    def worker_pid(self) -> int | None:
        """Return the process that works on the run that is watched, if it is on this machine."""
        worker = None if self.view is None else find_worker(self.view.run.directory)
        return None if worker is None else worker.pid

    def show_page(self, name: str) -> None:
        """Show the page ``set_up`` or ``watch``."""
        self._segments.press(name)
        bar = self._scroll.verticalScrollBar()
        assert bar is not None  # every scroll area has one
        bar.setValue(0)
        self.set_up.setVisible(name == "set_up")
        self._watch_page.setVisible(name == "watch")
        self.run_section.setVisible(name == "set_up" and self.state not in (State.EMPTY, *OF_A_RUN))
        self.pages["watch"].setEnabled(self.view is not None)
        self._held.setVisible(name == "set_up" and self.view is not None)

    def take_demo(self) -> None:
        """Make the built-in particle set, if it is not there yet, and take it with what suits it.

        A run that is watched goes on, and is watched no more.
        """
        if self.view is not None:
            self.watching.detach()
            self.show_page("set_up")
        self.readiness.stand(State.MAKING)
        self.checks.make_demo(places.demo_folder())

    def run(self) -> None:
        """Start what is set up, and watch it."""
        self.readiness.begin()

    def attach(self, directory: Path) -> None:
        """Watch a run, be it running or finished, in place of the one that is watched.

        Raises
        ------
        BlushError
            If it is no run directory, or that of a training.
        """
        self.watching.attach(directory)

    def take_files(self, paths: list[Path]) -> None:
        """Take a STAR file as the particles, a map as the reference, a run directory to watch."""
        for path in paths:
            if path.is_dir():
                self._try_to_attach(path)
            elif path.suffix.lower() == ".star":
                self._set_up_anew()
                self.set_up.particles.choose(path)
            elif ending_of(path.name):
                self.set_up.reference.choose(path)
            else:
                self.say(f"{path.name} is neither a STAR file, nor a map, nor a run directory.")

    # --- setting up -------------------------------------------------------------------------------------------

    def _on_stood(self, state: State, text: str) -> None:
        if self.view is not None:
            return
        self.card.show_state(state, words_of_setting_up(state, text))
        self.card.show_facts("")
        self.card.show_report(Note())
        self.run_section.setVisible(state is not State.EMPTY and self.pages["set_up"].isChecked())

    def _scroll_to_error(self) -> None:
        """Bring the sentence at a field into view, once there is room for it."""

        def scroll() -> None:
            if self.is_open and (label := self.set_up.error_in_view()) is not None:
                self._scroll.ensureWidgetVisible(label)

        QTimer.singleShot(0, scroll)

    def _on_described(self, facts: Described) -> None:
        for panel in self.set_up.panels.values():
            panel.network.offer(facts)

    def _on_making(self, done: int, total: int) -> None:
        if self.state is State.MAKING:
            self.card.show_done(done, total)

    def _on_made(self, made: ParticlesMade) -> None:
        if self.state is State.MAKING:
            self.setValue(RefineParameters.parse(made.parameters, "The demo set"))

    # --- the run ----------------------------------------------------------------------------------------------

    def _look_for_a_run(self) -> None:
        """Watch the run that was watched last, of those that still run."""

        def living() -> Path | None:
            return next((path for path in places.remembered_runs() if find_worker(path) is not None), None)

        def found(path: Path | None) -> None:
            if path is not None and self.state is State.EMPTY:
                self._try_to_attach(path)

        self._background.run(living, found, lambda _: None)

    def _try_to_attach(self, directory: Path) -> None:
        try:
            self.attach(directory)
        except BlushError as error:
            self.say_error(error)

    def _on_begun(self, directory: Path) -> None:
        layer = self.set_up.reference.layer
        if layer is not None:
            layer.visible = False
            self._viewer.layers.selection.discard(layer)  # the run's map takes its place
        self._try_to_attach(directory)

    def _on_attached(self) -> None:
        self.readiness.stop()
        self.checks.rest()
        self.reference_layer.end()
        self.show_page("watch")

    def _on_card(self, name: str) -> None:
        actions: dict[str, Any] = {
            "open": self._ask_for_particles,
            "demo": self.take_demo,
            "attach": self._ask_for_run,
            "other": self._ask_for_run,
            "set_up": self._set_up_anew,
            "again": self._try_again,
        }
        if name == "details" and self.view is None:
            self.card.show_details(self._worker.details)
        elif name in actions:
            actions[name]()
        else:
            self.watching.act(name)

    def _try_again(self) -> None:
        if self.set_up.particles.path is None:
            self.take_demo()
        else:
            self.readiness.look()

    def _ask_for_particles(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, "Particles", "", STAR_FILES)
        if name:
            self.set_up.particles.choose(Path(name))

    def _ask_for_run(self) -> None:
        name = QFileDialog.getExistingDirectory(self, "Watch a run: choose its directory")
        if name:
            self._try_to_attach(Path(name))

    def _set_up_anew(self) -> None:
        """Leave the run and set up another; with its parameters, where nothing is set up yet."""
        if self.view is None:
            self.show_page("set_up")
            return
        status = self.view.run.summary
        kind, parameters = kind_named(status.job), dict(status.parameters)
        self.watching.detach()
        self.readiness.state = State.EMPTY
        self.show_page("set_up")
        if self.set_up.particles.path is None and kind is not None:
            try:
                self.setValue(kind.model.parse(parameters, "The run"))
                return
            except BlushError as error:  # of another version
                self.say_error(error)
        self.reference_layer.follow()
        self.readiness.look()

    def _set_up_refinement(self, params: RefineParameters) -> None:
        """Leave the classification, and set up a refinement of particles of its classes."""
        self.watching.detach()
        self.readiness.state = State.EMPTY
        self.show_page("set_up")
        self.run_section.is_users = False  # the folder that was named is another run's
        self.setValue(params)
