"""What training minimises."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own convention

from blushcore.denoiser.network import VOXEL_SIZE_ANGSTROM, Denoised

_GRADIENT_FREQUENCY = 0.03
"""1/Å, where the error of the gradient weighs as much as that of the density."""
_CURVATURE_FREQUENCY = 0.05
"""1/Å, where the error of the Laplacian weighs as much as that of the density."""
_GRADIENT_WEIGHT = 1 / (2 * math.pi * VOXEL_SIZE_ANGSTROM * _GRADIENT_FREQUENCY) ** 2
_CURVATURE_WEIGHT = 1 / (2 * math.pi * VOXEL_SIZE_ANGSTROM * _CURVATURE_FREQUENCY) ** 4
_MASK_WEIGHT = 0.05
_SMALLEST_SIGNAL = 0.2
"""Share of the target's power: an empty answer costs at most 5, so that no block outweighs all others."""


class Loss(NamedTuple):
    """Scalars of one batch; `total` is what is minimised."""

    total: Tensor
    density: Tensor
    """Mean squared error of the density relative to the signal's power."""
    mask: Tensor
    """Binary cross-entropy of the mask channel."""


def noise2noise_loss(denoised: Denoised, blocks: Tensor, targets: Tensor, masks: Tensor) -> Loss:
    """Compare what the network made of `blocks` with the targets, all ``(b, z, y, x)``.

    The density term is ``‖d‖² + λ‖∇d‖² + μ‖Δd‖²`` of the difference d. Any fixed positive weighting of
    Fourier components has the same minimiser in expectation, the posterior mean, as the paper's plain
    square; this one keeps the weak fine detail, which decides the resolution, from drowning in the strong
    coarse shape: a map's power falls by a factor of a thousand between 30 and 5 Å, and the weight rises by
    300. Each block is weighted by its own signal's power, estimated as the covariance of input and target,
    so that noisy maps count as much as clean ones; that weight holds a little of the target's noise,
    averaged over the block, so for noisy targets the minimiser is the posterior mean only nearly. The
    weight of the mask channel is unpublished; 0.05 is ours.

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
    squared = _weighted_product(difference, difference)
    signal = _signal_power(blocks, targets)
    density = (squared / signal).mean()
    mask = F.binary_cross_entropy_with_logits(denoised.mask_logits, masks)
    return Loss(density + _MASK_WEIGHT * mask, density.detach(), mask.detach())


def _signal_power(blocks: Tensor, targets: Tensor) -> Tensor:
    """Return the covariance of input and target, weighted as the loss is, or 0.2 of the target's power."""
    centred, wanted = (part - part.mean(dim=(1, 2, 3), keepdim=True) for part in (blocks, targets))
    least = _SMALLEST_SIGNAL * _weighted_product(wanted, wanted)
    return torch.maximum(_weighted_product(centred, wanted), least).clamp_min(1e-6)


def _weighted_product(a: Tensor, b: Tensor) -> Tensor:
    """Return ⟨a, b⟩ + λ⟨∇a, ∇b⟩ + μ⟨Δa, Δb⟩ per block, each the mean over its voxels."""
    total = (a * b).mean(dim=(1, 2, 3))
    for axis in (1, 2, 3):
        total = total + _GRADIENT_WEIGHT * (a.diff(dim=axis) * b.diff(dim=axis)).mean(dim=(1, 2, 3))
    return total + _CURVATURE_WEIGHT * (_laplacian(a) * _laplacian(b)).mean(dim=(1, 2, 3))


def _laplacian(v: Tensor) -> Tensor:
    """Second differences along z, y and x added, on the voxels that have all neighbours."""
    inner = v[:, 1:-1, 1:-1, 1:-1]
    z = v[:, 2:, 1:-1, 1:-1] + v[:, :-2, 1:-1, 1:-1]
    y = v[:, 1:-1, 2:, 1:-1] + v[:, 1:-1, :-2, 1:-1]
    x = v[:, 1:-1, 1:-1, 2:] + v[:, 1:-1, 1:-1, :-2]
    return z + y + x - 6 * inner
