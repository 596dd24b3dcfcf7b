"""Maps: their voxel size and place in space, MRC files in and out, resampling, filters, masks.

Reading and writing need no torch. What computes on tensors is imported, torch with it, when first asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from blushcore.volumes.atomic import atomic_file
from blushcore.volumes.grids import (
    describe_box,
    describe_grid,
    read_mask,
    require_mask_values,
    require_same_grid,
)
from blushcore.volumes.halves import require_cube, require_halves
from blushcore.volumes.map_names import split_map_name
from blushcore.volumes.mrc_header import ImageStackError
from blushcore.volumes.reading import read_grid, read_map
from blushcore.volumes.thresholds import suggest_threshold
from blushcore.volumes.volume import MapHeader, Volume
from blushcore.volumes.voxel_sizes import UnknownVoxelSizeError
from blushcore.volumes.writing import encode_map, write_map

if TYPE_CHECKING:
    from blushcore.volumes.filters import gaussian_lowpass, highpass, lowpass, lowpass_at_shell
    from blushcore.volumes.fourier import fourier_resample, pad_or_crop
    from blushcore.volumes.masks import mask_from_map, soft_mask, soft_sphere
    from blushcore.volumes.resampling import grid_of_voxel_size, resample_to_voxel_size

_NEEDS_TORCH = {
    "fourier_resample": "fourier",
    "gaussian_lowpass": "filters",
    "grid_of_voxel_size": "resampling",
    "highpass": "filters",
    "lowpass": "filters",
    "lowpass_at_shell": "filters",
    "mask_from_map": "masks",
    "pad_or_crop": "fourier",
    "resample_to_voxel_size": "resampling",
    "soft_mask": "masks",
    "soft_sphere": "masks",
}

__all__ = [
    "ImageStackError",
    "MapHeader",
    "UnknownVoxelSizeError",
    "Volume",
    "atomic_file",
    "describe_box",
    "describe_grid",
    "encode_map",
    "fourier_resample",
    "gaussian_lowpass",
    "grid_of_voxel_size",
    "highpass",
    "lowpass",
    "lowpass_at_shell",
    "mask_from_map",
    "pad_or_crop",
    "read_grid",
    "read_map",
    "read_mask",
    "require_cube",
    "require_halves",
    "require_mask_values",
    "require_same_grid",
    "resample_to_voxel_size",
    "soft_mask",
    "soft_sphere",
    "split_map_name",
    "suggest_threshold",
    "write_map",
]


def __getattr__(name: str) -> Any:
    if name not in _NEEDS_TORCH:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_NEEDS_TORCH[name]}"), name)
