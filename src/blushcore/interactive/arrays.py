"""Arrays as files in the folder that worker and asker share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray


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
        """Write an array and return its file, which the reader may remove."""
        self._count += 1
        path = self._folder / f"{self._count:06d}-{what}.npy"
        unfinished = path.with_suffix(".part")
        with unfinished.open("wb") as file:
            np.save(file, np.ascontiguousarray(array, dtype=np.float32), allow_pickle=False)
        unfinished.replace(path)
        return path
