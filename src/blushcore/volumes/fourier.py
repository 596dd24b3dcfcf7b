"""Another grid for the same map: resampling in Fourier space, padding and cropping in real space.

Functions of torch tensors on any device, over the last three axes ``[..., z, y, x]``; dtype and device are
kept. Index ``n // 2`` of each axis is the centre and stays the centre.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from blushcore.volumes.transforms import from_half_spectrum, half_spectrum

_AXES = (-3, -2, -1)
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
    values = volume.float() if volume.dtype in _HALF_PRECISION else volume
    changed = [axis for axis in _AXES if shape[axis] != volume.shape[axis]]
    if not changed:
        return volume.clone()
    spectrum = half_spectrum(values, norm="forward")  # 1/n here: values survive, not sums
    for axis in reversed(changed):  # x first: cutting it is a view
        spectrum = _resize(spectrum, axis, volume.shape[axis], shape[axis])
    return from_half_spectrum(spectrum, shape, norm="forward").to(volume.dtype)


def _resize(spectrum: Tensor, axis: int, n: int, m: int) -> Tensor:
    """Cut or pad one axis of a half-complex spectrum from `n` to `m` points; x goes on holding half of them."""
    shift = (m // 2) / m - (n // 2) / n  # of the centre, as a fraction of the box; 0 between even sizes
    if axis == _AXES[-1]:
        return _resize_half(spectrum, n, m, shift)
    if shift and m < n:
        spectrum = _shifted(spectrum, axis, _signed_indices(n, spectrum), shift)
    smaller = min(n, m)
    begin = spectrum.narrow(axis, 0, (smaller + 1) // 2)
    end = spectrum.narrow(axis, n - (smaller - 1) // 2, (smaller - 1) // 2)
    middle = []
    if smaller % 2 == 0 and m < n:  # ±m/2 fall onto one point of the smaller grid
        middle = [spectrum.narrow(axis, m // 2, 1) + spectrum.narrow(axis, n - m // 2, 1)]
    if m > n:
        split = [spectrum.narrow(axis, n // 2, 1) * 0.5] if smaller % 2 == 0 else []
        gap = list(spectrum.shape)
        gap[axis] = m - n - len(split)
        middle = [*split, spectrum.new_zeros(gap), *split]
    spectrum = torch.cat([begin, *middle, end], dim=axis)
    if shift and m > n:
        spectrum = _shifted(spectrum, axis, _signed_indices(m, spectrum), shift)
    return spectrum


def _resize_half(spectrum: Tensor, n: int, m: int, shift: float) -> Tensor:
    """Cut the axis that holds the non-negative half; the inverse transform pads it by itself."""
    smaller = min(n, m)
    spectrum = spectrum[..., : smaller // 2 + 1]
    if shift:
        spectrum = _shifted(spectrum, -1, torch.arange(smaller // 2 + 1, device=spectrum.device), shift)
    if smaller % 2 == 0:
        # As above: on the way down X(m/2) + X(-m/2), whose sum the inverse makes of twice the one (it ignores
        # the imaginary part there); on the way up half of it, since the inverse now counts the pair.
        spectrum[..., -1].mul_(2 if m < n else 0.5)
    return spectrum


def _signed_indices(n: int, like: Tensor) -> Tensor:
    indices: Tensor = torch.fft.fftfreq(n, 1 / n, device=like.device, dtype=like.real.dtype)
    return indices


def _shifted(spectrum: Tensor, axis: int, index: Tensor, fraction: float) -> Tensor:
    """Shift by `fraction` of the box along one axis, in place."""
    angle = (-2 * math.pi * fraction) * index.to(spectrum.real.dtype)
    turn = torch.polar(torch.ones_like(angle), angle)
    shifted: Tensor = spectrum.mul_(turn.view([-1] + [1] * (-axis - 1)))
    return shifted


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
    for axis, m in zip(_AXES, shape, strict=True):
        n = volume.shape[axis]
        first = m // 2 - n // 2  # index of the old voxel 0 in the new box
        begin, end = max(first, 0), min(first + n, m)
        source = source.narrow(axis, begin - first, end - begin)
        target = target.narrow(axis, begin, end - begin)
    target.copy_(source)
    return result
