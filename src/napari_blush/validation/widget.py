"""The dock widget *Test the denoiser*: does it keep to the data of two half-maps, or make things up?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget

from blushcore.interactive.messages import DenoiserValidated, ValidationSettings, Working
from blushcore.protocol import BlushError
from blushcore.volumes import require_same_grid
from napari_blush.background import Background
from napari_blush.layers.grids import require_one_grid
from napari_blush.layers.listing import list_events, map_layers
from napari_blush.layers.maps import volume_of
from napari_blush.layers.view import Connections, unwrapped
from napari_blush.panels.dock import Dock, scrolled
from napari_blush.panels.map_choices import keep, was_denoised
from napari_blush.panels.status_card import StatusCard
from napari_blush.panels.words import duration
from napari_blush.plots.theme import follow_theme
from napari_blush.validation.panels import FoundSection, MapsSection, SettingsSection
from napari_blush.validation.task import ValidationTask
from napari_blush.worker import WorkerClient

if TYPE_CHECKING:
    from napari.viewer import Viewer

_MODELS = (".pdb", ".cif", ".ent", ".pdb.gz", ".cif.gz")
_ABOUT = (
    "Both halves are denoised and each held against the raw other one. Then their phases are made random where "
    "they agree no more: whatever the denoised ones still share there, the network has made up."
)
_VERDICTS = {
    "keeps": ("good", "It keeps to the data", "Within them it helps, and beyond them it makes nothing up."),
    "invents beyond": (
        "ask",
        "It keeps to the data, and makes detail up beyond them",
        "Refine with spectral trailing, as is usual; read off a denoised map no detail beyond its halves.",
    ),
    "harm": (
        "bad",
        "It does not keep to the data",
        "Within them it takes signal away or makes detail up: do not use these weights with this map.",
    ),
    "nothing": ("ask", "There is nothing to hold it against", "The half-maps agree nowhere."),
}
_DENOISED = "{} was denoised: test with the half-maps as they were reconstructed."
_NO_HALVES = "Open the two half-maps of a reconstruction, as they were reconstructed."


class ValidationWidget(Dock):
    """Test on two half-maps whether the denoiser keeps to the data, as ``blush validate`` does.

    Parameters
    ----------
    napari_viewer
        The viewer whose maps are taken.
    worker
        The computing process; by default a new one, started when it is needed.
    """

    def __init__(self, napari_viewer: Viewer, worker: WorkerClient | None = None) -> None:
        super().__init__(napari_viewer, least_width=350)
        self._worker = WorkerClient() if worker is None else worker
        self._worker.setParent(self)
        self._background = Background(self)
        self.task = ValidationTask(self._worker, self._background, self)
        self.card, self.maps, self.settings = StatusCard(), MapsSection(), SettingsSection()
        self.found = FoundSection(napari_viewer)
        self.button = QPushButton("Test")
        self.button.setObjectName("blushPrimary")
        self._names = ("", "")
        self._doubts: tuple[str, ...] = ()
        self._stood: tuple[Any, ...] | None = None
        self._was_described = False
        self._connections = Connections()
        self._lay_out()
        self._connect()
        self._list()
        follow_theme(self, self.take_palette, napari_viewer)
        self.end_with(self._background.close, self._worker.stop, self._connections.undo)

    def take_files(self, paths: list[Path]) -> None:
        """Open maps that were dropped; take an atomic model for the one to compare with."""
        models = [path for path in paths if path.name.lower().endswith(_MODELS)]
        maps = [str(path) for path in paths if path not in models]
        if models:
            self.settings.form.set_values({"model": models[-1]})
        if maps:
            self._viewer.open(maps, plugin="napari-blush")

    def _lay_out(self) -> None:
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(6, 6, 6, 6)
        column.setSpacing(8)
        for part in (self.maps, self.settings, self.found):
            column.addWidget(part)
        column.addStretch(1)
        self._scroll = scrolled(content)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.setSpacing(8)
        layout.addWidget(self.card)
        layout.addWidget(self._scroll, 1)
        layout.addWidget(self.button)

    def _connect(self) -> None:
        for emitter in list_events(self._viewer):
            self._connections.connect(emitter, self._list)
        for box in self.maps.boxes():
            box.activated.connect(lambda _, box=box: keep(box))
            box.activated.connect(self._on_choice)
        self.button.clicked.connect(self._on_button)
        self.task.described.connect(self.settings.network.offer)
        self.task.advanced.connect(self._on_advanced)
        self.task.done.connect(self._on_done)
        self.task.failed.connect(self._on_failed)
        self.task.stopped.connect(self._stand)

    def _list(self, event: Any = None) -> None:
        self.maps.offer(map_layers(self._viewer))
        self._on_choice()

    def _on_choice(self, index: int = 0) -> None:
        """Begin anew with other maps; what was found of those that are still chosen stays."""
        chosen = tuple(unwrapped(box.currentData()) for box in self.maps.boxes())
        before, self._stood = self._stood, chosen
        if before is None or any(one is not other for one, other in zip(chosen, before, strict=True)):
            self._stand()

    def _stand(self) -> None:
        """Show what can be done, while nothing is."""
        if self.task.is_running:
            return
        ready = self.maps.halves() is not None
        if ready and not self._was_described:
            self._was_described = True
            self.task.describe()
        self._say("", "Does the denoiser keep to the data?", _ABOUT if ready else _NO_HALVES)
        self._offer(ready)

    def _offer(self, ready: bool) -> None:
        self.button.setText("Test")
        self.button.setToolTip("In a process of its own; the viewer stays free")
        self.button.setEnabled(ready)
        self.card.show_done(0, None)

    def _say(self, tone: str, title: str, text: str) -> None:
        self.card.say(tone, title, text)

    # --- the test ---------------------------------------------------------------------------------------------

    def _on_button(self) -> None:
        if self.task.is_running:
            self.task.stop()
        else:
            self.run()

    def run(self) -> None:
        """Begin with what is chosen."""
        halves, mask = self.maps.halves(), self.maps.mask_box.currentData()
        if halves is None:
            return
        try:
            one, two = volume_of(halves[0]), volume_of(halves[1])
            window = None if mask is None else volume_of(mask)
            require_one_grid([one, two], [layer.name for layer in halves])
            if window is not None:
                require_one_grid([one, window], [halves[0].name, mask.name])
            settings = ValidationSettings.parse(self.settings.form.values(), "The form")
        except BlushError as error:
            self._on_failed(str(error))
            return
        self._names = halves[0].name, halves[1].name
        doubts = require_same_grid(self._names[0], one, self._names[1], two)
        denoised = [_DENOISED.format(layer.name) for layer in halves if was_denoised(layer)]
        self._doubts = (*denoised, *doubts)
        self.task.validate((one, two), window, settings)

    def _on_advanced(self, at: Working) -> None:
        left = "" if at.eta_seconds is None else f" · about {duration(at.eta_seconds)} left"
        share = f" · {100 * at.done // at.total} %" if at.total else ""
        self._say("busy", "Testing", f"{at.stage[:1].upper()}{at.stage[1:]}{share}{left}")
        self.card.show_done(at.done, at.total)
        self.button.setText("Stop")
        self.button.setToolTip("End the test after the block in hand")
        self.button.setEnabled(True)

    def _on_done(self, found: DenoiserValidated) -> None:
        self._offer(self.maps.halves() is not None)
        self.found.show_found(found, self._names, self._doubts)
        self._say(*_VERDICTS[found.figures["verdict"]])
        QTimer.singleShot(0, self._scroll_to_found)  # once there is room for it

    def _scroll_to_found(self) -> None:
        bar = self._scroll.verticalScrollBar() if self.is_open else None
        if bar is not None:
            bar.setValue(self.found.y())

    def _on_failed(self, sentence: str) -> None:
        self._offer(self.maps.halves() is not None)
        self._say("bad", "The test could not be done", sentence)
