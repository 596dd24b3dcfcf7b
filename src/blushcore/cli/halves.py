"""Two half-maps and a mask, as several commands take them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from blushcore.denoiser.provenance import is_denoised
from blushcore.protocol import BlushError
from blushcore.volumes import Volume, describe_grid, read_map, read_mask, require_same_grid


def read_halves(
    half1: Path, half2: Path, mask: Path | None, voxel_size: float | None
) -> tuple[Volume, Volume, Volume | None, list[str]]:
    """Read two half-maps and a mask, and say what is odd about the files.

    Parameters
    ----------
    half1, half2, mask
        The files; the mask may be None.
    voxel_size
        In Å, of all of them instead of what their headers say.

    Returns
    -------
    The halves, the mask or None, and sentences for the user.

    Raises
    ------
    BlushError
        If one cannot be read, is constant or no cube, they do not fit together, or the halves are one map.
    """
    first, second = read_map(half1, voxel_size=voxel_size), read_map(half2, voxel_size=voxel_size)
    for path, volume in ((half1, first), (half2, second)):
        require_cube(path, volume)
        if volume.data.min() == volume.data.max():
            raise BlushError(
                f"{path} is constant: there is nothing to compare.", "Check that it is the right file."
            )
    doubts = require_same_grid(half1, first, half2, second)
    if half1.samefile(half2) or np.array_equal(first.data, second.data):
        raise BlushError(
            f"{half1} and {half2} are the same map, whose FSC is 1 everywhere.",
            "Give the two independent halves of a reconstruction.",
        )
    window = read_mask(mask, half1, first, voxel_size=voxel_size) if mask else None
    warnings = [*first.warnings, *second.warnings, *doubts, *(window.warnings if window else ())]
    denoised = [str(path) for path, volume in ((half1, first), (half2, second)) if is_denoised(volume)]
    if denoised:
        named = f"{' and '.join(denoised)} {'were' if denoised[1:] else 'was'}"
        warnings.append(
            f"{named} denoised: this FSC is no resolution estimate, since it measures the network as much "
            "as the data. Give the halves as they were reconstructed."
        )
    return first, second, window, list(dict.fromkeys(warnings))


def require_cube(path: Path, volume: Volume) -> None:
    """Refuse a map that is no cube of cubic voxels."""
    if len(set(volume.shape)) != 1 or not volume.is_isotropic:
        raise BlushError(
            f"{path} has {describe_grid(volume)}; Fourier shells need a cube of cubic voxels.",
            "Pad or crop it to a cubic box, or resample it to one voxel size first.",
        )
