"""Single slices of a map on its way through the denoiser, as it stands: what somebody looks at meanwhile."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from blushcore.denoiser.application import MapDenoising, Slice
from blushcore.denoiser.network import BLOCK_SIZE
from blushcore.denoiser.slab import Slab
from blushcore.denoiser.tiling import MARGIN
from blushcore.volumes.fourier import fourier_resample

_NEGLIGIBLE = 1e-6
_REACH = 5
"""Planes to either side that an interim picture between two planes is interpolated from."""


def slice_of_result(denoising: MapDenoising, where: Slice, slab: Slab | None = None) -> Tensor:
    """Return one slice of ``denoising.result().map``, float32 on the CPU, at the cost of a slice.

    Fourier resampling is a product of one matrix per axis: one row of the first of them makes the slice, the
    other two bring it to the map's grid. That row reaches through the whole map, and as long as blocks are
    missing would gather the noise that they have not yet removed: until then a tapered one is used.

    Parameters
    ----------
    denoising
        As far as it has come. Where blocks are missing and no slab stands in, it is the input under the sphere.
    where
        The slice of the map as given.
    slab
        One that `serves` the slice; counts where, and as far as, blocks are missing.
    """
    volumes, axis = denoising.volumes, where.axis
    grid, shape = denoising.tiling.shape, denoising.shape
    row = _resampling(grid[axis], shape[axis])[where.index]
    if denoising.left:
        row = _tapered(row, denoising.place(where)[axis])
    plane = volumes.mask.new_zeros([grid[other] for other in range(3) if other != axis])
    for k in (row.abs() > _NEGLIGIBLE).nonzero().flatten().tolist():
        estimate, mask = volumes.estimate.select(axis, k), volumes.mask.select(axis, k)
        change = slab.change(k) if slab is not None and denoising.left else None
        if change is not None:
            estimate = estimate + change * _missing_share(denoising, axis, k)
        blended = (estimate * denoising.scale - denoising.background * mask) * mask
        plane.add_(blended, alpha=float(row[k]))
    first, second = (_resampling(grid[other], shape[other]) for other in range(3) if other != axis)
    flat = denoising.offset + denoising.background
    return (first @ plane.cpu() @ second.T).add_(flat)


def slice_is_exact(denoising: MapDenoising, where: Slice) -> bool:
    """Whether `slice_of_result` is already what it will be when all blocks are done.

    On the network's own grid a slice needs the blocks that cross it; a resampled one hears of all.
    """
    if denoising.tiling.shape[where.axis] == denoising.shape[where.axis]:
        return not (denoising.across(where) & denoising.left)
    return not denoising.left


def _missing_share(denoising: MapDenoising, axis: int, index: int) -> Tensor:
    """Return how much of each voxel's weight in plane `index` across `axis` belongs to missing blocks."""
    volumes, grid = denoising.volumes, denoising.tiling.shape
    others = [other for other in range(3) if other != axis]
    missing = volumes.mask.new_zeros([grid[other] for other in others])
    for origin in denoising.left:
        depth = index - origin[axis]
        if not MARGIN <= depth < BLOCK_SIZE - MARGIN:
            continue
        window = volumes.window.select(axis, depth)
        target, source = [], []
        for other in others:
            begin, end = max(0, origin[other]), min(grid[other], origin[other] + BLOCK_SIZE)
            target.append(slice(begin, end))
            source.append(slice(begin - origin[other], end - origin[other]))
        missing[tuple(target)] += window[tuple(source)]
    weight = volumes.weight.select(axis, index)
    return torch.where(weight > 0, missing / weight.clamp_min(_NEGLIGIBLE), 0)


def _tapered(row: Tensor, place: float) -> Tensor:
    """Keep the part of a resampling row near `place`, falling off as a raised cosine; its sum stays 1."""
    distance = (torch.arange(len(row)) - place).abs()
    taper = torch.where(distance < _REACH, 0.5 + 0.5 * torch.cos(torch.pi * distance / _REACH), 0)
    kept = row * taper
    return kept / kept.sum()


@functools.lru_cache(maxsize=16)
def _resampling(m: int, n: int) -> Tensor:
    """Return the matrix ``(n, m)`` that resamples an axis from `m` to `n` points as `fourier_resample` does."""
    return fourier_resample(torch.eye(m).view(m, 1, 1, m), (1, 1, n)).view(m, n).T.contiguous()
