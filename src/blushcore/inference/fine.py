"""The second look: the children of the poses that count, and the posterior over them.

Each image has its own list of poses. All images of a tile share the slices of the orientations that any of them
needs; those are made block by block, and each image's own are compared with its own offsets by one product.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from blushcore.inference import ragged_kernels
from blushcore.inference import significance_kernels as kernels
from blushcore.inference.coarse import Weighted
from blushcore.inference.poses_kept import PosePairs, starts
from blushcore.inference.views import Views
from blushcore.shells import PlaneComponents

_WORTH_SHARING = 0.6
"""Share of different orientations among all that are asked for, below which slices are shared."""


@dataclass(frozen=True)
class PosesToCompare:
    """Own lists of orientations and offsets of B images, at either level of the grid.

    Attributes
    ----------
    orientations
        Indices of views at `oversampling`, int64, ascending within each image.
    orientation_start
        int64 ``(B + 1,)``.
    offsets
        Indices into the phase ramps, int64.
    offset_start
        int64 ``(B + 1,)``.
    oversampling
        0 or 1.
    """

    orientations: Tensor
    orientation_start: Tensor
    offsets: Tensor
    offset_start: Tensor
    oversampling: int

    @property
    def value_start(self) -> Tensor:
        """Where each image's table (orientations × offsets) begins in a flat list, int64 ``(B + 1,)``."""
        return starts(self.orientation_start.diff() * self.offset_start.diff())

    @classmethod
    def children(cls, pairs: PosePairs) -> PosesToCompare:
        """Return all children of the orientations (8 each) and of the offsets (4 each)."""
        return cls(
            _children(pairs.orientations, 8),
            pairs.orientation_start * 8,
            _children(pairs.offsets, 4),
            pairs.offset_start * 4,
            1,
        )


def compare(
    views: Views,
    plane: PlaneComponents,
    poses: PosesToCompare,
    weighted: Weighted,
    ramps: Tensor,
    *,
    slice_bytes: int,
    correlate: bool = False,
    magnification: Tensor | None = None,
) -> Tensor:
    """Return the log-likelihood of each image at each of its own poses (see `coarse` for the formula).

    Parameters
    ----------
    views, plane
        The references in all orientations, and the components to compare by.
    poses
        Of each image.
    weighted
        The images; with `correlate`, with σ² = 1.
    ramps
        Phase ramps of all offsets, complex64 ``(T, P)``.
    slice_bytes
        Memory for slices at one time.
    correlate
        Return normalised correlations instead, not divided by the image's own norm.
    magnification
        As for slices.

    Returns
    -------
    Float32, flat: each image's table (orientations × offsets) one after the other, as ``poses.value_start``.
    """
    values = torch.empty(int(poses.value_start[-1]), device=weighted.images.device)
    for run, slices, halves in _slices_of_runs(views, plane, poses, weighted, slice_bytes, magnification):
        for own in run.images:
            offsets = poses.offsets[own.offsets]
            moved = ramps[offsets] * weighted.images[own.image]
            shifted = torch.cat((moved.real, moved.imag), 1)
            place = values[own.values].view(-1, len(offsets))
            torch.mm(slices[own.rows], shifted.T, out=place)
            if correlate:
                place /= (2 * halves[own.rows] + 1e-30).sqrt()[:, None]
            else:
                place -= halves[own.rows, None]
    return values


def _slices_of_runs(
    views: Views,
    plane: PlaneComponents,
    poses: PosesToCompare,
    weighted: Weighted,
    slice_bytes: int,
    magnification: Tensor | None,
) -> Iterator[tuple[_Run, Tensor, Tensor]]:
    """Yield runs with their slices, float32 ``(R, 2P)``, and half the slices' power as the images see it.

    Where images share many orientations each slice is made once and copied to those that need it; where they
    share few, that would cost more than it saves.
    """
    most_rows = max(1, slice_bytes // (8 * plane.count))
    different = torch.unique(poses.orientations)
    if len(different) > _WORTH_SHARING * len(poses.orientations):
        for run in _runs(different, poses, most_rows):
            slices = views.slices_real(run.orientations, poses.oversampling, plane, magnification=magnification)
            yield run, slices, _half_power(slices, run.image_of_row, weighted.powers)
        return
    for block in torch.split(different, max(8, most_rows // 2)):
        shared = views.slices_real(block, poses.oversampling, plane, magnification=magnification)
        for run in _runs(block, poses, most_rows):
            rows = torch.searchsorted(block, run.orientations)
            yield run, *_gather_with_power(shared, rows, run.image_of_row, weighted.powers)


@dataclass(frozen=True)
class _Own:
    """What belongs to one image: its rows of a run, its offsets, its place among the values."""

    image: int
    rows: slice
    offsets: slice
    values: slice


@dataclass(frozen=True)
class _Run:
    """Orientations of a block, image by image, as many as fit the memory."""

    orientations: Tensor
    image_of_row: Tensor
    images: list[_Own]


def _runs(block: Tensor, poses: PosesToCompare, most_rows: int) -> Iterator[_Run]:
    """Yield what each image has in `block`, in runs of about as many rows as allowed."""
    low, high = int(block[0]), int(block[-1])
    inside = (poses.orientations >= low) & (poses.orientations <= high)
    before = starts(inside.cpu().long())
    o_start, t_start, v_start = (
        start.tolist() for start in (poses.orientation_start, poses.offset_start, poses.value_start)
    )
    parts: list[Tensor] = []
    images: list[_Own] = []
    counts: list[int] = []
    used = 0

    def run() -> _Run:
        numbers = torch.tensor([own.image for own in images])
        return _Run(
            torch.cat(parts),
            torch.repeat_interleave(numbers, torch.tensor(counts)).to(block.device),
            list(images),
        )

    for b in range(len(o_start) - 1):
        count = int(before[o_start[b + 1]] - before[o_start[b]])
        if count == 0:
            continue
        if used and used + count > most_rows:
            yield run()
            parts, images, counts, used = [], [], [], 0
        own = poses.orientations[o_start[b] : o_start[b + 1]]
        first = int((own < low).sum()) if count < len(own) else 0
        width = t_start[b + 1] - t_start[b]
        begin = v_start[b] + first * width
        parts.append(own[first : first + count])
        images.append(
            _Own(
                b,
                slice(used, used + count),
                slice(t_start[b], t_start[b + 1]),
                slice(begin, begin + count * width),
            )
        )
        counts.append(count)
        used += count
    if used:
        yield run()


def slice_blocks(
    views: Views,
    plane: PlaneComponents,
    orientations: Tensor,
    oversampling: int,
    slice_bytes: int,
    *,
    magnification: Tensor | None = None,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the different ones of `orientations`, ascending, with their slices, in blocks.

    Yields
    ------
    Indices int64 ``(K,)`` and slices complex64 ``(K, P)``.
    """
    for block in torch.split(torch.unique(orientations), max(8, slice_bytes // (16 * plane.count))):
        yield block, views.slices(block, oversampling, plane, magnification=magnification)


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
    """

    weights: Tensor
    best: Tensor
    p_max: Tensor
    log_sum: Tensor
    kept: Tensor


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
    return Posterior(values.to(log_likelihood.device), best, p_max, log_sum, kept)


def _children(indices: Tensor, count: int) -> Tensor:
    return (indices[:, None] * count + torch.arange(count, device=indices.device)).flatten()


def _half_power(slices: Tensor, image_of_row: Tensor, powers: Tensor) -> Tensor:
    """Return half the power of slices ``(R, 2P)`` as the images see it, ``(R,)``."""
    if slices.device.type != "cpu":
        return 0.5 * (slices.view(len(slices), 2, -1).square().sum(1) * powers[image_of_row]).sum(1)
    halves = torch.empty(len(slices))
    ragged_kernels.half_power(slices.numpy(), image_of_row.numpy(), powers.numpy(), halves.numpy())
    return halves


def _gather_with_power(
    slices: Tensor, rows: Tensor, image_of_row: Tensor, powers: Tensor
) -> tuple[Tensor, Tensor]:
    """Return rows of `slices` ``(K, 2P)`` (real parts first) and half their power as the images see it."""
    if slices.device.type != "cpu":
        gathered = slices[rows]
        return gathered, _half_power(gathered, image_of_row, powers)
    gathered = torch.empty(len(rows), slices.shape[1])
    halves = torch.empty(len(rows))
    ragged_kernels.gather_with_power(
        slices.numpy(),
        rows.numpy(),
        image_of_row.numpy(),
        powers.numpy(),
        gathered.numpy(),
        halves.numpy(),
    )
    return gathered, halves
