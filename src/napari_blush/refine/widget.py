"""The dock widget *Refine*."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import (
    QApplication,
    QFileDialog,
    QHBoxLayout,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from blushcore.interactive.messages import Described, ParticlesMade, RefinementChecked
from blushcore.jobs.refine.parameters import RefineParameters
from blushcore.protocol import BlushError
from blushcore.runs import find_worker, start_detached
from napari_blush.background import Background
from napari_blush.layers.diameter import DiameterCircle
from napari_blush.layers.scale_bar import ScaleBar
from napari_blush.live import LiveView
from napari_blush.panels.cards import Section, hint, restyle, style_sheet
from napari_blush.plots.theme import Palette, follow_theme
from napari_blush.refine import places, runs
from napari_blush.refine.card import RunCard
from napari_blush.refine.checks import Checks, words_of_check
from napari_blush.refine.heart import Heart
from napari_blush.refine.particles_panel import STAR_FILES, FileLine
from napari_blush.refine.set_up import SetUp
from napari_blush.refine.states import (
    OF_A_RUN,
    State,
    state_of,
    words_of_run,
    words_of_setting_up,
)
from napari_blush.worker import WorkerClient

if TYPE_CHECKING:
    from napari.viewer import Viewer

_SETTLE_MILLISECONDS = 300
_MAP_ENDINGS = (".mrc", ".map", ".ccp4", ".gz")


class RefineWidget(QWidget):
    """Set up a refinement, start it in a process of its own, watch it and steer it.

    Parameters
    ----------
    napari_viewer
        Where the maps are shown.
    worker
        The process that looks at the inputs; by default a new one, started when it is needed.
    """

    def __init__(self, napari_viewer: Viewer, worker: WorkerClient | None = None) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self._worker = WorkerClient() if worker is None else worker
        self._worker.setParent(self)
        self._background = Background(self)
        self._folder = tempfile.TemporaryDirectory(prefix="blush-refine-", ignore_cleanup_errors=True)
        self.checks = Checks(self._worker, self)
        self.view: LiveView | None = None
        self._heart: Heart | None = None
        self._circle: DiameterCircle | None = None
        self._scale_bar = ScaleBar(napari_viewer)
        self._state = State.EMPTY
        self._diameter_is_users = False
        self._output_is_users = False
        self._stopping = self._starting = False
        self._open = True
        self._build()
        self._connect()
        follow_theme(self, self._apply_palette, napari_viewer)
        self._show(State.EMPTY)
        self._look_for_a_run()

    # --- building ---------------------------------------------------------------------------------------------

    def _build(self) -> None:
        self.setAcceptDrops(True)
        self.setMinimumWidth(350)
        self.card = RunCard()
        self.set_up = SetUp(self._viewer, self._background)
        self.run_section = Section("Run")
        self.output = FileLine(
            "run directory", "Folder of the run: proposed beside the particles; it must not hold a run"
        )
        self.output_error = hint()
        self.output_error.setObjectName("blushError")
        self.need_label = hint()
        self.need_label.setToolTip(
            "Predicted peak of memory (GiB), disk and time of the run, beside what is free on this machine"
        )
        self.run_button = QPushButton("Run")
        self.run_button.setObjectName("blushPrimary")
        self.run_button.setToolTip("Start the refinement in a process of its own, which outlives napari")
        for widget in (self.output, self.output_error, self.need_label, self.run_button):
            self.run_section.body.addWidget(widget)
        self.output_error.hide()

        self.pages: dict[str, QPushButton] = {}
        segments = QHBoxLayout()
        segments.setSpacing(2)
        for name, words, tooltip in (
            ("set_up", "Set up", "What a refinement begins with"),
            ("watch", "Watch", "The run: maps, curves and figures as they arrive"),
        ):
            button = QPushButton(words)
            button.setObjectName("blushSegment")
            button.setCheckable(True)
            button.setToolTip(tooltip)
            button.clicked.connect(lambda _=False, name=name: self.show_page(name))
            self.pages[name] = button
            segments.addWidget(button, 1)

        self._set_up_page = QWidget()
        column = QVBoxLayout(self._set_up_page)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addWidget(self.set_up)
        self._watch_page = QWidget()
        self._watch_column = QVBoxLayout(self._watch_page)
        self._watch_column.setContentsMargins(0, 0, 0, 0)

        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(6, 6, 10, 6)
        column.setSpacing(8)
        column.addWidget(self._set_up_page)
        column.addWidget(self._watch_page)
        column.addStretch(1)
        self._scroll = QScrollArea()
        self._scroll.setWidget(content)
        self._scroll.setWidgetResizable(True)
        self._scroll.setFrameShape(QScrollArea.Shape.NoFrame)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.setSpacing(8)
        layout.addWidget(self.card)
        layout.addLayout(segments)
        layout.addWidget(self._scroll, 1)
        layout.addWidget(self.run_section)  # always in sight
        self._settle = QTimer(self)
        self._settle.setInterval(_SETTLE_MILLISECONDS)
        self._settle.setSingleShot(True)
        self.show_page("set_up")

    def _connect(self) -> None:
        self.card.clicked.connect(self._on_card)
        self.set_up.changed.connect(self._on_inputs)
        self.set_up.reference.changed.connect(self._on_reference)
        self.set_up.form.changed.connect(self._on_diameter)
        self.set_up.estimate_clicked.connect(self._estimate)
        self.set_up.circle_toggled.connect(self._on_circle_toggled)
        self.output.changed.connect(self._on_output)
        self.output.asked.connect(self._ask_for_output)
        self.run_button.clicked.connect(self.run)
        self._settle.timeout.connect(self._check)
        checks = self.checks
        checks.passed.connect(self._on_passed)
        checks.refused.connect(self._on_refused)
        checks.described.connect(self._on_described)
        checks.progressed.connect(self._on_making)
        checks.made.connect(self._on_made)
        checks.estimated.connect(self._on_estimated)
        checks.failed.connect(self._on_failed)
        application = QApplication.instance()
        assert application is not None
        application.aboutToQuit.connect(self.shut_down)

    def _apply_palette(self, palette: Palette) -> None:
        self.setStyleSheet(style_sheet(palette))
        self.card.set_ink(palette.ink)

    # --- what somebody does -----------------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """Where things stand."""
        return self._state

    def value(self) -> RefineParameters:
        """Return the parameters in the form; raises `BlushError` where something is missing."""
        return self.set_up.value()

    def setValue(self, params: RefineParameters) -> None:  # noqa: N802
        """Show parameters, as those in a run's ``params.json``."""
        self._diameter_is_users = True
        self.set_up.set_value(params)

    def worker_pid(self) -> int | None:
        """Return the process that works on the run that is watched, if it is on this machine."""
        worker = None if self.view is None else find_worker(self.view.run.directory)
        return None if worker is None else worker.pid

    def show_page(self, name: str) -> None:
        """Show the page ``set_up`` or ``watch``."""
        for page, button in self.pages.items():
            button.setChecked(page == name)
        bar = self._scroll.verticalScrollBar()
        assert bar is not None  # every scroll area has one
        bar.setValue(0)
        self._set_up_page.setVisible(name == "set_up")
        self._watch_page.setVisible(name == "watch")
        self.run_section.setVisible(name == "set_up" and self._state is not State.EMPTY)
        self.pages["watch"].setEnabled(self.view is not None)

    def take_demo(self) -> None:
        """Make the built-in particle set, if it is not there yet, and take it with what suits it."""
        self._show(State.MAKING)
        self.checks.make_demo(places.demo_folder())

    def run(self) -> None:
        """Start the refinement that is set up, and watch it."""
        output = self.output.path
        if self._state is not State.READY or output is None:
            return
        values = self.set_up

        def parameters(folder: Path) -> RefineParameters:
            files = {
                "reference": values.reference.file_for(folder),
                "mask": values.solvent_mask.file_for(folder),
            }
            return RefineParameters.parse({**values.values(), **files}, "The refinement")

        self.checks.rest()
        self._show(State.STARTING)
        self._background.run(lambda: runs.begin(output, parameters), self._on_begun, self._on_not_begun)

    def attach(self, directory: Path) -> None:
        """Watch a run, be it running or finished, in place of the one that is watched.

        Raises
        ------
        BlushError
            If it is no run directory.
        """
        view = LiveView(self._viewer, directory)
        self._detach()
        self.checks.rest()
        self._end_circle()
        self.view = view
        self._watch_column.addWidget(view)
        column = view.layout()
        assert isinstance(column, QVBoxLayout)
        column.setContentsMargins(0, 0, 0, 0)
        for place, label in enumerate((view.figures, view.problems)):
            column.insertWidget(place, label)
        view.status.hide()  # the card above says it
        self._heart = Heart(directory, self._background, self)
        self._heart.looked.connect(self._on_look)
        view.run.looked.connect(self._on_look)
        view.run.life_changed.connect(self._on_life)
        view.run.record.connect(self._on_record)
        self._stopping = self._starting = False
        places.remember_run(directory)
        self.show_page("watch")
        self._on_look()

    def shut_down(self) -> None:
        """End what belongs to the widget; a run goes on. Again, nothing happens."""
        if not self._open:
            return
        self._open = False
        self._settle.stop()
        self._detach()
        self._end_circle()
        self.set_up.reference.disconnect_viewer()
        self.set_up.solvent_mask.disconnect_viewer()
        self.checks.rest()
        self._background.close()
        self._folder.cleanup()

    def closeEvent(self, event: Any) -> None:  # noqa: N802
        """End with the dock."""
        self.shut_down()
        super().closeEvent(event)

    def dragEnterEvent(self, event: Any) -> None:  # noqa: N802
        """Take files and folders."""
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: Any) -> None:  # noqa: N802
        """Take a STAR file as the particles, a map as the reference, a run directory to watch."""
        for path in [Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()]:
            event.acceptProposedAction()
            if path.is_dir():
                self._try_to_attach(path)
            elif path.suffix.lower() == ".star":
                self.show_page("set_up")
                self.set_up.particles.choose(path)
            elif path.suffix.lower() in _MAP_ENDINGS:
                self.set_up.reference.choose(path)
            else:
                self._say(f"{path.name} is neither a STAR file, nor a map, nor a run directory.")

    # --- inputs -----------------------------------------------------------------------------------------------

    def _on_inputs(self) -> None:
        self.checks.forget()
        self._settle.stop()
        self.set_up.clear_errors()
        particles = self.set_up.particles
        particles.show_diameter(self.set_up.diameter)
        if not self._output_is_users:
            proposed = None if particles.path is None else places.proposed_run(particles.path)
            if proposed != self.output.path:
                self._propose(proposed)
        if self._state in OF_A_RUN and self.view is not None:
            return
        if self._state is State.MAKING and particles.path is None:
            return
        missing = self.set_up.missing()
        if particles.path is None:
            self._show(State.EMPTY)
        elif particles.error_label.text():
            self._show(State.WRONG, "See the particles.")
        elif missing:
            self._show(State.ASKING, missing)
        else:
            self._show(State.CHECKING)
            self._settle.start()

    def _check(self) -> None:
        """Look at the inputs, in the worker; maps that are layers only are written for it first."""
        folder, set_up = Path(self._folder.name), self.set_up

        def files() -> dict[str, Path | None]:
            return {
                "reference": set_up.reference.file_for(folder),
                "mask": set_up.solvent_mask.file_for(folder),
            }

        self._background.run(files, self._ask_worker, self._on_refusal, instead_of="files")

    def _ask_worker(self, files: dict[str, Path | None]) -> None:
        output = self.output.path
        if self._state is not State.CHECKING:
            return
        params = self.set_up.validated(**files)
        if params is None:
            self._scroll_to_error()
            self._show(State.WRONG, "It is marked below.")
        elif output is None:
            self._set_output_error("Name the folder that the run is to make.")
            self._show(State.WRONG, "It is marked below.")
        else:
            try:
                runs.require_new(output)
            except BlushError as error:
                self._on_refusal(error)
                return
            self.checks.check(params.with_absolute_paths(), output)

    def _on_passed(self, found: RefinementChecked) -> None:
        if self._state is State.CHECKING:
            self._set_need(*words_of_check(found))
            self._show(State.READY)

    def _on_refused(self, field: str, sentence: str) -> None:
        if self._state is not State.CHECKING:
            return
        if field == "output":
            self._set_output_error(sentence)
            placed = True
        else:
            placed = self.set_up.set_error(field, sentence)
            self._scroll_to_error()
        self._show(State.WRONG, "It is marked below." if placed else sentence)

    def _scroll_to_error(self) -> None:
        """Bring the sentence at a field into view, once there is room for it."""

        def scroll() -> None:
            if self._open and (label := self.set_up.error_in_view()) is not None:
                self._scroll.ensureWidgetVisible(label)

        QTimer.singleShot(0, scroll)

    def _on_refusal(self, error: Exception) -> None:
        self._on_refused(getattr(error, "field", ""), str(error))

    def _on_described(self, facts: Described) -> None:
        devices: list[tuple[str, Any]] = [(f"automatic: {facts.devices[0].device}", "auto")]
        devices += [(f"{device.device}: {device.name}", device.device) for device in facts.devices]
        self.set_up.form.set_choices("device", devices)
        if "weights" in self.set_up.form.values():
            names: list[tuple[str, Any]] = [("default", None)]
            names += [(known.name, known.name) for known in facts.weights]
            self.set_up.form.set_choices("weights", names)

    def _on_making(self, done: int, total: int) -> None:
        if self._state is State.MAKING:
            words = words_of_setting_up(State.MAKING)
            self.card.show_state(State.MAKING, words)
            self.card.bar.setRange(0, total)
            self.card.bar.setValue(done)

    def _on_made(self, made: ParticlesMade) -> None:
        if self._state is State.MAKING:
            params = RefineParameters.parse(made.parameters, "The demo set")
            self.setValue(params.replace(prior=self.set_up.priors[0]))

    def _on_failed(self, sentence: str) -> None:
        if self._state in (State.MAKING, State.CHECKING):
            self._show(State.WRONG, sentence)

    # --- reference, diameter ----------------------------------------------------------------------------------

    def _on_reference(self) -> None:
        reference = self.set_up.reference
        if reference.layer is None and reference.path is not None:
            path = reference.path
            from napari_blush.reading import map_layer

            def add(found: Any) -> None:
                if self.set_up.reference.path == path:
                    self._add_reference(found)

            self._background.run(
                lambda: map_layer(path),
                add,
                lambda error: self._on_unreadable(path, error),
                instead_of="reference",
            )
        self._follow_reference()

    def _add_reference(self, found: Any) -> None:
        from napari.layers import Image

        data, arguments, _ = found
        layer = Image(data, **arguments)
        self._viewer.add_layer(layer)
        self.set_up.reference.choose(layer)
        if not self._diameter_is_users:
            self._estimate()

    def _on_unreadable(self, path: Path, error: Exception) -> None:
        if self.set_up.reference.path == path:
            self.set_up.reference.set_error(str(error))

    def _follow_reference(self) -> None:
        layer = self.set_up.reference.layer
        self._end_circle()
        if layer is None or self.pages["watch"].isChecked():
            return
        self._scale_bar.show_once()
        self._circle = DiameterCircle(self._viewer, layer, self.set_up.diameter)
        self._circle.visible = self.set_up.circle_box.isChecked()
        self._circle.diameter_changed.connect(self._on_circle)

    def _on_circle(self, diameter: float) -> None:
        value = round(diameter, 1)
        if value != self.set_up.diameter:
            self.set_up.diameter = value

    def _on_circle_toggled(self, on: bool) -> None:
        if self._circle is not None:
            self._circle.visible = on

    def _on_diameter(self) -> None:
        diameter = self.set_up.diameter
        if self._circle is not None and self._circle.diameter != diameter:
            self._circle.diameter = diameter
        self._diameter_is_users = self._diameter_is_users or diameter > 0

    def _end_circle(self) -> None:
        circle, self._circle = self._circle, None
        if circle is not None:
            circle.diameter_changed.disconnect(self._on_circle)
            circle.close()

    def _estimate(self) -> None:
        folder, reference = Path(self._folder.name), self.set_up.reference

        def ask(path: Path | None) -> None:
            if path is not None:
                self.checks.estimate(path)

        self._background.run(lambda: reference.file_for(folder), ask, self._on_refusal)

    def _on_estimated(self, diameter: float | None) -> None:
        if diameter is None:
            self._say("No particle stands out of the reference: give its diameter.")
        else:
            self.set_up.diameter = diameter

    # --- the run directory ------------------------------------------------------------------------------------

    def _propose(self, path: Path | None) -> None:
        self.output.blockSignals(True)
        self.output.path = path
        self.output.blockSignals(False)
        self._output_is_users = False

    def _on_output(self) -> None:
        self._output_is_users = self.output.path is not None
        self._on_inputs()

    def _ask_for_output(self) -> None:
        start = "" if self.output.path is None else str(self.output.path.parent)
        name = QFileDialog.getExistingDirectory(self, "Folder for the run", start)
        if name:
            folder = Path(name)
            self.output.path = folder if not any(folder.iterdir()) else places.proposed_run(folder / "run")

    def _set_output_error(self, sentence: str) -> None:
        self.output_error.setText(sentence)
        self.output_error.setVisible(bool(sentence))
        self.output.line.setProperty("wrong", bool(sentence))
        restyle(self.output.line)

    def _set_need(self, words: str, warn: bool) -> None:
        self.need_label.setText(words)
        self.need_label.setVisible(bool(words))
        name = "blushWarning" if warn else "blushHint"
        if self.need_label.objectName() != name:
            self.need_label.setObjectName(name)
            restyle(self.need_label)

    # --- the run ----------------------------------------------------------------------------------------------

    def _look_for_a_run(self) -> None:
        """Watch the run that was watched last, if it still runs."""

        def living() -> Path | None:
            path = places.remembered_run()
            return path if path is not None and find_worker(path) is not None else None

        def found(path: Path | None) -> None:
            if path is not None and self._state is State.EMPTY and self.view is None:
                self._try_to_attach(path)

        self._background.run(living, found, lambda _: None)

    def _try_to_attach(self, directory: Path) -> None:
        try:
            self.attach(directory)
        except BlushError as error:
            self._say_error(error)

    def _on_begun(self, directory: Path) -> None:
        layer = self.set_up.reference.layer
        if layer is not None:
            layer.visible = False
        self._output_is_users = False
        self._try_to_attach(directory)

    def _on_not_begun(self, error: Exception) -> None:
        field = getattr(error, "field", "")
        self._show(State.CHECKING)
        self._on_refused(field, str(error))

    def _detach(self) -> None:
        view, self.view = self.view, None
        heart, self._heart = self._heart, None
        if heart is not None:
            heart.stop()
            heart.deleteLater()
        if view is not None:
            view.close_run()
            self._watch_column.removeWidget(view)
            view.deleteLater()

    def _on_life(self, life: str) -> None:
        if life != "waiting":
            self._starting = False
        if life not in ("running", "silent"):
            self._stopping = False
        self._on_look()

    def _on_record(self, record: Any) -> None:
        event = record.event
        if event.kind == "acknowledged" and not event.accepted and event.action.startswith("stop"):
            self._stopping = False
        if event.kind == "acknowledged" and not event.accepted:
            self._say(f"The run did not take the command: {event.text}.")

    def _on_look(self) -> None:
        if self.view is None:
            return
        status = self.view.run.summary
        state = State.STARTING if self._starting else state_of(status, self._stopping)
        self._state = state
        self.card.show_state(state, words_of_run(state, status))
        facts = [status.directory.name]
        if status.device:
            facts.append(status.device)
        age = None if self._heart is None else self._heart.age_seconds
        if status.life in ("running", "silent"):
            facts.append("heartbeat …" if age is None else f"heartbeat {age:.0f} s ago")
        if status.attempt > 1:
            facts.append(f"attempt {status.attempt}")
        self.card.show_facts(" · ".join(facts))
        self.card.facts.setToolTip(f"{status.directory}\n{self.card.facts.toolTip().splitlines()[-1]}")

    def _show(self, state: State, text: str = "") -> None:
        """Take the look of a state before a run."""
        self._state = state
        self.card.show_state(state, words_of_setting_up(state, text))
        self.card.show_facts("")
        self.run_button.setEnabled(state is State.READY)
        self.run_section.setVisible(state is not State.EMPTY and self.pages["set_up"].isChecked())
        if state is not State.READY:
            self._set_need("", False)
        if state not in (State.WRONG, State.READY):
            self._set_output_error("")

    def _on_card(self, name: str) -> None:
        actions = {
            "open": self._ask_for_particles,
            "demo": self.take_demo,
            "attach": self._ask_for_run,
            "pause": lambda: self._send("pause"),
            "go_on": lambda: self._send("resume"),
            "stop_after": lambda: self._stop("stop_after_iteration"),
            "stop_now": self._stop_now,
            "resume": self.resume,
            "details": self._show_details,
            "set_up": self._set_up_anew,
        }
        actions[name]()

    def _ask_for_particles(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, "Particles", "", STAR_FILES)
        if name:
            self.set_up.particles.choose(Path(name))

    def _ask_for_run(self) -> None:
        name = QFileDialog.getExistingDirectory(self, "Watch a run: choose its directory")
        if name:
            self._try_to_attach(Path(name))

    def _send(self, action: str) -> None:
        assert self.view is not None
        for button in self.card.buttons.values():
            button.setEnabled(False)
        try:
            self.view.run.send(action)
        except BlushError as error:
            self._say_error(error)

    def _stop(self, action: str) -> None:
        self._stopping = True
        self._send(action)
        self._on_look()

    def _stop_now(self) -> None:
        assert self.view is not None
        if self._state is State.SILENT:
            directory = self.view.run.directory

            def told(was_there: bool) -> None:
                if not was_there:
                    self._say("Its worker is on another machine, or gone already.")

            self._background.run(lambda: runs.end_worker(directory), told, self._say_error)
        else:
            self._stop("stop_now")

    def resume(self) -> None:
        """Start a worker that goes on with the run that is watched."""
        assert self.view is not None
        directory = self.view.run.directory
        self._starting = True
        self._on_look()

        def done(_: Any) -> None:
            self._starting = False
            self._on_look()

        def failed(error: Exception) -> None:
            done(None)
            self._say_error(error)

        self._background.run(lambda: start_detached(directory), done, failed)

    def _show_details(self) -> None:
        assert self.view is not None
        directory = self.view.run.directory
        self._background.run(lambda: runs.last_words(directory), self.card.show_details, self._say_error)

    def _set_up_anew(self) -> None:
        """Leave the run and set up another; with its parameters, where nothing is set up yet."""
        parameters = {} if self.view is None else dict(self.view.run.summary.parameters)
        is_ours = self.view is not None and self.view.run.summary.job == "refine"
        self._detach()
        self._state = State.EMPTY
        self.show_page("set_up")
        if self.set_up.particles.path is None and is_ours:
            self.setValue(RefineParameters.parse(parameters, "The run"))
        else:
            self._follow_reference()
            self._on_inputs()

    def _say(self, sentence: str) -> None:
        from napari.utils.notifications import show_info

        show_info(sentence)

    def _say_error(self, error: Exception) -> None:
        from napari.utils.notifications import show_error

        show_error(str(error))
