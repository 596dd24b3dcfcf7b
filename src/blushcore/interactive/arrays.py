"""Arrays as files in the folder that worker and asker share."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from blushcore.protocol import BlushError

MORE_ROOM = "Make room, or let TMPDIR name a folder with more of it before napari starts. Then try again."
"""What to do where a disk is full."""


class ArrayFolder:
    """Writes arrays under names of their own; a file has its name only once it is whole.

    Parameters
    ----------
    folder
        Exists, and belongs to this worker and its asker alone.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0

    def write(self, array: NDArray[np.float32], what: str) -> Path:
        """Write an array and return its file, which the reader may remove.

        Raises
        ------
        BlushError
            When the disk is full, or else does not take it. Nothing is left of the file then.
        """
        self._count += 1
        path = self._folder / f"{self._count:06d}-{what}.npy"
        unfinished = path.with_suffix(".part")
        try:
            with unfinished.open("wb") as file:
                np.save(file, np.ascontiguousarray(array, dtype=np.float32), allow_pickle=False)
            unfinished.replace(path)
        except OSError as error:
            with contextlib.suppress(OSError):
                unfinished.unlink()
            # numpy counts what a full disk did not take, and gives no reason.
            reason = error.strerror or "The disk is full"
            problem = f"{reason}: an array could not be written into {self._folder}."
            raise BlushError(problem, MORE_ROOM) from error
        return path
