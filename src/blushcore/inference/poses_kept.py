"""Which poses of each image are looked at: ragged lists over a few images."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class PosePairs:
    """For each of B images: some orientations, some offsets, and which pairs of the two count.

    Image b has the orientations ``orientations[orientation_start[b]:orientation_start[b + 1]]`` (ascending) and
    likewise its offsets; ``pairs[pair_start[b]:…]`` is its table (own orientations × own offsets), row by row.

    Attributes
    ----------
    orientations
        Indices of coarse orientations, int64.
    log_priors
        Log-prior of each, float32.
    offsets
        Indices of coarse offsets, int64.
    pairs
        Bool.
    orientation_start, offset_start, pair_start
        int64 ``(B + 1,)``, on the CPU.
    """

    orientations: Tensor
    log_priors: Tensor
    offsets: Tensor
    pairs: Tensor
    orientation_start: Tensor
    offset_start: Tensor
    pair_start: Tensor

    @property
    def images(self) -> int:
        """How many images there are: B."""
        return len(self.pair_start) - 1

    def counts(self) -> Tensor:
        """Return how many pairs each image has, int64 ``(B,)``."""
        before = torch.cat((torch.zeros(1, dtype=torch.int64), self.pairs.cpu().long().cumsum(0)))
        return before[self.pair_start[1:]] - before[self.pair_start[:-1]]

    def part(self, first: int, last: int) -> PosePairs:
        """Return the lists of images `first` to `last`, not included."""
        o, t, p = (
            start[first : last + 1] for start in (self.orientation_start, self.offset_start, self.pair_start)
        )
        return PosePairs(
            self.orientations[o[0] : o[-1]],
            self.log_priors[o[0] : o[-1]],
            self.offsets[t[0] : t[-1]],
            self.pairs[p[0] : p[-1]],
            o - o[0],
            t - t[0],
            p - p[0],
        )


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


def starts(counts: Tensor) -> Tensor:
    """Return where the lists of these lengths begin, one after the other, and where the last ends, int64."""
    return torch.cat((torch.zeros(1, dtype=torch.int64), counts.long().cumsum(0).cpu()))


def _children(indices: Tensor, count: int) -> Tensor:
    return (indices[:, None] * count + torch.arange(count, device=indices.device)).flatten()
