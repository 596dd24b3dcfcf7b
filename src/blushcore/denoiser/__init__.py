"""The denoiser: the network, its weights, and its application to whole maps.

`Denoiser` is the network resident on a device, `MapDenoising` one map on its way through it. The names are
imported on first use: they bring torch along.
"""

import importlib
from typing import TYPE_CHECKING, Any

from blushcore.devices import Precision

if TYPE_CHECKING:
    from blushcore.denoiser.application import DenoisedMap, MapDenoising, Slice, denoise_map
    from blushcore.denoiser.checkpoints import Checkpoint, read_checkpoint
    from blushcore.denoiser.denoiser import BlockDenoiser, Denoiser
    from blushcore.denoiser.local_std import local_standard_deviation
    from blushcore.denoiser.network import BLOCK_SIZE, VOXEL_SIZE_ANGSTROM, BlushNetwork, Denoised
    from blushcore.denoiser.planes import slice_is_exact, slice_of_result
    from blushcore.denoiser.slab import Slab
    from blushcore.denoiser.weights import WeightsInfo, find_weights, list_weights, load_network

_MODULES = {
    "application": ("DenoisedMap", "MapDenoising", "Slice", "denoise_map"),
    "checkpoints": ("Checkpoint", "read_checkpoint"),
    "denoiser": ("BlockDenoiser", "Denoiser"),
    "local_std": ("local_standard_deviation",),
    "planes": ("slice_is_exact", "slice_of_result"),
    "slab": ("Slab",),
    "network": ("BLOCK_SIZE", "VOXEL_SIZE_ANGSTROM", "BlushNetwork", "Denoised"),
    "weights": ("WeightsInfo", "find_weights", "list_weights", "load_network"),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "BLOCK_SIZE",
    "VOXEL_SIZE_ANGSTROM",
    "BlockDenoiser",
    "BlushNetwork",
    "Checkpoint",
    "Denoised",
    "DenoisedMap",
    "Denoiser",
    "MapDenoising",
    "Precision",
    "Slab",
    "Slice",
    "WeightsInfo",
    "denoise_map",
    "find_weights",
    "list_weights",
    "load_network",
    "local_standard_deviation",
    "read_checkpoint",
    "slice_is_exact",
    "slice_of_result",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
