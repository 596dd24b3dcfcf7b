"""Sums to divide, without a particle."""

from __future__ import annotations

import torch
from scipy.spatial.transform import Rotation

from blushcore.projection import SliceSums
from blushcore.reconstruction import HalfSums
from blushcore.shells.plane import PlaneComponents


def random_sums(n: int = 24, size: int | None = None, seed: int = 0) -> HalfSums:
    """Sums of random slices: as Hermitian as those of images."""
    rng = torch.Generator().manual_seed(seed)
    plane = PlaneComponents.of(n)
    poses = torch.from_numpy(Rotation.random(200, random_state=seed).as_matrix())
    slices = SliceSums(n, size)
    data = torch.complex(*torch.randn(2, 200, plane.count, generator=rng))
    slices.insert(poses, data, torch.rand(200, plane.count, generator=rng), plane)
    return HalfSums.of(slices)
