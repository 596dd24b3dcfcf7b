"""Which maps the denoiser takes. Needs no torch: files are refused before the network is loaded."""

from __future__ import annotations

import math

from blushcore.protocol import BlushError
from blushcore.volumes import describe_box

SMALLEST_BOX = 8
VOXEL_SIZE_RANGE = (0.3, 10.0)
"""Å; what maps may come with."""


def require_denoisable(
    shape: tuple[int, ...],
    voxel_size: tuple[float, float, float],
    value_range: tuple[float, float],
    name: str = "The map",
) -> None:
    """Refuse a map that the denoiser can do nothing with.

    Parameters
    ----------
    shape
        Number of voxels along (z, y, x).
    voxel_size
        Å along (z, y, x).
    value_range
        Lowest and highest value; NaN if any is.
    name
        What the sentence calls it: its file, or half.

    Raises
    ------
    BlushError
        If the map is too small, its voxel size out of range, a value not finite, or all are the same.
    """
    low, high = VOXEL_SIZE_RANGE
    if min(shape) < SMALLEST_BOX:
        raise BlushError(
            f"{name} has {describe_box(shape)} voxels (x, y, z).",
            f"The denoiser needs at least {SMALLEST_BOX} along each axis.",
        )
    if not all(low <= size <= high for size in voxel_size):
        sizes = ", ".join(f"{size:g}" for size in reversed(voxel_size))
        raise BlushError(
            f"{name} has a voxel size of {sizes} Å (x, y, z); the denoiser takes {low:g} to {high:g} Å.",
            "Correct the voxel size where it is wrong (on the command line with --voxel-size).",
        )
    require_finite(value_range, name)
    if value_range[0] == value_range[1]:
        raise BlushError(
            f"{name} is constant: there is nothing to denoise.", "Check that it is the right file."
        )


def require_finite(value_range: tuple[float, float], name: str) -> None:
    """Refuse a volume whose lowest or highest value is not finite."""
    if not all(math.isfinite(bound) for bound in value_range):
        raise BlushError(
            f"{name} holds values that are not numbers (NaN or infinity).", "Write it again without."
        )
