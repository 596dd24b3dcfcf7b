"""What a run writes, and whether the disk has room for it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Literal

from blushcore.protocol import BlushError

_GIB = 2**30
_BYTES_A_STAR_ROW = 350
_STATE_BYTES_A_PARTICLE = 88
"""Of a checkpoint: pose, norm, class, and how likely they are."""
_CHECKPOINTS = 2


def disk_bytes(
    keep: Literal["light", "full"], particles: int, box: int, *, iterations: int, maps: int, last_maps: int
) -> int:
    """Return what a run writes: the maps and STAR files of its iterations, the last ones, and checkpoints.

    Parameters
    ----------
    keep
        light: the history's maps are in float16 and cropped; to half, on the mean.
    particles, box
        How many images there are, and the maps' box in pixels.
    iterations
        How many there may be.
    maps, last_maps
        How many each iteration leaves, and how many there are at last.
    """
    a_map, stars = 4 * box**3, _BYTES_A_STAR_ROW * particles
    history = maps * a_map if keep == "full" else maps * a_map // 8
    checkpoints = _CHECKPOINTS * (maps * a_map + _STATE_BYTES_A_PARTICLE * particles)
    return iterations * (history + stars) + checkpoints + last_maps * a_map + stars


def check_disk(folder: Path, needed: int) -> None:
    """Refuse a run that will not fit onto the disk of `folder`, which need not exist yet.

    Raises
    ------
    BlushError
        With what it takes and what there is.
    """
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free
    if needed > free:
        raise BlushError(
            f"The run will take about {needed / _GIB:.1f} GiB, and the disk of {there} has "
            f"{free / _GIB:.1f} GiB left.",
            "Free some space, write elsewhere, or keep less with --keep light.",
        )
