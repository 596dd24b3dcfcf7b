"""The posterior of each image over its fine poses: which of them count, and how much."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from blushcore.inference import significance_kernels as kernels
from blushcore.inference.poses_kept import PosePairs, starts


@dataclass(frozen=True)
class Posterior:
    """The posterior of B images over their fine poses.

    Attributes
    ----------
    weights
        Flat, each image's table (orientations × offsets); those that do not count are 0.
    best
        Index into the flat weights of each image's most likely pose, int64 ``(B,)``.
    p_max
        Its probability, float64 ``(B,)``.
    log_sum
        Log of the sum of likelihood × prior, up to a constant of the image, float64 ``(B,)``.
    kept
        Sum of the weights that count, float64 ``(B,)``.
    of_orientations, of_offsets
        Sums of the weights of each image's own orientations and of its own offsets, flat, float64 on the CPU.
    """

    weights: Tensor
    best: Tensor
    p_max: Tensor
    log_sum: Tensor
    kept: Tensor
    of_orientations: Tensor
    of_offsets: Tensor


def posterior(
    log_likelihood: Tensor,
    pairs: PosePairs,
    log_offset: Tensor,
    *,
    fraction: float,
    only_best: bool = False,
) -> Posterior:
    """Weigh the children of the coarse poses that count; changes `log_likelihood`.

    Parameters
    ----------
    log_likelihood
        From `compare` at the children of `pairs`.
    pairs
        The coarse poses and their priors.
    log_offset
        Log-prior of every child offset for each image, float32 ``(B, 4T)``.
    fraction
        Weights beyond those that make up this fraction are set to 0; the rest are not scaled up for it.
    only_best
        Give the best pose all the weight, without priors.
    """
    start = starts(pairs.pair_start.diff() * 32)
    images = pairs.images
    best = torch.empty(images, dtype=torch.int64)
    p_max, log_sum, kept = (torch.empty(images, dtype=torch.float64) for _ in range(3))
    values = log_likelihood.cpu()
    kernels.add_priors(
        values.numpy(),
        start.numpy(),
        pairs.pairs.cpu().numpy(),
        pairs.pair_start.numpy(),
        pairs.log_priors.cpu().numpy(),
        pairs.orientation_start.numpy(),
        pairs.offsets.cpu().numpy(),
        pairs.offset_start.numpy(),
        log_offset.cpu().numpy(),
        only_best,
    )
    kernels.normalise(
        values.numpy(),
        start.numpy(),
        fraction,
        only_best,
        best.numpy(),
        p_max.numpy(),
        log_sum.numpy(),
        kept.numpy(),
    )
    orientation_start, offset_start = pairs.orientation_start * 8, pairs.offset_start * 4
    of_orientations = torch.empty(int(orientation_start[-1]), dtype=torch.float64)
    of_offsets = torch.empty(int(offset_start[-1]), dtype=torch.float64)
    kernels.table_sums(
        values.numpy(),
        start.numpy(),
        orientation_start.numpy(),
        offset_start.numpy(),
        of_orientations.numpy(),
        of_offsets.numpy(),
    )
    weights = values.to(log_likelihood.device)
    return Posterior(weights, best, p_max, log_sum, kept, of_orientations, of_offsets)
