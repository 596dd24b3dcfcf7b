"""Two half-maps of a small particle, as a reconstruction would leave them, and maps as files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from blushcore.training.augmentation import HalfMapPair
from blushcore.volumes import Volume, lowpass, write_map
from blushcore.volumes.masks import soft_sphere

VOXEL_SIZE = 1.5


def small_halves(n: int = 80, radius: float = 22.0, *, mean: float = 0.0, seed: int = 1) -> HalfMapPair:
    """Return a ball of smooth density of unit variance at some 8 Å, with white noise in each half.

    Parameters
    ----------
    n, radius
        Of the box and of the ball, voxels of 1.5 Å.
    mean
        Of the density within the ball: it stands out of the solvent from 3 on.
    seed
        Of all that is drawn.
    """
    generator = torch.Generator().manual_seed(seed)
    mask = soft_sphere((n,) * 3, radius, 4)
    signal = lowpass(torch.randn((n,) * 3, generator=generator), 8.0, VOXEL_SIZE)
    signal = (signal / signal[mask > 0.5].std() + mean) * mask
    one, two = (signal + 1.5 * torch.randn(signal.shape, generator=generator) for _ in range(2))
    return HalfMapPair(one, two, mask, 8.0, 2 * (radius + 4) * VOXEL_SIZE, signal, signal)


def write(path: Path, data: Tensor, voxel_size: float = VOXEL_SIZE) -> None:
    """Write a map."""
    write_map(path, Volume(np.ascontiguousarray(data.numpy(), np.float32), (voxel_size,) * 3))


def written(folder: Path, pair: HalfMapPair) -> Path:
    """Write ``half1.mrc``, ``half2.mrc`` and ``mask.mrc`` into a folder, and return it."""
    for name in ("half1", "half2", "mask"):
        write(folder / f"{name}.mrc", getattr(pair, name))
    return folder
