"""The network's second input channel: how much the density varies around each voxel."""

from __future__ import annotations

import torch
from torch import Tensor

_TAPS = 21
_REACH = 1.5
_STRETCH = 128
"""Rows of the banded matrix at a time: long enough for BLAS, short enough not to multiply zeros."""


def local_standard_deviation(volume: Tensor) -> Tensor:
    """Return the local standard deviation of `volume`, divided by its mean over the volume.

    ``√(G*v² − (G*v)²)`` with G the separable kernel exp(−x²) sampled at 21 taps on [−1.5, 1.5] (σ ≈ 4.7
    voxels), normalised, the volume taken as 0 outside (contract of the published network; Kimanius et al.
    2024).

    Parameters
    ----------
    volume
        ``(z, y, x)``: raw, that is unmasked and not standardised. Its scale and offset do not matter but for
        the border, where an offset meets the zeros outside.

    Returns
    -------
    Tensor
        Same shape, dtype and device; zeros for a constant volume.
    """
    kernel = torch.exp(-(torch.linspace(-_REACH, _REACH, _TAPS, dtype=torch.float64) ** 2))
    kernel = (kernel / kernel.sum()).to(volume)
    # Less cancellation in G*v² − (G*v)² when the volume is of order one; the scale falls out at the end.
    scale = volume.std().clamp_min(torch.finfo(volume.dtype).tiny)
    v = (volume / scale).contiguous()
    mean = _blur(v, kernel)
    std = _blur(v.square_(), kernel).sub_(mean.square_()).clamp_min_(0).sqrt_()
    average = std.mean()
    return std.div_(average) if average > 0 else std


def _blur(volume: Tensor, kernel: Tensor) -> Tensor:
    """Convolve along z, y and x in turn, zeros outside.

    As products with banded matrices: BLAS does 21 taps as a dense product faster than torch convolves.
    """
    for axis in range(3):
        volume = _banded_product(volume, kernel, axis)
    return volume


def _banded_product(volume: Tensor, kernel: Tensor, axis: int) -> Tensor:
    """Convolve along one axis, a stretch of rows of the banded matrix at a time."""
    n, reach = volume.shape[axis], kernel.numel() // 2
    index = torch.arange(n, device=volume.device)
    out = torch.empty_like(volume)
    for start in range(0, n, _STRETCH):
        stop = min(n, start + _STRETCH)
        low, high = max(0, start - reach), min(n, stop + reach)
        offset = index[start:stop, None] - index[None, low:high] + reach
        band = torch.where((offset >= 0) & (offset <= 2 * reach), kernel[offset.clamp(0, 2 * reach)], 0)
        source = volume.narrow(axis, low, high - low)
        target = out.narrow(axis, start, stop - start)
        match axis:
            case 0:
                torch.mm(band, source.reshape(high - low, -1), out=target.view(stop - start, -1))
            case 1:
                target.copy_(torch.matmul(band, source))
            case _:
                target.copy_(torch.matmul(source, band.T))
    return out
