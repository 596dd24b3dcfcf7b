"""The maps that are chosen in the dock, taken in hand: what they show, where, and when that changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QTimer

from blushcore.protocol import BlushError
from blushcore.volumes import Volume
from napari_blush.background import Background
from napari_blush.denoise.inputs import InputPanel
from napari_blush.denoise.layers import DenoiseLayers
from napari_blush.denoise.results import Result
from napari_blush.denoise.session import DenoiseSession
from napari_blush.denoise.source_maps import SourceMaps
from napari_blush.denoise.states import State
from napari_blush.layers.maps import set_voxel_size
from napari_blush.layers.scale_bar import ScaleBar
from napari_blush.layers.units import show_in_angstrom, voxel_size_of

if TYPE_CHECKING:
    from napari.layers import Image
    from napari.viewer import Viewer

_SETTLE_MILLISECONDS = 200


class ChosenMaps(QObject):
    """Hands to the session and the layers what is chosen in the panel, each time that is something else.

    Parameters
    ----------
    viewer
        Whose layers are chosen.
    inputs
        Where they are chosen.
    session, layers
        Who takes them.
    ask
        Says to the user, as a title and a text, what is missing or wrong.
    say
        Tells the user something in passing.
    taken
        Is called with the map's layer when it is in hand, with None when nothing is.
    reading
        Is called when layers are read first, which takes a while.
    background
        Reads them.
    parent
        Qt's parent.
    """

    def __init__(
        self,
        viewer: Viewer,
        inputs: InputPanel,
        session: DenoiseSession,
        layers: DenoiseLayers,
        *,
        ask: Callable[[str, str], None],
        say: Callable[[str], None],
        taken: Callable[[Image | None], None],
        reading: Callable[[], object],
        background: Background,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._viewer, self._inputs, self._session, self._layers = viewer, inputs, session, layers
        self._ask, self._say, self._taken, self._reading = ask, say, taken, reading
        self._background = background
        self._sources = SourceMaps(viewer)
        self._scale_bar = ScaleBar(viewer)
        self._settle = QTimer(self)
        self._settle.setInterval(_SETTLE_MILLISECONDS)
        self._settle.setSingleShot(True)
        self._settle.timeout.connect(self.take)
        self._soon = QTimer(self)
        self._soon.setInterval(0)
        self._soon.setSingleShot(True)
        self._soon.timeout.connect(self._scale_bar.show_once)
        inputs.chosen.connect(self.take)
        inputs.content_changed.connect(self._settle.start)
        inputs.renamed.connect(self._on_renamed)
        inputs.voxel_size_given.connect(self._on_voxel_size)

    @property
    def is_waiting(self) -> bool:
        """Whether a change of a layer is about to be taken note of."""
        return bool(self._settle.isActive())

    def stop(self) -> None:
        """Take note of no more changes."""
        self._settle.stop()
        self._soon.stop()

    def holds(self, result: Result) -> bool:
        """Whether a result is of the maps in hand."""
        now = self._session.sources
        return len(now) == len(result.sources) and all(a is b for a, b in zip(now, result.sources, strict=True))

    def choose_of(self, result: Result) -> None:
        """Choose the maps that a result was made of; layers that are gone come back."""
        pairs = zip(result.sources, result.names, strict=True)
        self._inputs.choose(*[self._sources.layer_of(source, name) for source, name in pairs])

    def take(self) -> None:
        """Take in hand what is chosen, unless it is already."""
        self._settle.stop()
        layer, mask = self._inputs.map_layer, self._inputs.mask_layer
        maps = self._inputs.maps
        for one in (*maps, mask):
            if one is not None:
                show_in_angstrom(one)
        if layer is None:
            self._take_nothing()
        elif voxel_size_of(layer) is None:
            self._take_nothing()
            words = (
                f"The file of {layer.name} does not say. Give it in Å above; nothing is denoised on a guess."
            )
            self._ask("What is the voxel size?", words)
        elif to_read := [one for one in (*maps, mask) if one is not None and not self._sources.is_at_hand(one)]:
            self._read(to_read)
        else:
            try:
                sources = [self._sources.of(one) for one in maps]
                soft = None if mask is None else self._sources.of(mask)
                if self._are_in_hand((*sources, soft)):
                    return
                self._tell_of_end()
                mask_name = "the mask" if mask is None else mask.name
                self._session.open(sources, [one.name for one in maps], soft, mask_name)
            except BlushError as error:
                self._take_nothing()
                self._ask(error.problem, error.remedy)
                return
            self._layers.follow(layer, sources[0], [one.name for one in maps])
            self._soon.start()  # napari takes a while to make its scale bar: by itself, not in the same breath
            self._taken(layer)

    def _read(self, layers: list[Image]) -> None:
        """Read layers in the background, then take what is chosen then."""
        self._take_nothing()
        self._reading()
        readers = [self._sources.reader(one) for one in layers]

        def keep(found: list[Callable[[], None]]) -> None:
            for make_known in found:
                make_known()
            self.take()

        def failed(error: Exception) -> None:
            problem = error.problem if isinstance(error, BlushError) else f"The map cannot be read: {error}."
            self._ask(problem, error.remedy if isinstance(error, BlushError) else "Choose another.")

        self._background.run(lambda: [read() for read in readers], keep, failed, instead_of="read")

    def _take_nothing(self) -> None:
        self._tell_of_end()
        self._layers.follow(None, None, [])
        self._session.open([], [])
        self._taken(None)

    def _are_in_hand(self, volumes: tuple[Volume | None, ...]) -> bool:
        """Whether these, maps and mask, are what the session has, and well."""
        now = (*self._session.sources, self._session.mask)
        same = len(now) == len(volumes) and all(a is b for a, b in zip(now, volumes, strict=True))
        return same and self._session.state is not State.FAILED

    def _tell_of_end(self) -> None:
        """Say so where another choice, perhaps of a layer that was removed, ends work on the one before."""
        if self._session.state is State.RUNNING:
            names = " and ".join(self._session.names)
            self._say(f"Denoising {names} was stopped: other maps are chosen now.")

    def _on_renamed(self) -> None:
        names = [one.name for one in self._inputs.maps]
        if len(names) == len(self._session.sources) and tuple(names) != self._session.names:
            self._session.rename(names)
            self._layers.rename(names)

    def _on_voxel_size(self, size: float) -> None:
        for one in (self._inputs.map_layer, self._inputs.half_layer, self._inputs.mask_layer):
            if one is not None:
                set_voxel_size(one, size)
        self.take()
        self._viewer.reset_view()
