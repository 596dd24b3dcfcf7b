"""Where the blocks lie that cover a map, and how their results are blended."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise, product

import torch
from torch import Tensor

from blushcore.denoiser.network import BLOCK_SIZE

MARGIN = 9
"""Voxels at each face of a block whose result is not used: the network sees too little around them."""
_STEP = 36
"""Largest step, in voxels, between blocks of each of the two lattices."""
_SPARE = 0.5
"""Of the weight that a voxel has from all blocks of the lattices, what may go with blocks that are left out."""
_ROUNDING = 1e-5
"""Of float32 sums of weights, which are at most 1 each."""

Origin = tuple[int, int, int]


@dataclass(frozen=True)
class Tiling:
    """Blocks that cover a region of a map.

    `origins` are the blocks' first voxels (z, y, x); they may lie outside the map (negative, or reaching beyond
    its end), where the map counts as zero.
    """

    shape: tuple[int, int, int]
    origins: tuple[Origin, ...]


def cover(mask: Tensor, *, stride: int | None = None) -> Tiling:
    """Cover all voxels where `mask` is positive with as few blocks as the blending needs.

    Two lattices of blocks, the second in the middle of the first's gaps (body-centred): what one block sees
    badly near its faces lies in the middle of another. At the corners of the lattices hardly anything lies in
    one block alone: blocks are left out while every voxel keeps half of its weight. The published tiling is one
    lattice with a step of 20 voxels; this one comes closer to what ever denser blocks would give, with down to
    a third of its blocks (``benchmarks/denoise.py`` measures both).

    Parameters
    ----------
    mask
        ``(z, y, x)``.
    stride
        A single lattice instead, with this largest step in voxels between neighbours, up to 46.
    """
    used = BLOCK_SIZE - 2 * MARGIN
    step = _STEP if stride is None else stride
    if not 1 <= step <= used:
        raise ValueError(f"blocks that are {step} voxels apart leave gaps; the stride is 1 to {used}")
    inside = mask > 0
    z, y, x = mask.shape
    if not bool(inside.any()):
        return Tiling((z, y, x), ())
    starts = []
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        along = torch.amax(inside, dim=others).nonzero().flatten()
        starts.append(_starts(int(along[0]), int(along[-1]) + 1, used, step))
    lattice = {*product(*starts)}
    if stride is None:
        lattice.update(product(*([(a + b) // 2 for a, b in pairwise(along)] or along for along in starts)))
    origins = tuple(
        (first_z, first_y, first_x)
        for first_z, first_y, first_x in sorted(lattice)
        if bool(inside[_window((first_z, first_y, first_x), mask.shape, MARGIN)].any())
    )
    return Tiling((z, y, x), origins if stride is not None else _needed(origins, inside.cpu()))


def _needed(origins: tuple[Origin, ...], inside: Tensor) -> tuple[Origin, ...]:
    """Leave out blocks that the others stand in for, those first that hold least of what is inside.

    Blocks that mirroring the box or swapping its axes carries into each other stay or go together, so that a
    symmetric map is not covered unevenly.
    """
    window = blending_window()
    parts, weights = {}, {}
    for origin in origins:
        parts[origin] = _window(origin, inside.shape, MARGIN)
        weights[origin] = window[_within_block(origin, parts[origin])]
    spare = torch.where(inside, 0.0, torch.inf)
    held = {}
    for origin in origins:
        spare[parts[origin]] += _SPARE * weights[origin]
        held[origin] = float((weights[origin] * inside[parts[origin]]).sum())

    needed = set(origins)
    for alike in sorted(_orbits(origins), key=lambda orbit: sum(held[origin] for origin in orbit) / len(orbit)):
        for origin in alike:
            spare[parts[origin]] -= weights[origin]
        if all(float(spare[parts[origin]].amin()) > -_ROUNDING for origin in alike):
            needed.difference_update(alike)
        else:
            for origin in alike:
                spare[parts[origin]] += weights[origin]
    return tuple(origin for origin in origins if origin in needed)


def _orbits(origins: tuple[Origin, ...]) -> list[list[Origin]]:
    """Group blocks that are equally far from the middle, in steps of the lattices, along any of the axes."""
    steps = []
    for axis in range(3):
        firsts = sorted({origin[axis] for origin in origins})
        steps.append({first: abs(2 * i - (len(firsts) - 1)) for i, first in enumerate(firsts)})
    orbits: dict[tuple[int, ...], list[Origin]] = {}
    for origin in origins:
        key = tuple(sorted(steps[axis][first] for axis, first in enumerate(origin)))
        orbits.setdefault(key, []).append(origin)
    return list(orbits.values())


def blending_window(device: torch.device | str = "cpu") -> Tensor:
    """Return the weight of each voxel of a block, float32 64³.

    A raised cosine of the Chebyshev distance from the block's middle that is zero on the margin.
    """
    offset = torch.arange(BLOCK_SIZE, device=device, dtype=torch.float32) - (BLOCK_SIZE - 1) / 2
    distance = offset.abs()
    chebyshev = torch.maximum(torch.maximum(distance[:, None, None], distance[:, None]), distance)
    reach = BLOCK_SIZE / 2 - MARGIN
    return torch.where(chebyshev < reach, 0.5 + 0.5 * torch.cos(math.pi * chebyshev / reach), 0)


def cut(volume: Tensor, origin: Origin) -> Tensor:
    """Cut the block at `origin` out of ``(z, y, x)``; zeros where it reaches beyond the map."""
    window = _window(origin, volume.shape, 0)
    part = volume[window]
    if part.shape == (BLOCK_SIZE,) * 3:
        return part
    block = volume.new_zeros((BLOCK_SIZE,) * 3)
    block[_within_block(origin, window)] = part
    return block


def add(volume: Tensor, origin: Origin, block: Tensor) -> None:
    """Add a block to ``(z, y, x)`` at `origin`, dropping what lies beyond the map."""
    window = _window(origin, volume.shape, 0)
    volume[window] += block[_within_block(origin, window)]


def _starts(low: int, high: int, used: int, step: int) -> list[int]:
    """First voxels of evenly spread blocks whose used parts cover ``low <= i < high``."""
    length = high - low
    count = max(1, math.ceil((length - used) / step) + 1)
    first = low - MARGIN if count > 1 else low + (length - used) // 2 - MARGIN
    spread = length - used
    return [first + (round(i * spread / (count - 1)) if count > 1 else 0) for i in range(count)]


def _window(origin: Origin, shape: torch.Size | tuple[int, ...], margin: int) -> tuple[slice, slice, slice]:
    """Return the part of the map in the block at `origin`, less a margin."""
    z, y, x = (
        slice(min(n, max(0, start + margin)), max(0, min(n, start + BLOCK_SIZE - margin)))
        for start, n in zip(origin, shape, strict=True)
    )
    return z, y, x


def _within_block(origin: Origin, window: tuple[slice, slice, slice]) -> tuple[slice, slice, slice]:
    z, y, x = (slice(part.start - start, part.stop - start) for start, part in zip(origin, window, strict=True))
    return z, y, x
