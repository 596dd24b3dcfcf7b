"""Filters in Fourier space, in Å, on maps of any shape with voxels of any shape.

Functions of torch tensors on any device over the last three axes ``[..., z, y, x]``; dtype and device are kept.
The map is taken as periodic. Resolutions are of the cut-off's middle, where the weight is ½.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor

from blushcore.volumes.transforms import from_half_spectrum, half_spectrum
from blushcore.volumes.volume import Triple

VoxelSize: TypeAlias = float | Triple
"""Å, one number for all axes or one along each of (z, y, x)."""


def lowpass(volume: Tensor, resolution: float, voxel_size: VoxelSize, *, edge_shells: float = 2.0) -> Tensor:
    """Remove what is finer than a resolution.

    The weight is 1 up to half the edge below the cut-off ``1 / resolution``, 0 from half the edge above it, and
    half a cosine between. RELION's programs round the cut-off to a whole shell first: `lowpass_at_shell` of
    ``round(n·a / resolution)`` is their filter.

    Parameters
    ----------
    volume
        ``[..., z, y, x]``, real floating point.
    resolution
        Å.
    voxel_size
        Å.
    edge_shells
        Width of the edge, in shells of the longest side of the box; 0 for a hard edge.
    """
    width = edge_shells / max(_extent(volume, voxel_size))
    return _weighted(volume, voxel_size, lambda squared: _below(squared.sqrt_(), 1 / resolution, width))


def highpass(volume: Tensor, resolution: float, voxel_size: VoxelSize, *, edge_shells: float = 2.0) -> Tensor:
    """Remove what is coarser than a resolution, the mean included: what `lowpass` leaves with these figures."""
    width = edge_shells / max(_extent(volume, voxel_size))
    return _weighted(volume, voxel_size, lambda squared: 1 - _below(squared.sqrt_(), 1 / resolution, width))


def lowpass_at_shell(volume: Tensor, shell: float, *, edge_shells: float = 2.0) -> Tensor:
    """Remove the shells above `shell` of a cubic map; with the edge of 2 it has ½, its neighbours 1 and 0."""
    z, y, x = volume.shape[-3:]
    if not z == y == x:
        raise ValueError(f"shells are those of a cubic map, got {z} × {y} × {x}")
    width = edge_shells / x
    return _weighted(volume, 1.0, lambda squared: _below(squared.sqrt_(), shell / x, width))


def gaussian_lowpass(volume: Tensor, sigma: float, voxel_size: VoxelSize) -> Tensor:
    """Convolve with a Gaussian of standard deviation `sigma` Å: weight ``exp(−2π²σ²k²)``."""
    return _weighted(volume, voxel_size, lambda squared: squared.mul_(-2 * (math.pi * sigma) ** 2).exp_())


def _below(frequency: Tensor, cutoff: float, width: float) -> Tensor:
    """Weight 1 below the cut-off, 0 above, raised cosine over `width` about it; in place."""
    if width == 0:
        return (frequency <= cutoff).to(frequency.dtype)
    return frequency.sub_(cutoff - width / 2).div_(width).clamp_(0, 1).mul_(math.pi).cos_().add_(1).mul_(0.5)


def _sizes(voxel_size: VoxelSize) -> Triple:
    return (voxel_size,) * 3 if isinstance(voxel_size, (int, float)) else voxel_size


def _extent(volume: Tensor, voxel_size: VoxelSize) -> list[float]:
    return [n * size for n, size in zip(volume.shape[-3:], _sizes(voxel_size), strict=True)]


def _weighted(volume: Tensor, voxel_size: VoxelSize, weight: Callable[[Tensor], Tensor]) -> Tensor:
    """Multiply the transform by ``weight(k²)``, k in 1/Å; `weight` may work in place."""
    if volume.ndim < 3 or not volume.is_floating_point():
        raise ValueError("filters take real floating point maps [..., z, y, x]")
    working = volume.dtype if volume.dtype == torch.float64 else torch.float32
    z, y, x = volume.shape[-3:]
    dz, dy, dx = _sizes(voxel_size)
    on = {"device": volume.device, "dtype": working}
    kz = torch.fft.fftfreq(z, dz, **on).view(-1, 1, 1)
    ky = torch.fft.fftfreq(y, dy, **on).view(-1, 1)
    kx = torch.fft.rfftfreq(x, dx, **on)
    spectrum = half_spectrum(volume.to(working))
    spectrum *= weight(kz**2 + (ky**2 + kx**2))
    return from_half_spectrum(spectrum, (z, y, x)).to(volume.dtype)
