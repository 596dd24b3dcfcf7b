"""Adds the images of a tile, weighted by their posterior, to an iteration's sums."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from blushcore.inference import ragged_kernels
from blushcore.inference.fine import PosesToCompare, Posterior, slice_blocks
from blushcore.inference.views import Views
from blushcore.projection import SliceSums
from blushcore.shells import PlaneComponents

# Types of compiled functions know no starred arguments.
add_rows: Any = ragged_kernels.add_posterior_sums
_PARTS = 16
"""Into how many parts the components are cut for the threads."""


@dataclass(frozen=True)
class TileImages:
    """B images as the sums take them, over P components.

    Attributes
    ----------
    masked, unmasked
        complex64 ``(B, P)``.
    ctf
        With each image's intensity scale, float32 ``(B, P)``.
    inverse_noise
        1/σ², float32 ``(P,)``.
    """

    masked: Tensor
    unmasked: Tensor
    ctf: Tensor
    inverse_noise: Tensor


@dataclass(frozen=True)
class ResidualParts:
    """ΣΓ Re⟨CTF·S, X⟩ and ΣΓ|CTF·S|² of each image and component, float32 ``(B, P)``."""

    cross: Tensor
    power: Tensor


def add_posterior_sums(
    sums: Sequence[SliceSums],
    views: Views,
    plane: PlaneComponents,
    poses: PosesToCompare,
    posterior: Posterior,
    images: TileImages,
    ramps: Tensor,
    *,
    slice_bytes: int,
    magnification: Tensor | None = None,
) -> ResidualParts:
    """Add images to the reconstruction's sums: first over the offsets, then over images, then into the volume.

    Each orientation is inserted once for all images of the tile: a posterior-weighted sum of images is a slice.

    Parameters
    ----------
    sums
        Those of each class; added to.
    views, plane
        The references in all orientations, and the components.
    poses, posterior
        The fine poses of each image and their weights.
    images
        The images.
    ramps
        Phase ramps of all child offsets, complex64 ``(4T, P)``.
    slice_bytes
        Memory for slices at one time.
    magnification
        As for slices.
    """
    count = len(images.masked)
    cross = torch.zeros(count, plane.count, device=images.ctf.device)
    power = torch.zeros_like(cross)
    shares = [_Share.of(b, poses, posterior) for b in range(count)]
    kept = torch.cat([share.orientations for share in shares])
    if len(kept) == 0:
        return ResidualParts(cross, power)
    blocks = slice_blocks(views, plane, kept, poses.oversampling, slice_bytes // 3, magnification=magnification)
    flat_ramps = torch.view_as_real(ramps).flatten(1)
    for block, slices in blocks:
        data = torch.zeros_like(slices)
        weight = torch.zeros(slices.shape, device=slices.device)
        ends = torch.tensor([block[0], block[-1] + 1], device=block.device)
        orientations, moved, weights, numbers = [], [], [], []
        for b, share in enumerate(shares):
            first, last = torch.searchsorted(share.orientations, ends).tolist()
            if first == last:
                continue
            table = share.weights[first:last]
            orientations.append(share.orientations[first:last])
            moved.append(table @ flat_ramps[share.offsets])
            weights.append(table.sum(1))
            numbers.append(torch.full((last - first,), b, device=block.device))
        rows = torch.searchsorted(block, torch.cat(orientations))
        ramps_of_rows = torch.view_as_complex(torch.cat(moved).view(len(rows), plane.count, 2))
        _add_rows(
            slices,
            rows,
            torch.cat(numbers),
            ramps_of_rows,
            torch.cat(weights),
            images,
            data,
            weight,
            cross,
            power,
        )
        views.insert(sums, block, poses.oversampling, data, weight, plane, magnification=magnification)
    return ResidualParts(cross, power)


@dataclass(frozen=True)
class _Share:
    """The poses of one image that have weight: its orientations × its offsets."""

    orientations: Tensor
    offsets: Tensor
    weights: Tensor

    @classmethod
    def of(cls, b: int, poses: PosesToCompare, posterior: Posterior) -> _Share:
        start = poses.value_start
        o0, o1 = poses.orientation_start[b : b + 2].tolist()
        t0, t1 = poses.offset_start[b : b + 2].tolist()
        table = posterior.weights[start[b] : start[b + 1]].view(o1 - o0, t1 - t0)
        heavy = table > 0
        rows, columns = heavy.any(1).nonzero()[:, 0], heavy.any(0).nonzero()[:, 0]
        return cls(
            poses.orientations[o0:o1][rows], poses.offsets[t0:t1][columns], table[rows][:, columns].contiguous()
        )


def _add_rows(
    slices: Tensor,
    rows: Tensor,
    image_of_row: Tensor,
    moved: Tensor,
    weights: Tensor,
    images: TileImages,
    data: Tensor,
    weight: Tensor,
    cross: Tensor,
    power: Tensor,
) -> None:
    """See `ragged_kernels.add_posterior_sums`."""
    if slices.device.type == "cpu":
        add_rows(
            *_arrays(slices, rows, image_of_row, moved, weights),
            *_arrays(images.masked, images.unmasked, images.ctf, images.inverse_noise),
            *_arrays(data, weight, cross, power),
            _PARTS,
        )
        return
    transfer, own = images.ctf[image_of_row], slices[rows]
    factor = transfer * images.inverse_noise
    data.index_add_(0, rows, moved * images.unmasked[image_of_row] * factor)
    weight.index_add_(0, rows, weights[:, None] * transfer * factor)
    shifted = moved * images.masked[image_of_row]
    overlap = (shifted.real * own.real + shifted.imag * own.imag) * transfer
    cross.index_add_(0, image_of_row, overlap)
    power.index_add_(0, image_of_row, weights[:, None] * own.abs().square() * transfer.square())


def _arrays(*tensors: Tensor) -> Any:
    return tuple(tensor.numpy() for tensor in tensors)
