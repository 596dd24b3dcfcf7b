"""The dock widget *Coloured surface*: a map in 3D, coloured by its local resolution."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QComboBox, QPushButton, QVBoxLayout, QWidget

from blushcore.interactive.messages import Working
from blushcore.protocol import BlushError
from napari_blush.background import Background
from napari_blush.layers.listing import list_events
from napari_blush.layers.maps import add_or_update_map, volume_of
from napari_blush.layers.scale_bar import ScaleBar
from napari_blush.layers.view import Connections, unwrapped
from napari_blush.panels.boxes import index_of
from napari_blush.panels.cards import hint
from napari_blush.panels.dock import Dock, scrolled
from napari_blush.panels.map_choices import keep
from napari_blush.plots.theme import Palette, follow_theme
from napari_blush.surface.choices import LOCAL_KEY, offer
from napari_blush.surface.drawing import Drawn, Wanted, draw
from napari_blush.surface.layer import (
    colours_of,
    find_surface,
    hide_maps,
    set_colours,
    show_surface,
    usual_limits,
)
from napari_blush.surface.measuring import LocalResolutionJob
from napari_blush.surface.mesh import Spread
from napari_blush.surface.panels import LEAST_PIECE_ANGSTROM, ColoursSection, LevelSection, MapsSection
from napari_blush.worker import WorkerClient

if TYPE_CHECKING:
    from napari.layers import Image, Surface
    from napari.viewer import Viewer

    from blushcore.volumes import Volume

_READY = "The surface turns with the mouse; it follows the threshold, and the map when its values change."
_NO_MAPS = "Open a map, and its local resolution or its two half-maps."


class SurfaceWidget(Dock):
    """Draw the surface of a map, coloured by local resolution.

    Parameters
    ----------
    napari_viewer
        The viewer whose maps are drawn.
    worker
        The computing process that measures; by default a new one, started when it is needed.
    """

    def __init__(self, napari_viewer: Viewer, worker: WorkerClient | None = None) -> None:
        super().__init__(napari_viewer, least_width=350)
        self._worker = WorkerClient() if worker is None else worker
        self._worker.setParent(self)
        self._background = Background(self)
        self.job = LocalResolutionJob(self._worker, self._background, self)
        self.maps, self.level, self.colours = MapsSection(), LevelSection(), ColoursSection()
        self.show_button = QPushButton("Show surface")
        self.show_button.setObjectName("blushPrimary")
        self.message = hint(_NO_MAPS)
        self._scale_bar = ScaleBar(napari_viewer)
        self._spread: tuple[Any, Spread] | None = None
        self._made_of: tuple[Any, Any] = (None, None)
        self._measured: tuple[Any, ...] = ()
        self._has_chosen_level = self._is_awaited = False
        self._connections, self._followed = Connections(), Connections()
        self._lay_out()
        self._connect()
        self._list()
        follow_theme(self, self.take_palette, napari_viewer)
        self.end_with(self._background.close, self._worker.stop, self._connections.undo, self._followed.undo)

    @property
    def surface(self) -> Surface | None:
        """The layer, if there is one."""
        return find_surface(self._viewer)

    def take_files(self, paths: list[Path]) -> None:
        """Open files that were dropped."""
        self._viewer.open([str(path) for path in paths], plugin="napari-blush")

    def take_palette(self, palette: Palette) -> None:
        """Take the colours of a theme."""
        super().take_palette(palette)
        self.colours.bar.set_ink(palette.ink)

    def _lay_out(self) -> None:
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(6, 6, 6, 6)
        for part in (self.maps, self.show_button, self.message, self.level, self.colours):
            column.addWidget(part)
        column.addStretch(1)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(scrolled(content))
        self.level.setEnabled(False)
        self.colours.setEnabled(False)

    def _connect(self) -> None:
        for emitter in list_events(self._viewer):
            self._connections.connect(emitter, self._list)
        for box in self.maps.boxes():
            box.activated.connect(partial(_keep, box))
            box.activated.connect(self._on_chosen)
        self.show_button.clicked.connect(self._on_show)
        self.maps.measure.clicked.connect(self._on_measure)
        self.level.slider.valueChanged.connect(self._on_level)
        self.level.dust.clicked.connect(self._redraw)
        self.colours.colormap.activated.connect(self._recolour)
        self.colours.automatic.clicked.connect(self._recolour)
        for ends in (self.colours.finest, self.colours.coarsest):
            ends.valueChanged.connect(self._on_limits)
        self.job.advanced.connect(self._on_advanced)
        self.job.done.connect(self._on_measured)
        self.job.failed.connect(self._on_measuring_failed)
        self.job.stopped.connect(self._on_stopped)

    # --- maps -------------------------------------------------------------------------------------------------

    def _list(self, event: Any = None) -> None:
        offer(self.maps, self._viewer)
        self._on_chosen()
        if self.surface is None:
            self.level.setEnabled(self._is_awaited)
            self.colours.setEnabled(False)

    def _on_chosen(self, index: int = 0) -> None:
        """Take note of other choices; a surface that is there follows them."""
        section = self.maps
        local = section.local_box.currentData()
        section.halves.setVisible(local is None)
        there = section.map_box.currentData() is not None
        halves = section.half1_box.currentData(), section.half2_box.currentData()
        self.show_button.setEnabled(there and local is not None)
        section.measure.setEnabled(self.job.is_running or (None not in halves and halves[0] is not halves[1]))
        if not there:
            self.message.setText(_NO_MAPS)
        elif local is None and not self.job.is_running:
            self.message.setText("Choose a map of local resolution, or measure it from two half-maps.")
        elif self.surface is None and not self.job.is_running:
            self.message.setText("Ready.")
        self._follow()
        if self._is_of_others():
            self._redraw()

    def _is_of_others(self) -> bool:
        """Whether the surface that is shown was made of other layers than those chosen."""
        surface = self.surface
        chosen = (self.maps.map_box.currentData(), self.maps.local_box.currentData())
        if surface is None or None in chosen:
            return False
        return any(one is not other for one, other in zip(self._made_of, map(unwrapped, chosen), strict=True))

    def _follow(self) -> None:
        """Hear when the values of the chosen maps change: a running refinement brings new ones."""
        self._followed.undo()
        for layer in (self.maps.map_box.currentData(), self.maps.local_box.currentData()):
            if layer is not None:
                self._followed.connect(unwrapped(layer).events.data, self._on_values)

    def _on_values(self, event: Any = None) -> None:
        self._spread = None
        self._redraw()

    # --- the surface ------------------------------------------------------------------------------------------

    def _on_show(self) -> None:
        self._draw(first=True)

    def _on_level(self, level: float) -> None:
        self._has_chosen_level = True
        self._redraw()

    def _redraw(self, *_: Any) -> None:
        if self.surface is not None or self._is_awaited:
            self._draw(first=self.surface is None)

    def _draw(self, *, first: bool) -> None:
        layer, local = (unwrapped(box.currentData()) for box in (self.maps.map_box, self.maps.local_box))
        if layer is None or local is None:
            return
        known = self._spread is not None and self._spread[0] is layer
        try:
            wanted = Wanted(
                volume_of(layer),
                volume_of(local),
                self._spread[1] if known and self._spread is not None else None,
                self.level.slider.value() if self._has_chosen_level else None,
                LEAST_PIECE_ANGSTROM if self.level.dust.isChecked() else 0.0,
            )
        except BlushError as error:
            self.message.setText(str(error))
            return

        def done(drawn: Drawn) -> None:
            self._show(drawn, layer, local, first=first)

        def failed(error: Exception) -> None:
            if not isinstance(error, BlushError):
                raise error
            self.message.setText(str(error))
            self._is_awaited = first
            self.level.setEnabled(True)  # another threshold may be the remedy

        self._background.run(lambda: draw(wanted), done, failed, instead_of="surface")

    def _show(self, drawn: Drawn, layer: Image, local: Image, *, first: bool) -> None:
        self._spread, self._made_of = (layer, drawn.spread), (layer, local)
        self._is_awaited = False
        slider = self.level.slider
        was_blocked = slider.blockSignals(True)
        slider.setRange(min(0.5, drawn.level), max(drawn.spread.highest, drawn.level))
        slider.setValue(drawn.level)
        slider.blockSignals(was_blocked)
        steps = "" if drawn.mesh.step == 1 else f"; every {drawn.mesh.step}th voxel"
        density = drawn.spread.density(drawn.level)
        self.level.density.setText(f"{drawn.level:.2f} σ: density {density:.4g}{steps}")
        limits = usual_limits(drawn.values) if self.colours.automatic.isChecked() else self.colours.limits
        is_new = self.surface is None
        shown = show_surface(
            self._viewer,
            drawn.mesh,
            drawn.values,
            limits=limits,
            colormap=self.colours.colormap.currentText(),
            details={
                "map": layer.name,
                "local_resolution": local.name,
                "threshold_sigma": drawn.level,
                "threshold_density": density,
            },
        )
        if is_new:
            shown.events.contrast_limits.connect(self._on_layer_colours)
            shown.events.colormap.connect(self._on_layer_colours)
        if first:
            keep(self.maps.map_box, self.maps.local_box)
            hide_maps(self._viewer, (layer, local, *self._measured))
            self._viewer.dims.ndisplay = 3
            shown.visible = True
            self._scale_bar.show_once()
            if is_new:
                self._viewer.reset_view()
        self.level.setEnabled(True)
        self.colours.setEnabled(True)
        self.message.setText(_READY)
        self._on_layer_colours()

    # --- colours ----------------------------------------------------------------------------------------------

    def _on_limits(self, value: float = 0.0) -> None:
        self.colours.automatic.setChecked(False)
        self._recolour()

    def _recolour(self, *_: Any) -> None:
        layer = self.surface
        if layer is None:
            return
        is_automatic = self.colours.automatic.isChecked()
        limits = usual_limits(layer.data[2]) if is_automatic else self.colours.limits
        set_colours(layer, limits, self.colours.colormap.currentText())

    def _on_layer_colours(self, event: Any = None) -> None:
        """Show the colours that the layer has, also when they were changed in napari's own controls."""
        layer = self.surface
        if layer is None:
            return
        low, high = (float(value) for value in layer.contrast_limits)
        self.colours.set_limits((low, high))
        self.colours.bar.show_colours(colours_of(layer), (low, high))

    # --- local resolution -------------------------------------------------------------------------------------

    def _on_measure(self) -> None:
        if self.job.is_running:
            self.job.stop()
            return
        section = self.maps
        mask = section.mask_box.currentData()
        try:
            one, two = volume_of(section.half1_box.currentData()), volume_of(section.half2_box.currentData())
            window = None if mask is None else volume_of(mask)
        except BlushError as error:
            self.message.setText(str(error))
            return
        self._measured = (section.half1_box.currentData(), section.half2_box.currentData())
        self.job.measure((one, two), window)

    def _on_advanced(self, at: Working) -> None:
        self.maps.progress.setRange(0, at.total)
        self.maps.progress.setValue(at.done)
        self.maps.progress.show()
        self.maps.measure.setText("Stop measuring")
        self.message.setText(
            f"Measuring: {at.done} of {at.total} windows." if at.total else "Handing the maps over."
        )

    def _on_measured(self, volume: Volume, median: float) -> None:
        self._on_stopped()
        layer = add_or_update_map(
            self._viewer, LOCAL_KEY, volume, name="Local resolution map (Å)", colormap="viridis", visible=False
        )
        offer(self.maps, self._viewer)
        self.maps.local_box.setCurrentIndex(index_of(self.maps.local_box, layer))
        self._on_chosen()
        self._draw(first=True)
        self.say(f"Half of what was measured is at {median:.2f} Å or better.")

    def _on_stopped(self) -> None:
        self.maps.progress.hide()
        self.maps.measure.setText("Measure local resolution")
        self._on_chosen()

    def _on_measuring_failed(self, sentence: str) -> None:
        self._on_stopped()
        self.message.setText(sentence)


def _keep(box: QComboBox, index: int) -> None:
    keep(box)
