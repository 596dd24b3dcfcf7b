"""The dock widget *Soft mask*: from a threshold, live."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QCheckBox, QPushButton, QVBoxLayout, QWidget
from superqt import QLabeledDoubleSlider

from blushcore.protocol import BlushError
from blushcore.volumes import Volume, write_map
from blushcore.volumes.mask_settings import MaskSettings
from napari_blush.background import Background
from napari_blush.layers.contrast import MapContrast
from napari_blush.layers.grids import require_one_grid
from napari_blush.layers.listing import list_events, map_layers
from napari_blush.layers.maps import add_or_update_map, find_map, volume_of
from napari_blush.layers.view import Connections, unwrapped
from napari_blush.mask.task import MaskTask, ShownMask
from napari_blush.panels.boxes import choice_box
from napari_blush.panels.cards import Section, form_of, hint, restyle
from napari_blush.panels.dock import Dock, scrolled
from napari_blush.panels.files import ask_where_to_save
from napari_blush.panels.map_choices import MapChoice, is_half, is_mask, keep, offer_maps, was_denoised
from napari_blush.parameter_form import ParameterForm
from napari_blush.plots.theme import follow_theme
from napari_blush.worker import WorkerClient

if TYPE_CHECKING:
    from napari.viewer import Viewer

KEY = "soft-mask"
_CONTRAST = MapContrast((0.0, 1.0), (0.0, 1.0))
_OPTION, _SLIDER = ", on the command line with --threshold", ": move the slider"
"""What the engine advises where it can suggest no threshold, and what does it here."""
_ALONE = "the map alone"
_NO_MAP = "Open a map, best an unfiltered half-map and its other half."
_DENOISED = "The map was denoised: do not judge its own half-maps by what the network made visible."
_OF_OTHERS = "The mask is of other maps than these: press Make mask for one of these."
_STEPS = 1000
_MOST_DECIMALS = 12
_SETTLE_MILLISECONDS = 60
"""After the last change, before a mask is asked for."""


class MaskWidget(Dock):
    """Make a soft mask of a map, as ``blush mask`` does, and see it while its threshold moves.

    Parameters
    ----------
    napari_viewer
        The viewer whose maps are taken, and where the mask is shown.
    worker
        The computing process; by default a new one, started when it is needed.
    """

    def __init__(self, napari_viewer: Viewer, worker: WorkerClient | None = None) -> None:
        super().__init__(napari_viewer, least_width=330)
        self._worker = WorkerClient() if worker is None else worker
        self._worker.setParent(self)
        self._background = Background(self)
        self.task = MaskTask(self._worker, self._background, self)
        self._shown: ShownMask | None = None
        self._of: tuple[Any, Any] = (None, None)
        self._reached: tuple[Any, Any] = (None, None)
        """The maps that the slider's range is of."""
        self._follows = False
        """Whether the mask follows what is set: from *Make mask* on, until its layer or a map is removed."""
        self._settle = QTimer(self)
        self._settle.setSingleShot(True)
        self._settle.setInterval(_SETTLE_MILLISECONDS)
        self._build()
        self._connections, self._followed = Connections(), Connections()
        self._connect()
        self._list()
        follow_theme(self, self.take_palette, napari_viewer)
        self.end_with(
            self._background.close,
            self._worker.stop,
            self._connections.undo,
            self._followed.undo,
            self._settle.stop,
        )

    def take_files(self, paths: list[Path]) -> None:
        """Open files that were dropped."""
        self._viewer.open([str(path) for path in paths], plugin="napari-blush")

    def _build(self) -> None:
        self.map_box = choice_box("The map, best unfiltered: one half-map, say")
        self.other_box = choice_box("The other half-map: the mask is then made of the mean of both")
        self.button = QPushButton("Make mask")
        self.button.setObjectName("blushPrimary")
        self.button.setToolTip("Show the mask as a layer, which then follows what is set here")
        maps = Section("Map")
        maps.body.addLayout(form_of(("Map", self.map_box), ("With", self.other_box)))
        self.slider = QLabeledDoubleSlider(Qt.Orientation.Horizontal)
        self.slider.setToolTip("Density of the low-passed map from which on a voxel is inside")
        self.automatic = QCheckBox("automatic")
        self.automatic.setToolTip("The density that best splits particle and solvent (Otsu 1979)")
        self.automatic.setChecked(True)
        self.form = ParameterForm(
            MaskSettings, fields=("lowpass", "extend", "soft_edge"), labels={"lowpass": "Low-pass"}
        )
        self.form.set_step("extend", 1.0, decimals=2)
        edge = Section("Threshold and edge")
        for part in (self.slider, self.automatic, self.form):
            edge.body.addWidget(part)
        self.message = hint(_NO_MAP)
        self.save = QPushButton("Save mask…")
        self.save.setToolTip("Write it as an MRC file on the map's grid")
        self.save.setEnabled(False)
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(6, 6, 6, 6)
        for widget in (maps, self.button, self.message, edge, self.save):
            column.addWidget(widget)
        column.addStretch(1)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(scrolled(content))

    def _connect(self) -> None:
        for emitter in list_events(self._viewer):
            self._connections.connect(emitter, self._list)
        for box in (self.map_box, self.other_box):
            box.activated.connect(lambda _, box=box: keep(box))
            box.activated.connect(self._on_chosen)
        self.button.clicked.connect(self._on_button)
        self.slider.valueChanged.connect(self._on_slider)
        self.automatic.clicked.connect(self._on_changed)
        self.form.changed.connect(self._on_changed)
        self._settle.timeout.connect(self._make)
        self.task.made.connect(self._on_made)
        self.task.failed.connect(self._on_failed)
        self.save.clicked.connect(self._on_save)

    # --- maps -------------------------------------------------------------------------------------------------

    def _list(self, event: Any = None) -> None:
        if self._shown is not None and not self.layer_is_there:
            self._let_go()
        layers = map_layers(self._viewer, without=[KEY])
        plain = [layer for layer in layers if not is_mask(layer)]
        half = next((layer for layer in plain if is_half(layer, 1)), None)
        active = next((layer for layer in plain if layer in self._viewer.layers.selection), None)
        first = half or active or next(iter(plain), None)
        offer_maps(layers, [MapChoice(self.map_box, first)])
        second = next((layer for layer in plain if is_half(layer, 2)), None) if half is first else None
        offer_maps(layers, [MapChoice(self.other_box, second, _ALONE)])
        self._take_choice()

    def _on_chosen(self, index: int = 0) -> None:
        """Take what the user chose; a mask that is there follows."""
        if self._take_choice() and self.layer_is_there and self._of[0] is not None:
            self._follows = True
            self._settle.start()

    def _take_choice(self) -> bool:
        """Take note of which maps are chosen; return whether they are others than before."""
        chosen = tuple(unwrapped(box.currentData()) for box in (self.map_box, self.other_box))
        self.button.setEnabled(chosen[0] is not None)
        if chosen[0] is None:
            self._say(_NO_MAP)
        if all(one is other for one, other in zip(chosen, self._of, strict=True)):
            return False
        self._of = (chosen[0], chosen[1])
        self._follows = False  # a map that was only proposed replaces no mask
        self._settle.stop()
        self.task.take(None)
        self._followed.undo()
        for layer in chosen:
            if layer is not None:
                events = layer.events
                for emitter in (events.data, events.scale, events.translate, events.units):
                    self._followed.connect(emitter, self._on_values)
        if chosen[0] is not None:
            self._say(_OF_OTHERS if self.layer_is_there else "Ready.")
        return True

    def _let_go(self) -> None:
        """Leave a mask whose layer was removed, and one on its way, until the next is asked for."""
        self._shown, self._follows = None, False
        self._settle.stop()
        self.task.take(None)
        self.save.setEnabled(False)
        self._say("Ready.")

    def _on_values(self, event: Any = None) -> None:
        """Take a map's new values, which a running refinement brings, or its new place or voxel size."""
        self.task.take(None)
        if self._follows:
            self._settle.start()

    @property
    def layer_is_there(self) -> bool:
        """Whether the mask is among the viewer's layers."""
        return find_map(self._viewer, KEY) is not None

    def _volume(self) -> Volume:
        """Return the map that the mask is to be made of."""
        first, other = self._of
        volume = volume_of(first)
        if other is None or other is first:
            return volume
        second = volume_of(other)
        require_one_grid([volume, second], [first.name, other.name])
        return volume.with_data((volume.data + second.data) / 2)

    # --- the mask ---------------------------------------------------------------------------------------------

    def settings(self) -> MaskSettings:
        """Return what is set."""
        threshold = None if self.automatic.isChecked() else self.slider.value()
        return MaskSettings.parse({**self.form.values(), "threshold": threshold}, "The form")

    def _on_button(self) -> None:
        keep(self.map_box, self.other_box)
        self._follows = True
        self._make()

    def _make(self) -> None:
        self._settle.stop()
        if self._of[0] is None:
            return
        try:
            if not self.task.has_map:
                volume = self._volume()
                self.task.take(volume)
                if self._reached is not self._of:  # where none can be suggested, it is chosen by eye
                    self._take_range(float(volume.data.min()), float(volume.data.max()))
            settings = self.settings()
        except BlushError as error:
            self._on_failed(str(error))
            return
        if self._shown is None:
            self._say("Making the mask …")
        self.task.make(settings)

    def _on_slider(self, value: float) -> None:
        self.automatic.setChecked(False)
        self._on_changed()

    def _on_changed(self, *_: Any) -> None:
        if self._follows:
            self._settle.start()

    def _on_made(self, shown: ShownMask) -> None:
        made = shown.made
        is_first = not self.layer_is_there
        self._shown = shown
        layer = add_or_update_map(
            self._viewer,
            KEY,
            shown.mask,
            name=f"Mask of {self._of[0].name}",
            colormap="cyan",
            contrast=_CONTRAST,
            details={"threshold": made.threshold},
        )
        if is_first:
            layer.blending, layer.opacity = "additive", 0.35
        threshold = made.threshold if self.automatic.isChecked() else None
        self._let_slider_reach(made.lowest, made.highest, threshold)
        self.save.setEnabled(True)
        told = f"{made.volume_nm3:.4g} nm³ inside, {100 * made.share_of_box:.3g} % of the box."
        doubts = [*made.warnings]
        if any(layer is not None and was_denoised(layer) for layer in self._of):
            doubts.append(_DENOISED)
        self._say("\n".join([told, *doubts]), name="blushWarning" if doubts else "blushHint")

    def _take_range(self, lowest: float, highest: float) -> None:
        """Let the slider reach over another map; a threshold that this one never has was meant for another."""
        self._reached = self._of
        if not lowest <= self.slider.value() <= highest:
            self.automatic.setChecked(True)
        self._let_slider_reach(lowest, highest)

    def _let_slider_reach(self, lowest: float, highest: float, value: float | None = None) -> None:
        if not math.isfinite(highest - lowest) or lowest >= highest:
            return  # the mask itself tells what is wrong with such a map
        decimals = min(max(0, 4 - math.floor(math.log10(highest - lowest))), _MOST_DECIMALS)
        was_blocked = self.slider.blockSignals(True)
        self.slider.setDecimals(decimals)
        self.slider.setRange(lowest, highest)
        self.slider.setSingleStep((highest - lowest) / _STEPS)  # type: ignore[arg-type]  # superqt's
        if value is not None:
            # As its label shows it: superqt takes that for a new value when the keyboard leaves the label.
            self.slider.setValue(round(value, decimals))
        self.slider.blockSignals(was_blocked)

    def _on_failed(self, sentence: str) -> None:
        self._say(sentence.replace(_OPTION, _SLIDER), name="blushError")

    def _on_save(self) -> None:
        shown = self._shown
        path = None if shown is None else ask_where_to_save(self, "Save the mask", Path("mask.mrc"))
        if shown is None or path is None:
            return
        mask = shown.mask

        def work() -> Path:
            write_map(path, mask)
            return path

        self._background.run(work, lambda path: self.say(f"Wrote {path}."), self.say_error)

    def _say(self, sentence: str, *, name: str = "blushHint") -> None:
        self.message.setText(sentence)
        if self.message.objectName() != name:
            self.message.setObjectName(name)
            restyle(self.message)
