"""What the images of one half say about each component of a map: data and weight, ready to be divided."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from blushcore.projection import PaddedGrid, SliceSums


@dataclass(frozen=True, eq=False)
class HalfSums:
    """Data and weight of one unit (class or body) and half on a padded grid.

    Unlike `SliceSums` these are Hermitian: on the plane x = 0 the contributions of opposites are added to each
    other.

    Attributes
    ----------
    grid
        Which components are kept.
    data
        Σ Γ·s·CTF·X/σ², complex64 ``grid.shape``.
    weight
        Σ Γ·(s·CTF)²/σ², float32 ``grid.shape``.
    """

    grid: PaddedGrid
    data: Tensor
    weight: Tensor

    @classmethod
    def of(cls, slices: SliceSums) -> HalfSums:
        """Take over the sums of slices (which are empty afterwards) and make them Hermitian.

        A component on x = 0 is its own opposite's conjugate, and the half transform holds both: what was
        inserted at one counts for the other too (Scheres 2012, J Struct Biol 180:519).
        """
        data, weight = slices.take()
        for sums in (data, weight):
            plane = sums[:, :, 0]
            plane += plane.flip(0, 1).conj()
        return cls(slices.grid, data, weight)

    def plus(self, other: HalfSums) -> HalfSums:
        """Return the sums of both halves' images."""
        if other.grid != self.grid:
            raise ValueError(f"sums on {self.grid} and on {other.grid}")
        return HalfSums(self.grid, self.data + other.data, self.weight + other.weight)


def join_halves(half1: HalfSums, half2: HalfSums, last_shell: int) -> None:
    """Give both halves the mean of their data and weights in shells 0 to `last_shell`, in place.

    At such low resolution the halves agree anyway; if they are allowed to differ they may drift to different
    orientations (Scheres & Chen 2012, Nat Methods 9:853).
    """
    grid = half1.grid
    if half2.grid != grid:
        raise ValueError(f"sums on {half1.grid} and on {half2.grid}")
    if last_shell < 0:
        return
    reach = min(grid.reach, int(grid.padding * (last_shell + 0.5)))
    near = slice(grid.reach - reach, grid.reach + reach + 1)
    joined = (grid.shells(near, half1.data.device) <= last_shell)[:, near, : reach + 1]
    for first, second in ((half1.data, half2.data), (half1.weight, half2.weight)):
        one = first[near, near, : reach + 1]
        two = second[near, near, : reach + 1]
        mean = (one + two.to(one.device)) / 2
        one.copy_(torch.where(joined, mean, one))
        two.copy_(torch.where(joined.to(two.device), mean.to(two.device), two))
