"""What training minimises: errors shell by shell, none of which drowns another.

A map's power falls by a factor of a thousand between 30 and 5 Å, and beyond the resolution a half-map is noise
alone. A plain square cares for the coarse shape; one that weights fine detail up cares for the noise beyond the
resolution. Both make networks that smooth. So errors are counted in Fourier shells, each relative to what the
input holds there, and the agreement with the target, which no damping of whole shells can raise, counts beside.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own convention

from blushcore.denoiser.network import VOXEL_SIZE_ANGSTROM, Denoised
from blushcore.shells import shell_indices
from blushcore.shells.geometry import half_axis_weights

_MASK_WEIGHT = 0.1
_WEIGHT_BEYOND = 0.3
"""Weight of a shell beyond the resolution, where there is only noise to remove."""
_TAPER = 1.25
"""Weights fall from the resolution to this multiple of its frequency."""
_RAMP = 9 / 64
"""Share of a block's edge along which errors fade out: the margin that blending does not use."""
_FULL_SHARE = 0.05
"""Share of a block within the mask from which on its agreement counts fully."""
_NOTHING = 1e-8
"""Share of all power below which a shell holds nothing."""
_SMALLEST = 1e-12


class Loss(NamedTuple):
    """Scalars of one batch; `total` is what is minimised."""

    total: Tensor
    density: Tensor
    """Squared error in units of the input's power, mean over shells: 1 for an empty answer to pure signal."""
    mask: Tensor
    """Binary cross-entropy of the mask channel."""
    agreement: Tensor
    """FSC of answer and target within the mask, mean over shells up to the resolution and blocks."""
    agreement_before: Tensor
    """That of input and target."""


def noise2noise_loss(
    denoised: Denoised, blocks: Tensor, targets: Tensor, masks: Tensor, resolutions: Tensor
) -> Loss:
    """Compare what the network made of `blocks` with the targets, all ``(b, z, y, x)``.

    Two terms judge the density. The squared error, shell by shell in units of the input's power there (a weight
    that does not know the target leaves the minimiser of the paper's plain square, the posterior mean, what it
    is); and 1 − FSC of answer and target within the mask, which the posterior mean makes about least too, but
    which keeps its gradient where the answer is weak, as it is near the resolution. The noise of a noisy target
    is independent of the answer: it lowers the FSC of all answers alike. The weight of the mask channel is
    unpublished; 0.1 is ours.

    Parameters
    ----------
    denoised
        What the network made of `blocks`, recycled or not.
    blocks, targets
        Input and target of the network.
    masks
        Where the particle is, 0 to 1.
    resolutions
        Å ``(b,)``: up to where shells count fully.
    """
    n = blocks.shape[-1]
    window = _window(n, blocks.device, blocks.dtype)
    near = _weights(resolutions.to(blocks), n)
    offset = blocks.mean(dim=(1, 2, 3), keepdim=True)
    answer, wanted, given = (part - offset for part in (denoised.blocks, targets, blocks))

    error = _shell_sums(_transform((answer - wanted) * window))
    power = _shell_sums(_transform(given * window))
    floor = _least_power(power, near)
    everywhere = _WEIGHT_BEYOND + (1 - _WEIGHT_BEYOND) * near
    density = _mean(error / torch.maximum(power, floor), everywhere).mean()

    inside = window * masks
    one, two, before = (_transform(part * inside) for part in (answer, wanted, given))
    present = (masks.mean(dim=(1, 2, 3)) / _FULL_SHARE).clamp_max(1)
    agreement = _mean(_fsc(one, two), near)
    agreement_before = _mean(_fsc(before.detach(), two), near)
    mask = F.binary_cross_entropy_with_logits(denoised.mask_logits, masks)
    total = density + ((1 - agreement) * present).mean() + _MASK_WEIGHT * mask
    counted = present / present.sum().clamp_min(_SMALLEST)
    return Loss(
        total,
        density.detach(),
        mask.detach(),
        (agreement * counted).sum().detach(),
        (agreement_before * counted).sum().detach(),
    )


def _least_power(power: Tensor, near: Tensor) -> Tensor:
    """Return the least that shells count as holding: as much a component as the weakest one that matters.

    Where an input was cut off it holds nothing, and whatever is left there would weigh without bound.
    """
    n = 2 * (power.shape[1] - 2)
    shells, multiplicity = _half_grid(n, power.device, power.dtype)
    counts = multiplicity.expand(n, n, -1).flatten()
    components = power.new_zeros(power.shape[1]).index_add(0, shells, counts)
    within = (power / components).masked_fill(near < 1, torch.inf)
    return within.amin(1, keepdim=True) * components + _SMALLEST


def _fsc(one: Tensor, two: Tensor) -> Tensor:
    """FSC of two batches of transforms, ``(b, shells)``."""
    powers = [sums + _NOTHING * sums.sum(1, keepdim=True) for sums in (_shell_sums(one), _shell_sums(two))]
    return _shell_sums(one, two) / torch.sqrt(powers[0] * powers[1] + _SMALLEST)


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean over shells, ``(b,)``."""
    return (values * weights).sum(1) / weights.sum(1)


def _transform(volumes: Tensor) -> Tensor:
    result: Tensor = torch.fft.rfftn(volumes, dim=(1, 2, 3), norm="ortho")
    return result


def _shell_sums(one: Tensor, two: Tensor | None = None) -> Tensor:
    """Σ Re F₁F₂* over each shell, ``(b, n // 2 + 2)``, of transforms on the half grid; the corners are last."""
    other = one if two is None else two
    product = one.real * other.real + one.imag * other.imag
    shells, multiplicity = _half_grid(one.shape[1], one.device, product.dtype)
    sums = product.new_zeros(len(one), one.shape[1] // 2 + 2)
    return sums.index_add(1, shells, (product * multiplicity).flatten(1))


def _weights(resolutions: Tensor, n: int) -> Tensor:
    """1 up to the resolution, falling to 0 beyond, ``(b, n // 2 + 2)``; the mean of a block does not count."""
    frequency = torch.arange(n // 2 + 2, device=resolutions.device) / (n * VOXEL_SIZE_ANGSTROM)
    beyond = frequency * resolutions[:, None]
    weights = ((_TAPER - beyond) / (_TAPER - 1)).clamp(0, 1)
    weights[:, 0] = 0
    weights[:, -1] = 0
    weights[:, 1] = 1  # of a resolution coarser than the block, too
    return weights.to(resolutions.dtype)


@lru_cache(maxsize=4)
def _half_grid(n: int, device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Shell of each component of the half grid, flat, and how many components it stands for."""
    shells = shell_indices(n, device=device).long().clamp_max(n // 2 + 1).flatten()
    return shells, half_axis_weights(n).to(dtype).to(device)


@lru_cache(maxsize=4)
def _window(n: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """1 within a block, falling to 0 at its faces: blocks are not periodic, and their margin is not used."""
    place = torch.arange(n, device=device, dtype=dtype) + 0.5
    to_face = torch.minimum(place, n - place)
    line = torch.sin(torch.pi / 2 * (to_face / (_RAMP * n)).clamp_max(1)) ** 2
    return line[:, None, None] * line[:, None] * line
