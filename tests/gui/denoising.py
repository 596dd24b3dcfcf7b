"""Maps for the tests of the dock *Denoise map*."""

from __future__ import annotations

from typing import Any

import numpy as np

from blushcore.volumes import Volume


def blob(seed: int = 0, n: int = 32, size: float = 1.5) -> Volume:
    """A ball of 24 Å in noise: one block."""
    offset = (np.arange(n) - n // 2) * size
    radius = np.sqrt(offset[:, None, None] ** 2 + offset[:, None] ** 2 + offset**2)
    noise = np.random.default_rng(seed).normal(scale=0.3, size=(n,) * 3)
    return Volume(((radius < 12) + noise).astype(np.float32), (size,) * 3)


def add_map(viewer: Any, volume: Volume, name: str = "map", **changes: Any) -> Any:
    from napari.layers import Image

    from napari_blush.layers.maps import map_arguments

    layer = Image(volume.data, **{**map_arguments(volume, name=name), **changes})
    viewer.add_layer(layer)
    return layer
