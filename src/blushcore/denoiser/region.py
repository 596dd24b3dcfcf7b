"""Where the denoiser looks: the particle's soft sphere and a user's mask, on the network's grid."""

from __future__ import annotations

import torch
from torch import Tensor

from blushcore.volumes.masks import soft_sphere
from blushcore.volumes.volume import Triple

SPHERE_EDGE_ANGSTROM = 10.0
"""Width of the soft edge outside the particle's sphere, where the box has room for it."""
_LEAST_EDGE_VOXELS = 3.0
_EMPTY_BELOW = 1e-3
"""Mask values below this count as 0, so that the tails of a filtered mask cost no blocks."""


def particle_sphere(
    shape: tuple[int, int, int],
    voxel_size: Triple,
    diameter: float | None,
    *,
    device: torch.device | str | None = None,
) -> Tensor:
    """Make the soft sphere that holds the particle, float32 ``(z, y, x)``.

    Parameters
    ----------
    shape, voxel_size
        Of the grid; Å along (z, y, x), nearly equal.
    diameter
        Of the particle, Å. Its soft edge of 10 Å lies outside, and is narrowed before it cuts into a particle
        that nearly fills the box. None, or more than fits, is the largest sphere in the box's longest axis
        (with its whole edge for None, with a narrow one otherwise).
    device
        Of the result.
    """
    size = sum(voxel_size) / 3
    half = max(shape) / 2
    edge = min(SPHERE_EDGE_ANGSTROM / size, half / 2)
    if diameter is None:
        radius = half - edge
    else:
        radius = min(diameter / 2 / size, half - min(_LEAST_EDGE_VOXELS, half / 4))
        edge = min(edge, half - radius)
    return soft_sphere(shape, radius, edge, device=device)


def mask_on_grid(mask: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """Resample a mask over the same box, float32 ``(z, y, x)`` between 0 and 1.

    Linear, along each axis in turn, with the centre ``n // 2`` going to the centre: unlike Fourier resampling
    it does not ring at a sharp mask's edge. Values below 0.001 become 0.

    Parameters
    ----------
    mask
        ``(z, y, x)``.
    shape
        Number of voxels along (z, y, x) of the result.
    """
    values = mask.float()
    for axis, m in enumerate(shape):
        values = _stretched(values, axis, m)
    values = values.clamp(0, 1)
    return values.masked_fill_(values < _EMPTY_BELOW, 0)


def _stretched(values: Tensor, axis: int, m: int) -> Tensor:
    n = values.shape[axis]
    if n == m:
        return values
    place = n // 2 + (torch.arange(m, device=values.device, dtype=torch.float32) - m // 2) * (n / m)
    place = place.clamp_(0, n - 1)
    below = place.floor().long()
    above = (below + 1).clamp_(max=n - 1)
    fraction = (place - below).view([-1 if i == axis else 1 for i in range(3)])
    return torch.lerp(values.index_select(axis, below), values.index_select(axis, above), fraction)
