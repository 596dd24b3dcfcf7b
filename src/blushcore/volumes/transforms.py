"""The Fourier transform of real maps of any shape, and back.

`torch.fft.rfftn` and its inverse, but for one thing: on a CPU, MKL (2024.2, in PyTorch 2.13) writes beyond its
buffers in the transform along two axes of some unequal lengths, (2, 426) and (54, 2666) for instance, and the
process dies sooner or later (pytorch/pytorch#125664 tells of such a case). Along single axes, and along two of
one length, it does not; up to 1024 that was tried out. So boxes whose z and y differ are transformed axis by
axis there, which takes up to twice as long.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch
from torch import Tensor

Norm: TypeAlias = Literal["backward", "ortho", "forward"]


def half_spectrum(volume: Tensor, norm: Norm = "backward") -> Tensor:
    """Transform the last three axes of real ``[..., z, y, x]``; complex ``[..., z, y, x // 2 + 1]``."""
    spectrum: Tensor
    if _axis_by_axis(volume):
        spectrum = torch.fft.rfft(volume, dim=-1, norm=norm)
        for axis in (-2, -3):
            spectrum = torch.fft.fft(spectrum, dim=axis, norm=norm)
    else:
        spectrum = torch.fft.rfftn(volume, dim=(-3, -2, -1), norm=norm)
    return spectrum


def from_half_spectrum(spectrum: Tensor, shape: tuple[int, int, int], norm: Norm = "backward") -> Tensor:
    """Transform back to real ``[..., z, y, x]``.

    Parameters
    ----------
    spectrum
        Complex, ``[..., z, y, _]``: as many components along x as there are; missing ones count as zero.
    shape
        Number of voxels along (z, y, x).
    norm
        As it was on the way there.
    """
    volume: Tensor
    if _axis_by_axis(spectrum):
        for axis in (-3, -2):
            spectrum = torch.fft.ifft(spectrum, dim=axis, norm=norm)
        volume = torch.fft.irfft(spectrum, n=shape[2], dim=-1, norm=norm)
    else:
        volume = torch.fft.irfftn(spectrum, s=shape, dim=(-3, -2, -1), norm=norm)
    return volume


def _axis_by_axis(volume: Tensor) -> bool:
    return volume.device.type == "cpu" and volume.shape[-3] != volume.shape[-2]
