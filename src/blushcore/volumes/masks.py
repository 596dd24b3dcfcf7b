"""Soft masks: spheres, and the molecule's outline from a threshold."""

from __future__ import annotations

import torch
from torch import Tensor


def soft_sphere(
    shape: tuple[int, int, int],
    radius: float,
    edge: float,
    *,
    device: torch.device | str | None = None,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Make a sphere about the centre ``n // 2`` with a raised-cosine edge outside its radius.

    Parameters
    ----------
    shape
        Voxels along (z, y, x).
    radius
        In voxels: 1 up to here.
    edge
        In voxels: ``½ + ½ cos(π (r − radius) / edge)`` over this width outwards, 0 beyond. 0 for a hard edge.
    """
    if edge < 0:
        raise ValueError(f"a soft edge has a width of 0 or more voxels, got {edge}")
    squared = torch.zeros((1, 1, 1), device=device, dtype=torch.float32)
    for axis, n in enumerate(shape):
        offset = torch.arange(n, device=device, dtype=torch.float32) - n // 2
        squared = squared + (offset**2).view([-1 if i == axis else 1 for i in range(3)])
    return raised_cosine_edge(squared.sqrt_(), radius, edge).to(dtype)


def raised_cosine_edge(distance: Tensor, radius: float, edge: float) -> Tensor:
    """Return 1 for a distance up to `radius`, 0 from ``radius + edge`` on, half a cosine between; in place."""
    if edge == 0:
        return (distance <= radius).to(distance.dtype)
    return distance.sub_(radius).div_(edge).clamp_(0, 1).mul_(torch.pi).cos_().add_(1).mul_(0.5)
