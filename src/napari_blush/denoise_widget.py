"""The dock widget *Denoise map*."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import (
    QApplication,
    QCheckBox,
    QFileDialog,
    QHBoxLayout,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from blushcore.interactive.messages import DenoiseSettings, Described
from blushcore.protocol import BlushError
from blushcore.volumes import write_map
from napari_blush.background import Background
from napari_blush.denoise_layers import DenoiseLayers
from napari_blush.denoise_results import Fsc, Result
from napari_blush.denoise_session import DenoiseSession
from napari_blush.denoise_states import Picture, ProgressOfAll, State
from napari_blush.layers.diameter import DiameterCircle
from napari_blush.layers.maps import set_voxel_size, volume_of
from napari_blush.layers.scale_bar import ScaleBar
from napari_blush.layers.units import voxel_size_of
from napari_blush.layers.view import Connections, unwrapped, view_events
from napari_blush.panels.cards import Section, hint, restyle, style_sheet
from napari_blush.panels.display import DisplayPanel
from napari_blush.panels.history import HistoryPanel
from napari_blush.panels.inputs import InputPanel
from napari_blush.panels.status import StatusCard, duration
from napari_blush.parameter_form import ParameterForm
from napari_blush.plots.theme import Palette, follow_theme
from napari_blush.view_focus import slice_in_view
from napari_blush.worker import WorkerClient

if TYPE_CHECKING:
    from napari.viewer import Viewer

_SETTLE_MILLISECONDS = 200
"""A diameter that is being dragged or a slider that moves is not followed step by step."""
_FOLLOW_MILLISECONDS = 40
_GIB = 2**30
_PLOT_HEIGHT = 420
_FROM_FILE = "a file …"
_MAP_FILES = (
    "Maps (*.mrc *.map *.ccp4 *.mrc.gz *.map.gz *.ccp4.gz *.mrc.bz2 *.map.bz2 *.ccp4.bz2);;All files (*)"
)
_NO_SLICE = "A preview shows slices of the map: look at one in 2D, or denoise the whole map."
FSC_WARNING = (
    "An FSC after denoising is no estimate of resolution: the network puts the same expectations "
    "into both halves. Report the curve before."
)


class DenoiseWidget(QWidget):
    """Denoise a map, or two half-maps, and look at it before and after.

    Parameters
    ----------
    napari_viewer
        The viewer whose maps are denoised.
    worker
        The computing process; by default a new one.
    """

    def __init__(self, napari_viewer: Viewer, worker: WorkerClient | None = None) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self._worker = WorkerClient() if worker is None else worker
        self._worker.setParent(self)
        self._background = Background(self)
        self.session = DenoiseSession(self._worker, self._background)
        self.layers = DenoiseLayers(napari_viewer, self._background)
        self._circle: DiameterCircle | None = None
        self._scale_bar = ScaleBar(napari_viewer)
        self._diameter_is_users = False
        self._build()
        self._connect()
        follow_theme(self, self._apply_palette, napari_viewer)
        self._show_memory()
        self.session.warm_up()
        self._on_maps_chosen()

    # --- building ---------------------------------------------------------------------------------------------

    def _build(self) -> None:
        self.setAcceptDrops(True)
        self.setMinimumWidth(330)
        self.inputs = InputPanel(self._viewer)
        self.form = ParameterForm(
            DenoiseSettings,
            nothing={"diameter": "whole box"},
            choices={"weights": [("default", None)], "device": [("automatic", "auto")]},
        )
        self.form.set_step("diameter", 5)
        self.circle_box = QCheckBox("Show circle")
        self.circle_box.setChecked(True)
        self.circle_box.setToolTip("Draw the particle's sphere (Å) on the map; drag the circle to change it")
        self.estimate_button = QPushButton("Estimate")
        self.estimate_button.setToolTip(
            "Diameter (Å) of the sphere about the box's centre that holds what stands out at 15 Å, and 5 Å more"
        )
        self.memory_label = hint()
        self.network = Section("Particle and network")
        row = QHBoxLayout()
        row.addWidget(self.circle_box, 1)
        row.addWidget(self.estimate_button)
        self.network.body.addWidget(self.form)
        self.network.body.addLayout(row)
        self.network.body.addWidget(self.memory_label)

        self.preview_button = QPushButton("Preview")
        self.preview_button.setObjectName("blushToggle")
        self.preview_button.setCheckable(True)
        self.preview_button.setToolTip("Denoise the slice in view, and follow the slider")
        self.denoise_button = QPushButton("Denoise")
        self.denoise_button.setObjectName("blushPrimary")
        self.denoise_button.setToolTip("Denoise the whole map; of two halves each by itself")
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        buttons.addWidget(self.preview_button, 1)
        buttons.addWidget(self.denoise_button, 1)

        self.status = StatusCard()
        self.display = DisplayPanel()
        self.fsc_section = Section("FSC of the half-maps")
        self.fsc_plot: Any = None
        self.fsc_section.hide()
        self.history = HistoryPanel()

        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(6, 6, 10, 6)
        column.setSpacing(8)
        column.addWidget(self.inputs)
        column.addWidget(self.network)
        column.addLayout(buttons)
        column.addWidget(self.status)
        column.addWidget(self.display)
        column.addWidget(self.fsc_section)
        column.addWidget(self.history)
        column.addStretch(1)
        self._scroll = QScrollArea()
        self._scroll.setWidget(content)
        self._scroll.setWidgetResizable(True)
        self._scroll.setFrameShape(QScrollArea.Shape.NoFrame)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._scroll)

        self._settle, self._follow = QTimer(self), QTimer(self)
        for timer, milliseconds in ((self._settle, _SETTLE_MILLISECONDS), (self._follow, _FOLLOW_MILLISECONDS)):
            timer.setInterval(milliseconds)
            timer.setSingleShot(True)

    def _connect(self) -> None:
        session, status, layers = self.session, self.status, self.layers
        self._worker.said.connect(session.on_event)
        self._worker.died.connect(session.on_death)
        session.state_changed.connect(self._on_state)
        session.progressed.connect(self._on_progress)
        session.picture_came.connect(self._on_picture)
        session.result_came.connect(self._on_result)
        session.fsc_came.connect(self._on_fsc)
        session.map_loaded.connect(self._on_map_loaded)
        session.described.connect(self._on_described)
        session.noted.connect(self._say)
        layers.failed.connect(self._say)
        layers.changed.connect(self._offer_views)
        layers.split_changed.connect(self._on_split_changed)

        self.inputs.chosen.connect(self._on_maps_chosen)
        self.inputs.voxel_size_given.connect(self._on_voxel_size)
        self.form.changed.connect(self._on_form)
        self.circle_box.toggled.connect(self._on_circle_toggled)
        self.estimate_button.clicked.connect(self._take_estimate)
        self.preview_button.toggled.connect(self._on_preview)
        self.denoise_button.clicked.connect(self.denoise)
        status.cancel_clicked.connect(session.cancel)
        status.restart_clicked.connect(session.restart)
        status.open_clicked.connect(self._ask_for_file)
        status.sample_clicked.connect(self.open_sample)
        self.display.mode_chosen.connect(lambda mode: self._want(mode=mode))
        self.display.mask_toggled.connect(lambda on: self._want(mask=on))
        self.display.strength_changed.connect(lambda strength: self._want(strength=strength))
        self.display.save_clicked.connect(self._ask_and_save)
        self.history.chosen.connect(self.show_result)
        self.history.compare_clicked.connect(lambda result: self._want(compare_with=result))
        self.history.reuse_clicked.connect(lambda result: self.apply_record(result.record(1.0)))
        self.history.remove_clicked.connect(self._on_remove)

        self._settle.timeout.connect(self._apply_settings)
        self._follow.timeout.connect(self._look)
        self._connections = Connections()
        for emitter in (*view_events(self._viewer), self._viewer.dims.events.current_step):
            self._connections.connect(emitter, self._on_view)
        self._connections.connect(self._viewer.layers.events.removed, self._on_removed)
        application = QApplication.instance()
        assert application is not None
        application.aboutToQuit.connect(self.shut_down)
        # What must end even where Qt deletes this without closing it; nothing of this object is touched then.
        ends = (self.session.close, self._connections.undo, self.inputs.disconnect_viewer)
        self.destroyed.connect(lambda: [end() for end in ends])

    def _apply_palette(self, palette: Palette) -> None:
        self.setStyleSheet(style_sheet(palette))
        self.status.set_ink(palette.ink)

    # --- what somebody does -----------------------------------------------------------------------------------

    def denoise(self) -> None:
        """Denoise the map that is chosen, with the settings in the form."""
        self._apply_settings()
        self.session.denoise()

    def preview(self, on: bool) -> None:
        """Denoise the slice in view, or stop doing so."""
        self.preview_button.setChecked(on)

    def show_result(self, result: Result) -> None:
        """Show a result of the history."""
        if self._source_of(result):
            self.layers.show_result(result)
            self.history.set_results(self.session.history, result)
        else:
            self._say(f"Result #{result.number} is of another map. Choose {result.names[0]} to look at it.")

    def apply_record(self, record: dict[str, Any]) -> None:
        """Take up the parameters behind a result, as its layer's metadata has them.

        Parameters
        ----------
        record
            ``layer.metadata["blush"]["denoising"]``; see `Result.record`.

        Raises
        ------
        BlushError
            If they are not parameters of a denoising.
        """
        settings = DenoiseSettings.parse(record["settings"], "The layer's record")
        self._diameter_is_users = True
        self.form.set_value(settings)
        self.display.strength.setValue(float(record["strength"]))

    def open_files(self, paths: list[Path]) -> None:
        """Open map files as layers and choose the first (and a second as its other half)."""
        from napari_blush.reading import map_layer

        self._open(lambda: [map_layer(path) for path in paths[:2]])

    def open_sample(self) -> None:
        """Open the demo half-maps and choose them."""
        from napari_blush.samples import demo_half_maps

        self._open(demo_half_maps)

    def save(self, path: Path) -> None:
        """Save the result that is shown, of two halves as ``…_half1`` and ``…_half2``."""
        result = self.layers.result
        if result is None:
            return
        compute = self.layers.volumes_to_save(result)
        paths = [path] if len(result.maps) == 1 else [_half_path(path, half) for half in (1, 2)]

        def write() -> None:
            for target, volume in zip(paths, compute(), strict=True):
                write_map(target, volume)

        names = " and ".join(target.name for target in paths)
        self._background.run(write, lambda _: self._say(f"Saved {names}."), self._say_error)

    def shut_down(self) -> None:
        """End the computing process and everything on the canvas; the layers stay. Again, nothing happens."""
        self._settle.stop()
        self._follow.stop()
        self._connections.undo()
        self.inputs.disconnect_viewer()
        self.layers.end_split()
        self._end_circle()
        self.session.close()

    def closeEvent(self, event: Any) -> None:  # noqa: N802
        """End with the dock."""
        self.shut_down()
        super().closeEvent(event)

    def dragEnterEvent(self, event: Any) -> None:  # noqa: N802
        """Take files."""
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: Any) -> None:  # noqa: N802
        """Open what was dropped."""
        paths = [Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()]
        if paths:
            event.acceptProposedAction()
            self.open_files(paths)

    # --- the map ----------------------------------------------------------------------------------------------

    def _open(self, read: Callable[[], list[Any]]) -> None:
        self.status.show_state(State.LOADING)

        def add(layers: list[Any]) -> None:
            from napari.layers import Image

            added = []
            for data, arguments, _ in layers:
                image = Image(data, **arguments)
                self._viewer.add_layer(image)
                added.append(image)
            if added:
                self.inputs.choose(*added[:2])
            else:
                self._on_state(self.session.state)

        def failed(error: Exception) -> None:
            self._on_state(self.session.state)
            self._say_error(error)

        self._background.run(read, add, failed)

    def _on_maps_chosen(self) -> None:
        layer, half, mask = self.inputs.map_layer, self.inputs.half_layer, self.inputs.mask_layer
        self._end_circle()
        if layer is None:
            self.layers.follow(None, None, "")
            self.session.open([], [])
            return
        if voxel_size_of(layer) is None:
            self.layers.follow(None, None, "")
            self.session.open([], [])
            self.status.ask(
                "What is the voxel size?",
                f"The file of {layer.name} does not say. Give it in Å above; nothing is denoised on a guess.",
            )
            return
        try:
            halves = [layer] if half is None or half is layer else [layer, half]
            sources = [volume_of(one) for one in halves]
            self.session.open(sources, [one.name for one in halves], None if mask is None else volume_of(mask))
        except BlushError as error:
            self.layers.follow(None, None, "")
            self.session.open([], [])
            self.status.ask(error.problem, error.remedy)
            return
        self.layers.follow(layer, sources[0], layer.name)
        self._scale_bar.show_once()
        self._diameter_is_users = self._diameter_is_users and self._settings().diameter is not None
        self._circle = DiameterCircle(self._viewer, layer, self._settings().diameter or 0.0)
        self._circle.visible = self.circle_box.isChecked()
        self._circle.diameter_changed.connect(self._on_circle)
        self.history.set_results(self.session.history, None)
        self.fsc_section.hide()
        self._look()

    def _on_voxel_size(self, size: float) -> None:
        layer = self.inputs.map_layer
        if layer is None:
            return
        for one in (layer, self.inputs.half_layer, self.inputs.mask_layer):
            if one is not None:
                set_voxel_size(one, size)
        self._on_maps_chosen()
        self._viewer.reset_view()

    def _on_map_loaded(self) -> None:
        if not self._diameter_is_users:
            self._take_estimate()
        for warning in self.session.warnings:
            self._say(warning)

    def _source_of(self, result: Result) -> bool:
        return bool(self.session.sources) and result.sources[0].data is self.session.sources[0].data

    # --- parameters -------------------------------------------------------------------------------------------

    def _settings(self) -> DenoiseSettings:
        value = self.form.value()
        assert isinstance(value, DenoiseSettings)
        return value

    def _on_form(self) -> None:
        settings = self._settings()
        if settings.weights == _FROM_FILE:
            self._ask_for_weights()
            return
        if self._circle is not None:
            self._circle.diameter = settings.diameter or 0.0
        if settings.diameter != self.session.settings.diameter:
            self._diameter_is_users = True
        self._show_memory()
        self._settle.start()

    def _on_circle(self, diameter: float) -> None:
        value = round(diameter, 1)
        if value != (self._settings().diameter or 0.0):
            self.form.set_value(self._settings().replace(diameter=value or None))

    def _apply_settings(self) -> None:
        self._settle.stop()
        before, self.session.settings = self.session.settings, self._settings()
        if self.session.state is State.PREVIEWING and before != self.session.settings:
            self.layers.begin_preview()

    def _take_estimate(self) -> None:
        diameter = self.session.estimated_diameter
        self.form.set_value(self._settings().replace(diameter=diameter))
        self._diameter_is_users = False
        self._apply_settings()

    def _on_circle_toggled(self, on: bool) -> None:
        if self._circle is not None:
            self._circle.visible = on

    def _end_circle(self) -> None:
        circle, self._circle = self._circle, None
        if circle is not None:
            circle.diameter_changed.disconnect(self._on_circle)
            circle.close()

    def _on_described(self, facts: Described) -> None:
        default = facts.default_weights
        weights: list[tuple[str, Any]] = [(f"{Path(default).stem} (default)", None)]
        weights += [(known.name, known.name) for known in facts.weights if known.name != default]
        self.form.set_choices("weights", [*weights, (_FROM_FILE, _FROM_FILE)])
        devices = [(f"automatic: {facts.devices[0].device}", "auto")]
        devices += [(f"{device.device}: {device.name}", device.device) for device in facts.devices]
        self.form.set_choices("device", devices)
        self._show_memory()

    def _show_memory(self) -> None:
        facts = self.session.facts
        self.memory_label.setVisible(facts is not None)
        if facts is None:
            return
        wanted = self._settings().device
        device = next((one for one in facts.devices if one.device == wanted), facts.devices[0])
        free = f"{device.free / _GIB:.1f} GiB free"
        if device.predicted_peak is None:
            words, tight = f"{device.name}: {free}", False
        else:
            words = f"{device.name}: needs up to {device.predicted_peak / _GIB:.1f} GiB, {free}"
            tight = device.predicted_peak > device.free
        if device.note:
            words += f"\n{device.note}"
        self.memory_label.setText(words)
        self.memory_label.setToolTip(
            "Predicted peak of memory for this map beside what is free on the device (GiB)"
        )
        self.memory_label.setObjectName("blushWarning" if tight or device.note else "blushHint")
        restyle(self.memory_label)

    def _ask_for_weights(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, "Network weights", "", "Weights (*.safetensors)")
        chosen = name or self.session.settings.weights
        self.form.set_value(self._settings().replace(weights=chosen))

    # --- the session ------------------------------------------------------------------------------------------

    def _on_preview(self, on: bool) -> None:
        if on == (self.session.state is State.PREVIEWING):
            return
        if on:
            self._apply_settings()
            self._look()
            self.session.preview(True)
            self.layers.begin_preview()
        else:
            self.layers.end_preview()
            self.session.preview(False)

    def _on_view(self, event: Any = None) -> None:
        if not self._follow.isActive():
            self._follow.start()

    def _on_removed(self, event: Any) -> None:
        """End a preview whose layer was removed."""
        if self.session.state is State.PREVIEWING and self.layers.is_denoised_map(unwrapped(event.value)):
            self.preview(False)

    def _look(self) -> None:
        layer = self.inputs.map_layer
        focus = None if layer is None else slice_in_view(self._viewer, unwrapped(layer))
        self.session.look_at(focus)
        if focus is None and self.session.state is State.PREVIEWING:
            self.status.show_state(State.PREVIEWING, text=_NO_SLICE)

    def _on_state(self, state: State) -> None:
        self.status.show_state(state, failure=self.session.failure, text=self._words(state))
        previewing = state is State.PREVIEWING
        self.preview_button.blockSignals(True)
        self.preview_button.setChecked(previewing)
        self.preview_button.blockSignals(False)
        if not previewing:
            self.layers.end_preview()
        can_work = self.session.can_work
        self.preview_button.setEnabled(can_work and state is not State.RUNNING)
        self.denoise_button.setEnabled(can_work and state is not State.RUNNING)
        self.estimate_button.setEnabled(can_work)
        self._offer_views()

    def _offer_views(self) -> None:
        self.display.enable(preview=self.layers.denoised is not None, result=self.layers.result is not None)

    def _words(self, state: State) -> str:
        if state is State.DONE and self.session.history:
            result = self.session.history[-1]
            return (
                f"{result.summary} · {duration(float(result.figures['seconds']))} on {result.figures['device']}"
            )
        if state is State.PREVIEWING and self._viewer.dims.ndisplay == 3:
            return _NO_SLICE
        return ""

    def _on_progress(self, progress: ProgressOfAll) -> None:
        self.status.show_progress(progress, preview=self.session.state is State.PREVIEWING)

    def _on_picture(self, picture: Picture) -> None:
        if self.session.state is State.PREVIEWING:
            self.status.show_picture(picture)
        self.layers.show_picture(picture)

    def _on_result(self, result: Result) -> None:
        self.fsc_section.hide()
        if self._source_of(result):
            self.layers.show_result(result)
        self.history.set_results(self.session.history, self.layers.result)
        self.display.enable(preview=True, result=True)

    def _on_fsc(self, fsc: Fsc) -> None:
        from napari_blush.plots.fsc import Curve, FscPlot

        if self.fsc_plot is None:
            self.fsc_plot = FscPlot(viewer=self._viewer)
            self.fsc_plot.setMaximumHeight(_PLOT_HEIGHT)
            self.fsc_section.body.addWidget(self.fsc_plot)
        self.fsc_plot.set_curves(
            [
                Curve("after denoising", fsc.after, colour=2, style="dashed", quote_resolution=False),
                Curve("half-maps as given", fsc.before, colour=0),
            ],
            fsc.box_size_angstrom,
            warning=FSC_WARNING,
        )
        self.fsc_section.show()

    def _on_remove(self, result: Result) -> None:
        self.session.forget(result)
        self.history.set_results(self.session.history, self.layers.result)

    # --- what is shown ----------------------------------------------------------------------------------------

    def _want(self, **wishes: Any) -> None:
        for name, value in wishes.items():
            setattr(self.layers.wanted, name, value)
        self.layers.update()

    def _on_split_changed(self, is_open: bool) -> None:
        if not is_open and self.layers.wanted.mode == "result":
            self.display.modes["result"].setChecked(True)

    def _ask_for_file(self) -> None:
        names, _ = QFileDialog.getOpenFileNames(self, "Open a map, or two half-maps", "", _MAP_FILES)
        if names:
            self.open_files([Path(name) for name in names])

    def _ask_and_save(self) -> None:
        result = self.layers.result
        if result is None:
            return
        name, _ = QFileDialog.getSaveFileName(
            self, "Save the denoised map", f"{result.names[0]}_denoised.mrc", "MRC maps (*.mrc *.map *.mrc.gz)"
        )
        if name:
            self.save(Path(name) if Path(name).suffix else Path(f"{name}.mrc"))

    def _say(self, sentence: str) -> None:
        from napari.utils.notifications import show_info

        show_info(sentence)

    def _say_error(self, error: Exception) -> None:
        from napari.utils.notifications import show_error

        show_error(str(error))


def _half_path(path: Path, half: int) -> Path:
    """Return ``OUT_half1.mrc`` for ``OUT.mrc``, as ``blush denoise`` names its files."""
    stem, dot, ending = path.name.partition(".")
    return path.with_name(f"{stem}_half{half}{dot}{ending}")
