"""Which poses count: those that together make up 99.9 % of an image's posterior.

Adaptive sampling (Scheres 2012, J Struct Biol 180:519, section 2.3): of the coarse poses, sorted by weight, the
first that sum to the fraction are looked at on the finer grid. The weights are not sorted here but summed in
narrow bins of their logarithm (0.007), and the last bin is taken whole: never fewer than sorting would keep.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from blushcore.devices import kernel_threads
from blushcore.inference import significance_kernels
from blushcore.inference.poses_kept import PosePairs, starts
from blushcore.inference.significance_kernels import BINS, REACH

# Types of compiled functions know no starred arguments.
dense_marks: Any = significance_kernels.dense_marks
dense_pairs: Any = significance_kernels.dense_pairs


def dense_significant(
    real: Tensor,
    imaginary: Tensor,
    halves: Tensor,
    log_column: Tensor,
    log_offset: Tensor,
    *,
    half: int,
    fraction: float,
    correlate: bool = False,
) -> PosePairs:
    """Return the poses of each image that count, from the products with all slices.

    Parameters
    ----------
    real, imaginary
        Products of the real and of the imaginary parts, float32 ``(B, T, H)``: their sum belongs to the slice,
        their difference to the slice turned by 180° in its plane.
    halves
        Half the power of each slice as each image sees it, float32 ``(B, H)``.
    log_column
        Log-prior of each slice's direction, float32 ``(H,)``.
    log_offset
        Log-prior of each image's offsets, float32 ``(B, T)``.
    half
        Half the number of in-plane angles; H is the number of directions times it.
    fraction
        Of the posterior that the poses shall make up.
    correlate
        Return the one pose with the best normalised correlation instead.
    """
    device = real.device
    images, offsets, columns = real.shape
    orientation_marks = torch.zeros(images, 2 * columns, dtype=torch.bool, device=device)
    offset_marks = torch.zeros(images, offsets, dtype=torch.bool, device=device)
    inputs = (real, imaginary, halves, log_column, log_offset)
    if kernel_threads.has_kernels(device):
        arrays = _arrays(*inputs)
        threshold = torch.empty(images)
        dense_marks(
            *arrays,
            fraction,
            correlate,
            half,
            threshold.numpy(),
            orientation_marks.numpy(),
            offset_marks.numpy(),
        )
        lists = _lists(orientation_marks, offset_marks)
        pairs = torch.zeros(int(lists[-1][-1]), dtype=torch.bool)
        orientations, orientation_start, offset_list, offset_start, pair_start = lists
        dense_pairs(
            *arrays,
            threshold.numpy(),
            correlate,
            half,
            *_arrays(*lists),
            pairs.numpy(),
        )
    else:
        marks = dense_marks_on_device(*inputs, half=half, fraction=fraction, correlate=correlate)
        orientation_marks, offset_marks = marks.any(2), marks.any(1)
        lists = _lists(orientation_marks, offset_marks)
        orientations, orientation_start, offset_list, offset_start, pair_start = lists
        pairs = marks[orientation_marks[:, :, None] & offset_marks[:, None, :]]
    log_priors = log_column[column_of(orientations, half)]
    return PosePairs(orientations, log_priors, offset_list, pairs, orientation_start, offset_start, pair_start)


def dense_marks_on_device(
    real: Tensor,
    imaginary: Tensor,
    halves: Tensor,
    log_column: Tensor,
    log_offset: Tensor,
    *,
    half: int,
    fraction: float,
    correlate: bool,
) -> Tensor:
    """Return which poses count, bool ``(B, O, T)``, by plain tensor operations: for any device."""
    images, offsets, columns = real.shape
    values = torch.stack((real + imaginary, real - imaginary), 2)  # (B, T, 2, H)
    if correlate:
        values = values / (2 * halves + 1e-30).sqrt()[:, None, None]
        best = values.amax((1, 2, 3), keepdim=True)
        marks = values >= best - best.abs() * 1e-6
    else:
        values = values - (halves - log_column)[:, None, None] + log_offset[:, :, None, None]
        marks = (values.flatten(1) >= _cuts(values.flatten(1), fraction)[:, None]).view(values.shape)
    # (B, T, 2, D, half) → (B, D, 2, half, T): orientations ascend.
    marks = marks.view(images, offsets, 2, columns // half, half).permute(0, 3, 2, 4, 1)
    return marks.reshape(images, 2 * columns, offsets)


def _cuts(values: Tensor, fraction: float) -> Tensor:
    """Return, for each row, the log-weight from which on the weights make up `fraction`."""
    high = values.amax(1, keepdim=True)
    below = high - values
    bins = (below * (BINS / REACH)).clamp(max=BINS).long()
    weights = torch.where(below < REACH, torch.exp(-below), 0.0).double()
    sums = torch.zeros(len(values), BINS + 1, dtype=torch.float64, device=values.device)
    sums.scatter_add_(1, bins, weights)
    reached = sums.cumsum(1) >= fraction * sums.sum(1, keepdim=True)
    last = reached.int().argmax(1)
    return (high[:, 0] - (last + 1) * (REACH / BINS)).float()


def ragged_significant(values: Tensor, start: Tensor, fraction: float, *, only_best: bool) -> Tensor:
    """Return which of the flat log-weights of each image count, bool like `values`.

    Image b has those from ``start[b]`` to ``start[b + 1]``.
    """
    if kernel_threads.has_kernels(values.device):
        marks = torch.zeros(len(values), dtype=torch.bool)
        significance_kernels.ragged_significant(
            values.numpy(), start.numpy(), fraction, only_best, marks.numpy()
        )
        return marks
    parts = [values[:0] > 0]
    for part in values.tensor_split(start[1:-1]):
        if len(part) == 0:
            continue
        cut = part.amax() if only_best else _cuts(part[None], fraction)[0]
        parts.append((part >= cut) & (part > -torch.inf))
    return torch.cat(parts)


def column_of(orientations: Tensor, half: int) -> Tensor:
    """Return the slice of each orientation, or that of which it is the one turned by 180°."""
    return orientations // (2 * half) * half + orientations % (2 * half) % half


def _arrays(*tensors: Tensor) -> Any:
    return tuple(tensor.numpy() for tensor in tensors)


def _lists(orientation_marks: Tensor, offset_marks: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    orientation_counts, offset_counts = orientation_marks.sum(1).cpu(), offset_marks.sum(1).cpu()
    return (
        orientation_marks.nonzero()[:, 1],
        starts(orientation_counts),
        offset_marks.nonzero()[:, 1],
        starts(offset_counts),
        starts(orientation_counts * offset_counts),
    )
