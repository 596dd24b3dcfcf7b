"""What training minimises."""

from __future__ import annotations

import math
from typing import NamedTuple

from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own convention

from blushcore.denoiser.network import VOXEL_SIZE_ANGSTROM, Denoised

_GRADIENT_FREQUENCY = 0.03
"""1/Å, where the error of the gradient weighs as much as that of the density."""
_GRADIENT_WEIGHT = 1 / (2 * math.pi * VOXEL_SIZE_ANGSTROM * _GRADIENT_FREQUENCY) ** 2
_MASK_WEIGHT = 0.05
_SMALLEST_SIGNAL = 0.05


class Loss(NamedTuple):
    """Scalars of one batch; `total` is what is minimised."""

    total: Tensor
    density: Tensor
    """Mean squared error of the density relative to the signal's power."""
    mask: Tensor
    """Binary cross-entropy of the mask channel."""


def noise2noise_loss(denoised: Denoised, blocks: Tensor, targets: Tensor, masks: Tensor) -> Loss:
    """Compare what the network made of `blocks` with the targets, all ``(b, z, y, x)``.

    The density term is ``‖d‖² + λ‖∇d‖²`` of the difference d. Any positive weighting of Fourier components has
    the same minimiser in expectation, the posterior mean, as the paper's plain square; this one keeps the weak
    fine detail, which decides the resolution, from drowning in the strong coarse shape. Each block is weighted
    by its own signal's power, estimated without bias as the covariance of input and target, so that noisy maps
    count as much as clean ones. The weight of the mask channel is unpublished; 0.05 is ours.

    Parameters
    ----------
    denoised
        What the network made of `blocks`, recycled or not.
    blocks, targets
        Input and target of the network.
    masks
        Where the particle is, 0 to 1.
    """
    difference = denoised.blocks - targets
    squared = difference.square().mean(dim=(1, 2, 3))
    for axis in (1, 2, 3):
        squared = squared + _GRADIENT_WEIGHT * difference.diff(dim=axis).square().mean(dim=(1, 2, 3))
    signal = _signal_power(blocks, targets)
    density = (squared / signal).mean()
    mask = F.binary_cross_entropy_with_logits(denoised.mask_logits, masks)
    return Loss(density + _MASK_WEIGHT * mask, density.detach(), mask.detach())


def _signal_power(blocks: Tensor, targets: Tensor) -> Tensor:
    """Return the covariance of input and target, weighted as the loss is; at least 5 % of the input's power."""

    def covariance(a: Tensor, b: Tensor) -> Tensor:
        a, b = (v - v.mean(dim=(1, 2, 3), keepdim=True) for v in (a, b))
        total = (a * b).mean(dim=(1, 2, 3))
        for axis in (1, 2, 3):
            total = total + _GRADIENT_WEIGHT * (a.diff(dim=axis) * b.diff(dim=axis)).mean(dim=(1, 2, 3))
        return total

    own = blocks.var(dim=(1, 2, 3))
    return covariance(blocks, targets).clamp_min(_SMALLEST_SIGNAL * own).clamp_min(1e-6)
