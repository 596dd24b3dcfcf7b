"""Maps: their voxel size and place in space, MRC files in and out, resampling, filters, masks.

Reading and writing need no torch. What computes on tensors is imported, torch with it, when first asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from blushcore.volumes.atomic import atomic_file
from blushcore.volumes.reading import read_map
from blushcore.volumes.volume import MapHeader, Volume
from blushcore.volumes.writing import write_map

if TYPE_CHECKING:
    from blushcore.volumes.fourier import fourier_resample, pad_or_crop
    from blushcore.volumes.masks import soft_sphere

_NEEDS_TORCH = {
    "fourier_resample": "fourier",
    "pad_or_crop": "fourier",
    "soft_sphere": "masks",
}

__all__ = [
    "MapHeader",
    "Volume",
    "atomic_file",
    "fourier_resample",
    "pad_or_crop",
    "read_map",
    "soft_sphere",
    "write_map",
]


def __getattr__(name: str) -> Any:
    if name not in _NEEDS_TORCH:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_NEEDS_TORCH[name]}"), name)
