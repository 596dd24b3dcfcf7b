"""The dock widget *Denoise map*."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer

from blushcore.interactive.messages import DenoiseSettings, Described
from napari_blush.background import Background
from napari_blush.denoise.chosen_maps import ChosenMaps
from napari_blush.denoise.files import MapFiles
from napari_blush.denoise.following import ViewFollower
from napari_blush.denoise.layers import DenoiseLayers
from napari_blush.denoise.panels import DenoisePanels
from napari_blush.denoise.results import Result
from napari_blush.denoise.session import DenoiseSession
from napari_blush.denoise.states import State
from napari_blush.denoise.telling import Telling
from napari_blush.denoise.view_focus import slice_in_view
from napari_blush.layers.view import Connections, unwrapped
from napari_blush.panels.dock import Dock
from napari_blush.plots.theme import Palette, follow_theme
from napari_blush.worker import WorkerClient

if TYPE_CHECKING:
    from napari.layers import Image
    from napari.viewer import Viewer

_SETTLE_MILLISECONDS = 200
"""A diameter that is being dragged or a slider that moves is not followed step by step."""


class DenoiseWidget(Dock):
    """Denoise a map, or two half-maps, and look at it before and after.

    Parameters
    ----------
    napari_viewer
        The viewer whose maps are denoised.
    worker
        The computing process; by default a new one.
    """

    def __init__(self, napari_viewer: Viewer, worker: WorkerClient | None = None) -> None:
        super().__init__(napari_viewer)
        self._worker = WorkerClient() if worker is None else worker
        self._worker.setParent(self)
        self._background = Background(self)
        self.session = DenoiseSession(self._worker, self._background)
        self.layers = DenoiseLayers(napari_viewer, self._background)
        self.panels = DenoisePanels(self, napari_viewer)
        self._maps = ChosenMaps(
            napari_viewer,
            self.panels.inputs,
            self.session,
            self.layers,
            ask=self.panels.status.ask,
            say=self.say,
            taken=self._on_taken,
            reading=lambda: self.panels.status.show_state(State.LOADING),
            background=self._background,
            parent=self,
        )
        self._telling = Telling(napari_viewer, self.session, self.layers, self.panels)
        self._files = MapFiles(
            napari_viewer,
            self,
            self.panels.inputs,
            self.layers,
            self._background,
            reading=lambda: self.panels.status.show_state(State.LOADING),
            read=lambda: self._on_state(self.session.state),
        )
        self._settle = QTimer(self)
        self._settle.setInterval(_SETTLE_MILLISECONDS)
        self._settle.setSingleShot(True)
        self._follower = ViewFollower(napari_viewer, self._look, self)
        self._connections = Connections()
        self._connect()
        self.end_with(
            self.session.close,
            self.panels.diameter.end,
            self.layers.end,
            self.panels.inputs.disconnect_viewer,
            self._follower.disconnect_viewer,
            self._connections.undo,
        )
        follow_theme(self, self.take_palette, napari_viewer)
        self.session.warm_up()
        self._maps.take()

    def _connect(self) -> None:
        session, layers, panels = self.session, self.layers, self.panels
        self._worker.said.connect(session.on_event)
        self._worker.died.connect(session.on_death)
        session.state_changed.connect(self._on_state)
        session.picture_came.connect(layers.show_picture)
        session.result_came.connect(self._on_result)
        session.map_loaded.connect(self._on_map_loaded)
        session.described.connect(self._on_described)
        session.noted.connect(self.say)
        layers.failed.connect(self.say)

        panels.network.changed.connect(self._on_form)
        panels.diameter.estimate_clicked.connect(self._take_estimate)
        panels.preview_button.toggled.connect(self._on_preview)
        panels.denoise_button.clicked.connect(self.denoise)
        panels.status.cancel_clicked.connect(session.cancel)
        panels.status.restart_clicked.connect(session.restart)
        panels.status.open_clicked.connect(self._files.ask_and_open)
        panels.status.sample_clicked.connect(self.open_sample)
        panels.display.mode_chosen.connect(lambda mode: layers.want(mode=mode))
        panels.display.mask_toggled.connect(lambda on: layers.want(mask=on))
        panels.display.strength_changed.connect(lambda strength: layers.want(strength=strength))
        panels.display.save_clicked.connect(self._files.ask_and_save)
        panels.history.chosen.connect(self.show_result)
        panels.history.compare_clicked.connect(self.compare_with)
        panels.history.reuse_clicked.connect(lambda result: self.apply_record(result.record(1.0)))
        panels.history.remove_clicked.connect(self._on_remove)
        self._settle.timeout.connect(self._apply_settings)
        self._connections.connect(self._viewer.layers.events.inserted, self._on_inserted)
        self._connections.connect(self._viewer.layers.events.removed, self._on_removed)

    def take_palette(self, palette: Palette) -> None:
        """Take the colours of a theme."""
        super().take_palette(palette)
        self.panels.status.set_ink(palette.ink)

    def shut_down(self) -> None:
        """End the computing process and everything on the canvas; the layers stay. Again, nothing happens."""
        if self.is_open:
            self._settle.stop()
            self._maps.stop()
            self._follower.stop()
        super().shut_down()

    # --- what somebody does -----------------------------------------------------------------------------------

    def denoise(self) -> None:
        """Denoise the map that is chosen, with the settings in the form."""
        self._apply_settings()
        self.session.denoise()

    def preview(self, on: bool) -> None:
        """Denoise the slice in view, or stop doing so."""
        self.panels.preview_button.setChecked(on)

    def show_result(self, result: Result) -> None:
        """Show a result of the history, with the map that it was made of."""
        if not self._maps.holds(result):
            self._maps.choose_of(result)
        self.layers.show_result(result)
        self._telling.results()

    def compare_with(self, result: Result | None) -> None:
        """Put a result of the same map left of the divider; None: the input."""
        if result is not None and not self._maps.holds(result):
            self.say(f"Result #{result.number} is of another map.")
            result = None
        self.layers.want(compare_with=result)
        self._telling.results()

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
        self.panels.form.set_value(settings)
        self.panels.diameter.is_users = True
        self.panels.display.strength.setValue(float(record["strength"]))

    def take_files(self, paths: list[Path]) -> None:
        """Open a map, or two half-maps, as layers and choose them."""
        self._files.open(paths)

    def open_sample(self) -> None:
        """Open the demo half-maps and choose them."""
        self._files.open_sample()

    def save(self, path: Path) -> None:
        """Save the result that is shown, of two halves as ``…_half1`` and ``…_half2``."""
        self._files.save(path)

    # --- the map ----------------------------------------------------------------------------------------------

    def _on_taken(self, layer: Image | None) -> None:
        self.panels.diameter.follow(layer)
        self._telling.results()
        self._look()

    def _on_map_loaded(self) -> None:
        if not self.panels.diameter.is_users:
            self._take_estimate()
        for warning in self.session.warnings:
            self.say(warning)

    def _on_inserted(self, event: Any) -> None:
        """Say so where something was opened that is no map."""
        if self.session.state is State.EMPTY and self.panels.inputs.map_layer is None:
            self._on_state(State.EMPTY)

    def _on_removed(self, event: Any) -> None:
        """End a preview whose layer was removed."""
        if self.session.state is State.PREVIEWING and self.layers.is_denoised_map(unwrapped(event.value)):
            self.preview(False)

    # --- parameters -------------------------------------------------------------------------------------------

    def _on_form(self) -> None:
        self._telling.memory()
        self._settle.start()

    def _apply_settings(self) -> None:
        self._settle.stop()
        before, self.session.settings = self.session.settings, self.panels.settings()
        if self.session.state is State.PREVIEWING and before != self.session.settings:
            self.layers.begin_preview()

    def _take_estimate(self) -> None:
        self.panels.diameter.take_estimate(self.session.estimated_diameter)
        self._apply_settings()

    def _on_described(self, facts: Described) -> None:
        self.panels.network.offer(facts)
        self._telling.memory()

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

    def _look(self) -> None:
        layer = self.panels.inputs.map_layer
        focus = None if layer is None else slice_in_view(self._viewer, unwrapped(layer))
        self.session.look_at(focus)
        if focus is None and self.session.state is State.PREVIEWING:
            self._telling.no_slice()

    def _on_state(self, state: State) -> None:
        if state is not State.PREVIEWING:
            self.layers.end_preview()
        self._telling.state(state)

    def _on_result(self, result: Result) -> None:
        if self._maps.holds(result):
            self.layers.show_result(result)
        in_use = (result, self.layers.result, self.layers.wanted.compare_with)
        self.session.shorten_history([one for one in in_use if one is not None])
        self._telling.results()
        self._telling.views()

    def _on_remove(self, result: Result) -> None:
        if self.layers.wanted.compare_with is result:
            self.layers.want(compare_with=None)
        self.session.forget(result)
        self._telling.results()
