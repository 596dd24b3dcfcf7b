"""Where the volumes of a map live while its blocks are denoised: beside the network, or on the host."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from blushcore.denoiser.denoiser import OutOfDeviceMemoryError, is_out_of_memory
from blushcore.devices import describe_device, host_memory
from blushcore.protocol import BlushError

_VOLUMES_AT_PEAK = 11
"""float32 volumes of the larger grid that are alive at once at most: six stay, transforms need more."""


def volumes_peak_bytes(shape: tuple[int, int, int], grid: tuple[int, int, int]) -> int:
    """Return how much memory the volumes of a map take at most, beside the network's own.

    Parameters
    ----------
    shape, grid
        Number of voxels along (z, y, x) of the map and on the network's grid.
    """
    return 4 * _VOLUMES_AT_PEAK * max(math.prod(grid), math.prod(shape))


def with_room(needed: int, device: torch.device) -> torch.device:
    """Choose the network's device if it is CUDA's and half of its free memory is enough; else the host."""
    if device.type == "cuda" and 2 * needed <= describe_device(device).memory.available:
        return device
    return host_with_room(needed)


def host_with_room(needed: int) -> torch.device:
    """Return the host; raises `BlushError` where its memory is too small for so many bytes."""
    free = host_memory().available
    if needed > free:
        raise BlushError(
            f"Denoising this map takes about {needed / 2**30:.1f} GiB of memory; "
            f"{free / 2**30:.1f} GiB are free.",
            "Use a machine with more memory, or crop the map.",
        )
    return torch.device("cpu")


def fits(device: torch.device, work: Callable[[], None]) -> bool:
    """Do the work; False where the device with the volumes ran out of memory and the host may do better."""
    try:
        work()
    except (RuntimeError, OutOfDeviceMemoryError) as error:
        if device.type == "cpu" or not is_out_of_memory(error):
            raise
        return False  # and let go of the error, whose traceback holds on to tensors
    return True
