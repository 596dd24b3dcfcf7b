"""What a run writes, and whether the disk has room for it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Literal

from blushcore.protocol import BlushError

_GIB, _MIB = 2**30, 2**20
_BYTES_A_STAR_ROW = 350
_STATE_BYTES_A_PARTICLE = 88
"""Of a checkpoint: pose, norm, class, and how likely they are."""
_CHECKPOINTS = 2


def disk_bytes(
    keep: Literal["light", "full"],
    particles: int,
    box: int,
    *,
    iterations: int,
    maps: int,
    last_maps: int,
    before_prior: int = 0,
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
        How many references each iteration leaves, and how many maps there are at last.
    before_prior
        How many more each leaves: what the prior began with.
    """
    a_map, stars = 4 * box**3, _BYTES_A_STAR_ROW * particles
    history = (maps + before_prior) * a_map
    history = history if keep == "full" else history // 8
    checkpoints = _CHECKPOINTS * (maps * a_map + _STATE_BYTES_A_PARTICLE * particles)
    return iterations * (history + stars) + checkpoints + last_maps * a_map + stars


def check_disk(folder: Path, needed: int, keep: Literal["light", "full"] = "light") -> None:
    """Refuse a run that will not fit onto the disk of `folder`, which need not exist yet.

    Parameters
    ----------
    folder
        Where it is to be written.
    needed
        Bytes.
    keep
        What it is to keep of its maps: to keep less is advised where that can be.

    Raises
    ------
    BlushError
        With what it takes and what there is.
    """
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free
    if needed > free:
        less = ", or keep less with --keep light" if keep == "full" else ""
        raise BlushError(
            f"The run will take about {_size(needed)}, and the disk of {there} has {_size(free)} left.",
            f"Free some space or write elsewhere{less}.",
        )


def _size(count: int) -> str:
    """Return a number of bytes in words."""
    return f"{count / _GIB:.1f} GiB" if count >= _GIB else f"{count / _MIB:.0f} MiB"
