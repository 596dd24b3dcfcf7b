"""Slices out of and into a padded Fourier volume.

`FourierVolume` makes projections of a map in any orientation, `SliceSums` takes slices back. On the processor
both run compiled loops on as many threads as torch has; on other devices the same is done with torch.
"""

from __future__ import annotations

from blushcore.projection.fourier_volume import FourierVolume
from blushcore.projection.grid import (
    PaddedGrid,
    map_of,
    padded_transform,
    sinc_squared,
    slices_bytes,
    sums_bytes,
)
from blushcore.projection.slice_sums import SliceSums

__all__ = [
    "FourierVolume",
    "PaddedGrid",
    "SliceSums",
    "map_of",
    "padded_transform",
    "sinc_squared",
    "slices_bytes",
    "sums_bytes",
]
