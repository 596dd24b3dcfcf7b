"""Whether two maps can be the two halves of one reconstruction."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from blushcore.protocol import BlushError
from blushcore.volumes.grids import describe_grid, require_same_grid
from blushcore.volumes.volume import Volume


def require_halves(name1: str | Path, first: Volume, name2: str | Path, second: Volume) -> tuple[str, ...]:
    """Refuse two maps that cannot be halves whose Fourier shells are compared.

    Parameters
    ----------
    name1, name2
        The files, for sentences.
    first, second
        What they hold.

    Returns
    -------
    Sentences for the user about what is odd, as `require_same_grid`.

    Raises
    ------
    BlushError
        If one is constant or no cube of cubic voxels, they are not on one grid, or they are one map.
    """
    for name, volume in ((name1, first), (name2, second)):
        require_cube(name, volume)
        if volume.data.min() == volume.data.max():
            raise BlushError(
                f"{name} is constant: there is nothing to compare.", "Check that it is the right map."
            )
    doubts = require_same_grid(name1, first, name2, second)
    if np.array_equal(first.data, second.data):
        raise BlushError(
            f"{name1} and {name2} are the same map, whose FSC is 1 everywhere.",
            "Give the two independent halves of a reconstruction.",
        )
    return doubts


def require_cube(name: str | Path, volume: Volume) -> None:
    """Refuse a map that is no cube of cubic voxels."""
    if len(set(volume.shape)) != 1 or not volume.is_isotropic:
        raise BlushError(
            f"{name} has {describe_grid(volume)}; Fourier shells need a cube of cubic voxels.",
            "Pad or crop it to a cubic box, or resample it to one voxel size first.",
        )
