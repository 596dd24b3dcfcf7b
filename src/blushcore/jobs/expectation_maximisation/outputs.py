"""The files of a refinement: RELION's names, RELION's contents.

Each iteration leaves ``run_it003_half1_class001.mrc`` and its like; the last one ``run_class001.mrc``,
``run_half1_class001_unfil.mrc``, ``run_half2_class001_unfil.mrc``, ``run_data.star`` and ``run_model.star``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from blushcore.jobs.map_file import MapFile
from blushcore.volumes import MapHeader, Volume, fourier_resample

if TYPE_CHECKING:
    from blushcore.particles import ParticleTable

_FLOAT16_LARGEST = 6e4
_FLOAT16_SMALLEST_SPREAD = 1e-3
"""Below such a standard deviation float16 has too few digits left."""


@dataclass(frozen=True)
class ParticleFile:
    """A particle table to be written: an `Artefact`."""

    role: str
    name: str
    table: ParticleTable

    def write(self, path: Path) -> None:
        """Write the table to `path`."""
        self.table.write(path)


def iteration_prefix(iteration: int) -> str:
    """Return what the names of an iteration's files begin with."""
    return f"run_it{iteration:03d}"


def map_file(
    role: str, name: str, data: NDArray[np.float32], voxel_size: float, label: str | None = None
) -> MapFile:
    """Return a whole map as an artefact, in float32; `label` stands in its header."""
    return MapFile(role, name, _volume(data, voxel_size, label))


def history_map(
    role: str,
    name: str,
    data: NDArray[np.float32],
    voxel_size: float,
    current_size: int,
    keep: Literal["light", "full"],
    label: str | None = None,
) -> MapFile:
    """Return a map of the run's history as an artefact.

    Parameters
    ----------
    data
        ``[z, y, x]``.
    voxel_size
        Å.
    current_size
        The map holds nothing beyond shell ``current_size / 2``, so a box of this size keeps all of it.
    keep
        light: on that smaller grid, and in float16 where the values allow it; full: as it is.
    label
        For its header.
    """
    if keep == "full":
        return map_file(role, name, data, voxel_size, label)
    n = len(data)
    size = min(n, max(current_size, 16))
    small = fourier_resample(torch.from_numpy(data), (size, size, size)).numpy() if size < n else data
    dtype: Literal["float32", "float16"] = "float16" if _fits_float16(small) else "float32"
    return MapFile(role, name, _volume(small, voxel_size * n / size, label), dtype)


def _fits_float16(values: NDArray[np.float32]) -> bool:
    return float(np.abs(values).max()) < _FLOAT16_LARGEST and float(values.std()) > _FLOAT16_SMALLEST_SPREAD


def _volume(data: NDArray[np.float32], voxel_size: float, label: str | None) -> Volume:
    header = MapHeader() if label is None else MapHeader().with_label(label)
    return Volume(np.ascontiguousarray(data, np.float32), (voxel_size,) * 3, header=header)
