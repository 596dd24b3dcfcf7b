"""The posterior and its sums as the formulas have them: float64, every pose of every image, no shortcuts."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from blushcore.shells import PlaneComponents


def log_weights(
    images: Tensor, transfer: Tensor, slices: Tensor, ramps: Tensor, variance: Tensor, log_prior: Tensor
) -> Tensor:
    """log P(pose) − Σ|X·ramp − CTF·S|² / 2σ², float64 ``(B, O, T)``; log_prior ``(B, O, T)``."""
    images, slices, ramps = (value.to(torch.complex128) for value in (images, slices, ramps))
    transfer, variance = transfer.double(), variance.double()
    result = torch.empty(len(images), len(slices), len(ramps), dtype=torch.float64)
    for b in range(len(images)):
        for t in range(len(ramps)):
            difference = images[b] * ramps[t] - transfer[b] * slices
            result[b, :, t] = -(difference.abs().square() / (2 * variance)).sum(1)
    return result + log_prior


def kept(weights: np.ndarray, fraction: float) -> np.ndarray:
    """The fewest of the normalised weights that make up the fraction, as a mask."""
    order = np.argsort(weights, axis=None)[::-1]
    count = int(np.searchsorted(np.cumsum(weights.ravel()[order]), fraction)) + 1
    mask = np.zeros(weights.size, bool)
    mask[order[:count]] = True
    return mask.reshape(weights.shape)


def shell_spread(variance: Tensor, plane: PlaneComponents) -> Tensor:
    """σ² of each component."""
    return variance[plane.shell]
