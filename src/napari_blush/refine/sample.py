"""*File > Open Sample > Demo particles*: the built-in particle set, in the dock *Refine*, ready to run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from blushcore.jobs.simulate.file_names import REFERENCE
from blushcore.protocol import BlushError
from blushcore.volumes import Volume
from napari_blush.layers.maps import METADATA, map_arguments
from napari_blush.live.opening import LayerData, refine_widget
from napari_blush.notices import errors_are_told
from napari_blush.reading import map_layer
from napari_blush.refine import places

if TYPE_CHECKING:
    from napari.layers import Image
    from napari.viewer import Viewer

_NOTHING: Any = []
_BOX, _VOXEL_SIZE = 64, 2.25


@errors_are_told(otherwise=_NOTHING)
def demo_particles() -> list[LayerData]:
    """Open the dock *Refine* with the built-in particles, and return their reference as a layer.

    The particles are made by a process of its own where they are not there yet; until then the layer is empty.

    Raises
    ------
    BlushError
        If there is no viewer, or its reference cannot be read. When a user opened it, napari shows the
        sentence.
    """
    from napari import current_viewer

    viewer = current_viewer()
    if viewer is None:
        raise BlushError("There is no viewer to open the demo particles in.", "Open napari first.")
    path = places.demo_folder() / REFERENCE
    widget = refine_widget(viewer)
    if widget is None:
        raise BlushError("The dock widget Refine is not there.", "Install napari-blush again.")
    found = map_layer(path) if path.is_file() else _awaited(path)
    if not path.is_file():
        widget.checks.made.connect(lambda _: _fill(viewer, path))
    widget.take_demo()
    return [found]


def _awaited(path: Path) -> LayerData:
    """Return a layer for a map that is not there yet."""
    empty = Volume(np.zeros((_BOX,) * 3, np.float32), (_VOXEL_SIZE,) * 3)
    arguments = map_arguments(empty, name=path.stem, contrast_limits=(0.0, 1.0), details={"path": str(path)})
    return empty.data, arguments, "image"


def _fill(viewer: Viewer, path: Path) -> None:
    """Let the layer of a map that was awaited show it."""
    for layer in viewer.layers:
        if layer.metadata.get(METADATA, {}).get("path") == str(path):
            _show(layer, path)


@errors_are_told(otherwise=None)
def _show(layer: Image, path: Path) -> None:
    data, arguments, _ = map_layer(path)
    layer.data = data
    layer.scale, layer.translate = arguments["scale"], arguments["translate"]
    layer.contrast_limits = arguments["contrast_limits"]
    layer.metadata = {**layer.metadata, **arguments["metadata"]}
