"""Sample data: the demo half-maps that come with the package."""

from __future__ import annotations

from typing import Any

from blushcore.shipped import shipped_file
from napari_blush.notices import errors_are_told
from napari_blush.reading import LayerData, map_layer

_NOTHING: Any = []


@errors_are_told(otherwise=_NOTHING)
def demo_half_maps() -> list[LayerData]:
    """Return the two demo half-maps as layers; the second is hidden, for they look alike.

    Raises
    ------
    BlushError
        If the installation lacks them.
    """
    layers = [map_layer(shipped_file(f"demo/half{half}.mrc.gz")) for half in (1, 2)]
    for half, (_, arguments, _) in enumerate(layers, start=1):
        arguments["name"] = f"demo half {half}"
        arguments["visible"] = half == 1
    return layers
