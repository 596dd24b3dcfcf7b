"""Images whose orientations are known: only the class is to be found, and the offset if it is not known either.

With one orientation an image there is little to search, so nothing is left out: the posterior over all classes
and offsets is computed at once, at the finest offsets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from blushcore.inference.coarse import Weighted
from blushcore.inference.posterior_sums import ResidualParts, TileImages
from blushcore.projection import FourierVolume, SliceSums
from blushcore.shells import PlaneComponents


@dataclass(frozen=True)
class FixedPosterior:
    """The posterior of B images over K classes and T offsets, in one orientation each.

    Attributes
    ----------
    weights
        Γ, float32 ``(B, K, T)``; those of an image sum to 1.
    log_sum
        Log of the sum of likelihood × prior, up to a constant of the image, float64 ``(B,)``.
    parts
        What the residuals are made of.
    """

    weights: Tensor
    log_sum: Tensor
    parts: ResidualParts


def add_fixed(
    sums: Sequence[SliceSums],
    volumes: Sequence[FourierVolume],
    plane: PlaneComponents,
    rotations: Tensor,
    weighted: Weighted,
    images: TileImages,
    ramps: Tensor,
    log_prior: Tensor,
    *,
    correlate: bool = False,
    magnification: Tensor | None = None,
) -> FixedPosterior:
    """Compare images in their own orientations with every class, and add them to the sums by the posterior.

    Parameters
    ----------
    sums
        Those of each class; added to.
    volumes
        The classes' references.
    plane
        The components.
    rotations
        Of each image, ``(B, 3, 3)``.
    weighted
        The images as they are compared; with `correlate`, with σ² = 1.
    images
        The images as they are summed up.
    ramps
        Phase ramps of the offsets: complex64 ``(T, P)``, or one for each image, ``(B, 1, P)``.
    log_prior
        Of classes and offsets, float32 ``(B, K, T)``.
    correlate
        Compare by normalised correlation, and give the best all the weight.
    magnification
        As for slices.
    """
    slices = torch.stack(
        [volume.slices(rotations, plane, magnification=magnification) for volume in volumes], 1
    )
    halves = 0.5 * torch.einsum("bp,bkp->bk", weighted.powers, slices.abs().square())
    agreement = _real_products(weighted.images[:, None] * slices.conj(), ramps)
    if correlate:
        values = agreement / (2 * halves + 1e-30).sqrt()[:, :, None]
    else:
        values = agreement - halves[:, :, None] + log_prior
    flat = values.flatten(1).double()
    if correlate:
        weights = torch.zeros_like(flat).scatter_(1, flat.argmax(1, keepdim=True), 1.0)
        log_sum = flat.amax(1)
    else:
        log_sum = flat.logsumexp(1)
        weights = (flat - log_sum[:, None]).exp()
    posterior = weights.float().view(values.shape)
    of_class = posterior.sum(2)
    moved = _weighted_ramps(posterior, ramps)
    for c, own in enumerate(sums):
        rows = (of_class[:, c] > 0).nonzero()[:, 0]
        if len(rows):
            data = moved[rows, c] * (images.unmasked * images.factor)[rows]
            weight = of_class[rows, c, None] * images.power[rows]
            own.insert(rotations[rows], data, weight, plane, magnification=magnification)
    cross = ((moved * slices.conj()).sum(1) * images.masked).real
    power = torch.einsum("bk,bkp->bp", of_class, slices.abs().square())
    return FixedPosterior(posterior, log_sum.cpu(), ResidualParts(cross, power))


def images_at_once(classes: int, components: int, offsets: int, work_bytes: int) -> int:
    """Return how many images `add_fixed` may be given to work in so much memory."""
    return max(1, work_bytes // (16 * (classes * (3 * components + offsets) + 4 * components)))


def _real_products(images: Tensor, ramps: Tensor) -> Tensor:
    """Return Re Σ_p images(b, k, p) · ramps(t, p), float32 ``(B, K, T)``."""
    if ramps.ndim == 3:
        return (images * ramps).real.sum(2, keepdim=True)
    rows = torch.cat((images.real, -images.imag), 2).flatten(0, 1)
    columns = torch.cat((ramps.real, ramps.imag), 1)
    return (rows @ columns.T).view(*images.shape[:2], len(ramps))


def _weighted_ramps(posterior: Tensor, ramps: Tensor) -> Tensor:
    """Return Σ_t Γ(b, k, t) · ramps(t), complex64 ``(B, K, P)``."""
    if ramps.ndim == 3:
        return posterior * ramps
    products = posterior @ torch.view_as_real(ramps).flatten(1)
    return torch.view_as_complex(products.view(*posterior.shape[:2], ramps.shape[1], 2))
