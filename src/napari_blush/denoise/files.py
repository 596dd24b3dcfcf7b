"""Maps from files into the dock, and results into files."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from blushcore.protocol import BlushError
from blushcore.volumes import Volume, write_map
from napari_blush.background import Background
from napari_blush.denoise.inputs import InputPanel
from napari_blush.denoise.layers import DenoiseLayers
from napari_blush.layers.maps import METADATA
from napari_blush.panels.dock import Dock
from napari_blush.panels.files import ask_for_maps, ask_where_to_save, half_path, read_as_maps, with_ending
from napari_blush.reading import LayerData

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.viewer import Viewer


_NOT_IN_NAMES = re.compile(r'[\\/:*?"<>|\x00-\x1f]+')
"""What a layer may be called, and a file may not on one system or another."""


class MapFiles:
    """Opens files as layers that are chosen at once, and saves what is shown; reads and writes in `background`.

    Parameters
    ----------
    viewer
        Where layers are added.
    dock
        Who speaks to the user, and whose dialogs they are.
    inputs
        Where what was opened is chosen.
    layers
        What can be saved.
    background
        For reading and writing.
    reading
        Called when files begin to be read.
    read
        Called when they are, and nothing was chosen.
    """

    def __init__(
        self,
        viewer: Viewer,
        dock: Dock,
        inputs: InputPanel,
        layers: DenoiseLayers,
        background: Background,
        *,
        reading: Callable[[], None],
        read: Callable[[], None],
    ) -> None:
        self._viewer, self._dock, self._inputs, self._layers = viewer, dock, inputs, layers
        self._background = background
        self._reading, self._read = reading, read

    def ask_and_open(self) -> None:
        """Ask which maps to open."""
        paths = ask_for_maps(self._dock, "Open a map, or two half-maps")
        if paths:
            self.open(paths)

    def open(self, paths: list[Path]) -> None:
        """Open a map, or two half-maps, and choose them."""
        self._open(lambda: read_as_maps(paths))

    def open_sample(self) -> None:
        """Open the demo half-maps and choose them."""
        from napari_blush.samples import demo_half_maps

        self._open(demo_half_maps)

    def _open(self, read: Callable[[], list[LayerData]]) -> None:
        self._reading()

        def add(found: list[LayerData]) -> None:
            from napari.layers import Image

            added = [Image(data, **arguments) for data, arguments, _ in found]
            for layer in added:
                self._viewer.add_layer(layer)
            if added:
                self._inputs.choose(*added)
            else:
                self._read()

        def failed(error: Exception) -> None:
            self._read()
            self._dock.say_error(error)

        self._background.run(read, add, failed)

    def ask_and_save(self) -> None:
        """Ask where to save the result that is shown."""
        result = self._layers.result
        if result is None:
            return
        layer = self._inputs.map_layer
        name = result.names[0] if layer is None else layer.name
        path = ask_where_to_save(self._dock, "Save the denoised map", proposed_path(layer, name))
        if path is not None:
            self.save(path)

    def save(self, path: Path) -> None:
        """Save the result that is shown, of two halves as ``…_half1`` and ``…_half2``."""
        result = self._layers.result
        if result is None:
            return
        try:
            paths, write = writer_of(path, len(result.maps), self._layers.volumes_to_save(result))
        except BlushError as error:
            self._dock.say_error(error)
            return
        names = " and ".join(target.name for target in paths)
        words = f"Saved {names} in {path.absolute().parent}."
        self._background.run(write, lambda _: self._dock.say(words), self._dock.say_error)


def proposed_path(layer: Layer | None, name: str) -> Path:
    """Return where a result is to be saved, unless somebody wants it elsewhere: beside its input."""
    kept = None if layer is None else layer.metadata.get(METADATA, {}).get("path")
    folder = Path(kept).parent if kept else Path()
    return folder / f"{_NOT_IN_NAMES.sub('-', name)}_denoised.mrc"


def writer_of(
    path: Path, count: int, compute: Callable[[], Sequence[Volume]]
) -> tuple[list[Path], Callable[[], None]]:
    """Return which files a result goes into, and what computes and writes it.

    Parameters
    ----------
    path
        For one map; two halves go into ``…_half1`` and ``…_half2``. Without an ending of maps, ``.mrc``.
    count
        Of maps.
    compute
        The maps.

    Raises
    ------
    BlushError
        If a half's file is there already: nobody was asked about that name.
    """
    path = with_ending(path)
    paths = [path] if count == 1 else [half_path(path, half) for half in (1, 2)]
    there = [target.name for target in paths if count > 1 and target.exists()]
    if there:
        raise BlushError(f"{' and '.join(there)} would be overwritten.", "Choose another name.")

    def write() -> None:
        for target, volume in zip(paths, compute(), strict=True):
            write_map(target, volume)

    return paths, write
