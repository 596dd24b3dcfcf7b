"""Whether maps and masks lie on one grid, and a mask is one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from blushcore.protocol import BlushError
from blushcore.volumes.reading import constant_warning, read_map
from blushcore.volumes.volume import SAME_VOXEL_SIZE, Volume

MASK_TOLERANCE = 1e-3
"""How far a mask's values may lie beyond 0 and 1, and what counts as 0: rounding in other programs."""


def require_same_grid(
    name: str | Path, volume: Volume, other_name: str | Path, other: Volume
) -> tuple[str, ...]:
    """Refuse two volumes whose voxels do not correspond one to one.

    Parameters
    ----------
    name, other_name
        The files, for sentences.
    volume, other
        What they hold.

    Returns
    -------
    Sentences for the user where the headers place the volumes differently, by more than half a voxel along an
    axis. That is no error: many programs drop origins.

    Raises
    ------
    BlushError
        If their shapes differ, or their voxel sizes by more than 0.1 %.
    """
    same_size = np.allclose(volume.voxel_size, other.voxel_size, rtol=SAME_VOXEL_SIZE, atol=0)
    if volume.shape != other.shape or not same_size:
        raise BlushError(
            f"{name} ({describe_grid(volume)}) and {other_name} ({describe_grid(other)}) are not on one grid.",
            "Resample one of them, or give the true size with --voxel-size if a header is wrong.",
        )
    places = list(zip(volume.position, other.position, volume.voxel_size, strict=True))
    if all(abs(one - another) <= size / 2 for one, another, size in places):
        return ()
    doubt = (
        f"{other_name} begins at {_place(other)} Å and {name} at {_place(volume)} Å (x, y, z); voxel is laid "
        "on voxel all the same. Check that they belong together and a program has only dropped the origin."
    )
    return (doubt,)


def read_mask(path: Path, map_path: Path, volume: Volume, *, voxel_size: float | None = None) -> Volume:
    """Read the mask of a map.

    Parameters
    ----------
    path
        The mask's file.
    map_path, volume
        The map that it is for.
    voxel_size
        As for `read_map`.

    Returns
    -------
    The mask; its warnings also say where its header places it elsewhere than the map's.

    Raises
    ------
    BlushError
        If the file cannot be read, lies on another grid, or holds no mask.
    """
    mask = read_map(path, voxel_size=voxel_size)
    doubts = require_same_grid(map_path, volume, path, mask)
    require_mask_values(float(mask.data.min()), float(mask.data.max()), str(path))
    ones = constant_warning(path.name, 1.0)  # which is nothing odd in a mask
    return replace(mask, warnings=(*(text for text in mask.warnings if text != ones), *doubts))


def require_mask_values(lowest: float, highest: float, name: str) -> None:
    """Refuse what is no mask by its range of values.

    Raises
    ------
    BlushError
        With `name` at its beginning, if values leave 0 to 1, one is NaN, or none is above 0.
    """
    # NaN fails every comparison, so it lands here too.
    if not (lowest >= -MASK_TOLERANCE and highest <= 1 + MASK_TOLERANCE):
        raise BlushError(
            f"{name} holds values from {lowest:g} to {highest:g}; "
            "a mask lies between 0 (solvent) and 1 (particle).",
            "Make a soft mask of the map with blush mask.",
        )
    if highest <= MASK_TOLERANCE:
        raise BlushError(f"{name} is an empty mask: nowhere above 0.", "Lower the threshold it was made with.")


def describe_box(shape: tuple[int, ...]) -> str:
    """Return the number of voxels in the order that users know, x × y × z, of a shape (z, y, x)."""
    return " × ".join(str(n) for n in reversed(shape))


def describe_grid(volume: Volume) -> str:
    """Return the box and the voxel size for a sentence, in the order x, y, z."""
    sizes = volume.voxel_size[:1] if volume.is_isotropic else tuple(reversed(volume.voxel_size))
    return f"{describe_box(volume.shape)} voxels of {' × '.join(f'{size:.5g}' for size in sizes)} Å"


def _place(volume: Volume) -> str:
    return ", ".join(f"{place:.4g}" for place in reversed(volume.position))
