"""Coloured noise of particle images."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

_STREAM = 0x6E6F697365
"""Sets the noise's random numbers apart from others of the same seed."""
_WHITE, _LOW_FREQUENCIES, _WIDTH = 0.6, 2.0, 0.08
"""Power 0.6 + 2 exp(−(f/0.08)²), f in cycles a pixel: ice and carbon at low frequencies, counting at all."""


def noise_power(box: int) -> Tensor:
    """Return the noise's power on the half grid of `rfft2`, float32 ``(box, box // 2 + 1)``.

    Scaled such that noise of this power has variance 1.
    """
    fy, fx = torch.fft.fftfreq(box).double(), torch.fft.rfftfreq(box).double()
    squared = fy[:, None] ** 2 + fx**2
    power = _WHITE + _LOW_FREQUENCIES * torch.exp(-squared / _WIDTH**2)
    # Every column but the first and, for even boxes, the last stands for its mate too.
    twice = torch.full((box // 2 + 1,), 2.0, dtype=torch.float64)
    twice[0] = 1.0
    if box % 2 == 0:
        twice[-1] = 1.0
    return (power / ((power * twice).sum() / box**2)).float()


def coloured_noise(box: int, images: range, seed: int) -> Tensor:
    """Return noise of variance 1, float32 ``(len(images), box, box)``.

    The noise of an image depends on the seed and the image's number alone, not on the batches.
    """
    white = np.empty((len(images), box, box), np.float32)
    for row, number in enumerate(images):
        np.random.default_rng((seed, _STREAM, number)).standard_normal(dtype=np.float32, out=white[row])
    amplitude = noise_power(box).sqrt()
    noise: Tensor = torch.fft.irfft2(torch.fft.rfft2(torch.from_numpy(white)) * amplitude, s=(box, box))
    return noise
