"""A slice denoised from a thin slab around it: an approximation for the eye, within a second.

The network works on blocks of 64³, and a slice through a map of 128³ crosses nine or more of them. But it is
fully convolutional, so it can be shown a slab of 32 planes as wide as the map instead, at the cost of two
blocks. Its norms then see other surroundings, so the result differs from the blocks' a little (a few percent of
the change that denoising makes): good for a first look, and replaced by the blocks as they come in.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import torch
from torch import Tensor

from blushcore.denoiser.application import MapDenoising, Slice
from blushcore.denoiser.denoiser import BlockDenoiser, call_within_memory
from blushcore.denoiser.tiling import MARGIN

THICKNESS = 32
"""Planes of a slab: the least that the network's five poolings by two take."""
_KEPT = 9
"""Planes at either side of the middle one that are kept: those beyond see too little around them."""
_SERVED = 4
"""How far from the middle a slice may lie, in planes, that the slab serves too."""
_NARROWEST = 64
"""Voxels along a tile's side at least: a norm over a single voxel, after five poolings, is none."""
_WIDEST = 128
"""Voxels along a tile's side at most; wider slices are tiled."""
_MULTIPLE = 32
_SMALLEST_WEIGHT = 1e-6


class Slab:
    """The slab around a slice.

    Parameters
    ----------
    denoising
        Whose input is denoised here; it is not changed.
    where
        The slice of the map as given.
    """

    def __init__(self, denoising: MapDenoising, where: Slice) -> None:
        volumes = denoising.volumes
        self.axis = where.axis
        self._others = [axis for axis in range(3) if axis != where.axis]
        grid = denoising.tiling.shape
        place = denoising.place(where)
        self._middle = min(grid[self.axis] - 1, max(0, round(place[self.axis])))
        first = max(0, self._middle - _KEPT)
        self._planes = range(first, min(grid[self.axis], self._middle + _KEPT + 1))
        region = volumes.mask.narrow(self.axis, first, len(self._planes)).amax(self.axis) > 0
        tiles = _tiles(region)
        centre = [place[axis] for axis in self._others]
        self._left = sorted(tiles, key=lambda tile: _distance(tile, centre))
        self._done = 0
        size = [len(self._planes), *region.shape]
        self._change = volumes.mask.new_zeros(size)
        self._weight = volumes.mask.new_zeros(size[1:])

    @property
    def tiles_done(self) -> int:
        """How many of its tiles have been computed."""
        return self._done

    @property
    def whole(self) -> bool:
        """Whether all of the slab has been computed."""
        return not self._left

    def serves(self, denoising: MapDenoising, where: Slice) -> bool:
        """Whether a slice lies near enough to the middle of the slab."""
        return (
            where.axis == self.axis and abs(denoising.place(where)[self.axis] - self._middle) <= _SERVED + 0.5
        )

    def run(self, denoising: MapDenoising, denoiser: BlockDenoiser) -> Iterator[None]:
        """Compute tile by tile, the one under the eye first; stop iterating to cancel."""
        volumes = denoising.volumes
        while self._left:
            tile = self._left[0]
            start, size = [0] * 3, [0] * 3
            start[self.axis], size[self.axis] = self._middle - THICKNESS // 2, THICKNESS
            for axis, (begin, length) in zip(self._others, tile, strict=True):
                start[axis], size[axis] = begin, length
            blocks = _cut(volumes.standardised, start, size)
            denoised = call_within_memory(denoiser, blocks[None], _cut(volumes.local_std, start, size)[None])
            change = (denoised.blocks[0].to(blocks.device) - blocks).narrow(
                self.axis, self._planes[0] - start[self.axis], len(self._planes)
            )
            self._add(change.movedim(self.axis, 0), tile)
            self._left.remove(tile)
            self._done += 1
            yield

    def change(self, plane: int) -> Tensor | None:
        """Return what denoising changes in a plane of the network's grid, standardised; 0 where not yet known.

        None for a plane that the slab does not hold.
        """
        if plane not in self._planes:
            return None
        change = self._change[self._planes.index(plane)]
        return torch.where(self._weight > 0, change / self._weight.clamp_min(_SMALLEST_WEIGHT), 0)

    def _add(self, change: Tensor, tile: _Tile) -> None:
        windows = [_ramp(length).to(change) for _, length in tile]
        weight = windows[0][:, None] * windows[1]
        target, source = [], []
        for (begin, length), n in zip(tile, self._weight.shape, strict=True):
            low, high = max(0, begin), min(n, begin + length)
            target.append(slice(low, high))
            source.append(slice(low - begin, high - begin))
        self._change[(slice(None), *target)] += (change * weight)[(slice(None), *source)]
        self._weight[tuple(target)] += weight[tuple(source)]


_Tile = tuple[tuple[int, int], tuple[int, int]]
"""First voxel and length along the two axes within the slice."""


def _tiles(region: Tensor) -> list[_Tile]:
    """Cover the positive part of a plane with tiles whose sides the network takes."""
    along = [torch.any(region, dim=1 - axis).nonzero().flatten() for axis in range(2)]
    if any(len(places) == 0 for places in along):
        return []
    rows, columns = (_starts(int(places[0]), int(places[-1]) + 1) for places in along)
    return list(product(rows, columns))


def _starts(low: int, high: int) -> list[tuple[int, int]]:
    """Stretches of one length that cover ``low <= i < high``, overlapping by two margins and more."""
    length = high - low
    if length <= _WIDEST:
        size = max(_NARROWEST, -(-length // _MULTIPLE) * _MULTIPLE)
        return [(low - (size - length) // 2, size)]
    used = _WIDEST - 2 * MARGIN
    count = -(-(length - 2 * MARGIN) // used)
    return [(low + round(i * (length - _WIDEST) / (count - 1)), _WIDEST) for i in range(count)]


def _ramp(length: int) -> Tensor:
    """Weights along a tile's side: 1 inside, falling to nearly 0 over the margins, which see too little."""
    from_end = torch.minimum(torch.arange(1, length + 1), torch.arange(length, 0, -1))
    return (from_end / MARGIN).clamp(max=1.0) ** 4


def _distance(tile: _Tile, centre: list[float]) -> float:
    return sum((begin + length / 2 - c) ** 2 for (begin, length), c in zip(tile, centre, strict=True))


def _cut(volume: Tensor, start: list[int], size: list[int]) -> Tensor:
    """Cut a box out of ``(z, y, x)``; zeros where it reaches beyond the map."""
    box = volume.new_zeros(size)
    source, target = [], []
    for begin, length, n in zip(start, size, volume.shape, strict=True):
        low, high = max(0, begin), min(n, begin + length)
        source.append(slice(low, high))
        target.append(slice(low - begin, high - begin))
    box[tuple(target)] = volume[tuple(source)]
    return box
