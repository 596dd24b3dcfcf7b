"""Another grid for the same map: resampling in Fourier space, padding and cropping in real space.

Functions of torch tensors on any device, over the last three axes ``[..., z, y, x]``; dtype and device are
kept. Index ``n // 2`` of each axis is the centre and stays the centre.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

_HALF_PRECISION = (torch.float16, torch.bfloat16)


def fourier_resample(volume: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """Resample periodic maps to another number of voxels by cropping or padding their Fourier transform.

    The box keeps its extent, so the voxel size along an axis becomes ``a·n/m``. Values are kept, not sums: a
    constant stays that constant. Point ``n // 2`` goes to point ``m // 2``, also between odd and even sizes.
    A band-limited map resampled up and down again is unchanged, the Nyquist component of even sizes included:
    it is split between ±n/2 on the way up and the two are added on the way down.

    Parameters
    ----------
    volume
        ``[..., z, y, x]``, real floating point. Half precision is computed in float32.
    shape
        Number of voxels along (z, y, x) of the result.
    """
    if volume.ndim < 3 or not volume.is_floating_point():
        raise ValueError("fourier_resample takes real floating point maps [..., z, y, x]")
    if min(shape) < 1:
        raise ValueError(f"every axis needs at least one voxel, got {shape}")
    result = volume.float() if volume.dtype in _HALF_PRECISION else volume
    # Separable: each axis goes to Fourier space and back by itself, shrinking axes first. That is as many
    # transforms as one three-dimensional pair, and the intermediate is never larger than it has to be.
    changes = [
        (shape[axis] / volume.shape[axis], axis) for axis in (-1, -2, -3) if shape[axis] != volume.shape[axis]
    ]
    for _, axis in sorted(changes, key=lambda change: change[0]):
        result = _resample_axis(result, axis, shape[axis])
    return result.to(volume.dtype) if changes else volume.clone()


def _resample_axis(volume: Tensor, axis: int, m: int) -> Tensor:
    """Resample one axis of `volume` to `m` points."""
    n = volume.shape[axis]
    spectrum = torch.fft.rfft(volume, dim=axis, norm="forward")  # 1/n here: values survive, not sums
    smaller = min(n, m)
    spectrum = spectrum.narrow(axis, 0, smaller // 2 + 1)

    shift = (m // 2) / m - (n // 2) / n  # of the centre, as a fraction of the box
    if shift:
        k = torch.arange(smaller // 2 + 1, device=volume.device, dtype=volume.dtype)
        turn = torch.polar(torch.ones_like(k), -2 * math.pi * shift * k)
        spectrum = spectrum * turn.view([-1] + [1] * (-axis - 1))

    if smaller % 2 == 0:
        nyquist = spectrum.narrow(axis, smaller // 2, 1)
        if m < n:
            # ±m/2 fall onto one point of the smaller grid: X + X* = 2 Re X there.
            nyquist.copy_(2 * nyquist.real)
        else:
            # The one point of the smaller grid becomes a pair, each with half of it.
            nyquist.mul_(0.5)
    return torch.fft.irfft(spectrum, n=m, dim=axis, norm="forward")


def pad_or_crop(volume: Tensor, shape: tuple[int, int, int], value: float = 0.0) -> Tensor:
    """Pad with `value` or crop in real space, per axis, about the centre ``n // 2``.

    Parameters
    ----------
    volume
        ``[..., z, y, x]``, any dtype.
    shape
        Number of voxels along (z, y, x) of the result, which is always a new tensor.
    value
        What new voxels hold.
    """
    if volume.ndim < 3:
        raise ValueError("pad_or_crop takes maps [..., z, y, x]")
    result = volume.new_full((*volume.shape[:-3], *shape), value)
    source, target = volume, result
    for axis, m in zip((-3, -2, -1), shape, strict=True):
        n = volume.shape[axis]
        first = m // 2 - n // 2  # index of the old voxel 0 in the new box
        begin, end = max(first, 0), min(first + n, m)
        source = source.narrow(axis, begin - first, end - begin)
        target = target.narrow(axis, begin, end - begin)
    target.copy_(source)
    return result
