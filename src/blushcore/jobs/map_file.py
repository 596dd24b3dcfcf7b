"""A map as something a job hands out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from blushcore.volumes import Volume, encode_map


@dataclass(frozen=True)
class MapFile:
    """An MRC file to be: an `Artefact`.

    Attributes
    ----------
    role, name
        As every `Artefact` has them. A name that ends in ``.gz`` or ``.bz2`` makes a compressed file.
    volume
        What it holds.
    dtype
        How values are stored; see `encode_map`.
    """

    role: str
    name: str
    volume: Volume
    dtype: Literal["float32", "float16"] = "float32"

    def write(self, path: Path) -> None:
        """Write the map to `path`.

        Raises
        ------
        BlushError
            As `encode_map`.
        """
        with path.open("wb") as file:
            encode_map(file, self.volume, self.name, dtype=self.dtype)
