"""The orientations that a search goes through: a HEALPix grid of directions times in-plane angles.

Directions are the pixel centres of the HEALPix sphere in NEST order (Górski 2005, ApJ 622:759), those in the
asymmetric unit only; each is taken with in-plane angles ψ at the same step. Coarse orientation ``d·S + s`` is
direction d with angle s. Oversampling by one order gives orientation o eight children, ``8·o + c`` with
``c = 2·quarter + half``: the 4 pixels of the next order that make up its pixel, times the centres of the 2
halves of its ψ cell.

Each iteration turns the whole grid a little (``perturbation``), so that a pose is not caught on one grid for
ever: ``A ← A·R(qΔ, qΔ, qΔ)``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import healpix
import numpy as np
import torch
from torch import Tensor

from blushcore.poses.euler import euler_to_matrix, matrix_to_euler
from blushcore.poses.symmetry import SymmetryGroup

if TYPE_CHECKING:
    from blushcore.poses.neighbourhoods import LocalOrientations

DIRECTION_CHILDREN = 4
PSI_CHILDREN = 2
ORIENTATION_CHILDREN = DIRECTION_CHILDREN * PSI_CHILDREN
FINEST_ORDER = 12
BLOCK = 2**16
"""How many directions are computed at once."""


@dataclass(frozen=True)
class OrientationGrid:
    """A grid of orientations.

    Attributes
    ----------
    healpix_order
        h: the sphere has ``12 · 4^h`` directions before oversampling.
    symmetry
        The point group whose asymmetric unit is searched.
    perturbation
        q: the grid is turned by the Euler angles ``q · step_deg`` (all three), −½ to ½.
    """

    healpix_order: int
    symmetry: SymmetryGroup
    perturbation: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.healpix_order <= FINEST_ORDER:
            raise ValueError(f"HEALPix order {self.healpix_order}")

    def perturbed(self, perturbation: float) -> OrientationGrid:
        """Return the same grid with another perturbation."""
        return replace(self, perturbation=perturbation)

    @property
    def step_deg(self) -> float:
        """Δ: distance of neighbouring orientations before oversampling, ``360 / (6 · 2^h)`` degrees."""
        return float(60 / 2**self.healpix_order)

    @property
    def fine_step_deg(self) -> float:
        """Distance of neighbouring children in degrees."""
        return self.step_deg / 2

    @property
    def directions_deg(self) -> Tensor:
        """rot, tilt in degrees, float64 ``(D, 2)``, before perturbation; not to be written to."""
        return _directions(self.healpix_order, self.symmetry)[1]

    @property
    def pixels(self) -> Tensor:
        """NEST pixel of each direction, int64 ``(D,)``, ascending; not to be written to."""
        return _directions(self.healpix_order, self.symmetry)[0]

    @property
    def psi_deg(self) -> Tensor:
        """ψ in degrees, float64 ``(S,)``: 0, Δ, 2Δ … below 360."""
        return torch.arange(self.psi_count, dtype=torch.float64) * self.step_deg

    @property
    def direction_count(self) -> int:
        """How many directions the asymmetric unit has: D."""
        return len(self.pixels)

    @property
    def psi_count(self) -> int:
        """How many in-plane angles there are: S."""
        return int(6 * 2**self.healpix_order)

    @property
    def count(self) -> int:
        """How many coarse orientations there are: D · S."""
        return self.direction_count * self.psi_count

    def children(self, indices: Tensor) -> Tensor:
        """Return the children ``(…, 8)`` of coarse orientations ``(…)``."""
        return indices[..., None] * ORIENTATION_CHILDREN + torch.arange(
            ORIENTATION_CHILDREN, device=indices.device
        )

    def rotations(
        self, indices: Tensor, oversampling: int = 0, *, dtype: torch.dtype = torch.float32
    ) -> Tensor:
        """Return the rotations of orientations, perturbation included.

        Parameters
        ----------
        indices
            int64 ``(…)``: coarse orientations, or children with `oversampling` 1.
        oversampling
            0 or 1.
        dtype
            Of the result.

        Returns
        -------
        Tensor ``(…, 3, 3)``, object to image frame, on the device of `indices`.
        """
        direction, psi = self._split(indices, oversampling)
        if dtype == torch.float32:
            device = indices.device
            frames = _frame_table(self.healpix_order, self.symmetry, self.perturbation, oversampling, device)
            frames = frames[direction]
        else:
            frames = self._frames(direction, oversampling).to(dtype)
        psi = torch.deg2rad(psi).to(dtype)[..., None]
        cosine, sine = psi.cos(), psi.sin()
        x, y, z = frames.unbind(-2)
        return torch.stack((cosine * x + sine * y, cosine * y - sine * x, z), -2)

    def euler_deg(self, indices: Tensor, oversampling: int = 0) -> Tensor:
        """Return rot, tilt, psi in degrees, float64 ``(…, 3)``, as searched: perturbation included."""
        return matrix_to_euler(self.rotations(indices, oversampling, dtype=torch.float64))

    def nearby(self, angles_deg: Tensor, sigma_direction_deg: float, sigma_psi_deg: float) -> LocalOrientations:
        """List the orientations near rot, tilt, psi ``(N, 3)`` in degrees, as `nearby_orientations` does."""
        from blushcore.poses.neighbourhoods import nearby_orientations  # it needs this module

        rotations = euler_to_matrix(angles_deg.double())
        return nearby_orientations(self, rotations, sigma_direction_deg, sigma_psi_deg)

    def perturbing_rotation(self) -> Tensor:
        """Return the rotation that `perturbation` puts to the right of each orientation, float64 ``(3, 3)``."""
        return euler_to_matrix(torch.full((3,), self.perturbation * self.step_deg, dtype=torch.float64))

    def _split(self, indices: Tensor, oversampling: int) -> tuple[Tensor, Tensor]:
        """Return direction (or child direction, 4·d + quarter) and ψ in degrees, float64, of orientations."""
        if oversampling == 0:
            direction = indices // self.psi_count
            return direction, (indices % self.psi_count).double() * self.step_deg
        if oversampling != 1:
            raise ValueError(f"oversampling {oversampling}")
        orientation, child = indices // ORIENTATION_CHILDREN, indices % ORIENTATION_CHILDREN
        direction = orientation // self.psi_count * DIRECTION_CHILDREN + child // PSI_CHILDREN
        halves = (orientation % self.psi_count) * PSI_CHILDREN + child % PSI_CHILDREN
        return direction, (halves.double() - 0.5) * self.fine_step_deg

    def _frames(self, direction: Tensor, oversampling: int) -> Tensor:
        """Return the rotations at ψ = 0 of (child) directions, float64 ``(…, 3, 3)``."""
        where = direction.cpu()
        if oversampling == 0:
            angles = self.directions_deg[where]
        else:
            parent = self.pixels[where // DIRECTION_CHILDREN]
            angles = _pixel_directions(
                self.healpix_order + 1, parent * DIRECTION_CHILDREN + where % DIRECTION_CHILDREN
            )
        angles = torch.cat((angles, angles.new_zeros(*angles.shape[:-1], 1)), -1)
        return (euler_to_matrix(angles) @ self.perturbing_rotation()).to(direction.device)


def _pixel_directions(order: int, pixels: Tensor) -> Tensor:
    """Return rot, tilt in degrees, float64 ``(…, 2)``, of NEST pixels."""
    tilt, rot = healpix.pix2ang(2**order, pixels.numpy(), nest=True)
    return torch.from_numpy(np.rad2deg(np.stack((rot, tilt), -1)))


def _in_blocks(count: int) -> Iterator[Tensor]:
    for first in range(0, count, BLOCK):
        yield torch.arange(first, min(first + BLOCK, count))


@lru_cache(maxsize=8)
def _directions(order: int, symmetry: SymmetryGroup) -> tuple[Tensor, Tensor]:
    pixels, directions = [], []
    for some in _in_blocks(12 * 4**order):
        angles = _pixel_directions(order, some)
        inside = symmetry.in_asymmetric_unit(angles)
        pixels.append(some[inside])
        directions.append(angles[inside])
    return torch.cat(pixels), torch.cat(directions)


@lru_cache(maxsize=2)  # coarse and fine; another iteration has another perturbation
def _frame_table(
    order: int, symmetry: SymmetryGroup, perturbation: float, oversampling: int, device: torch.device
) -> Tensor:
    """Return the rotations at ψ = 0 of all (child) directions, float32: 7 MB at order 6, 28 MB at 7."""
    grid = OrientationGrid(order, symmetry, perturbation)
    count = grid.direction_count * DIRECTION_CHILDREN**oversampling
    parts = [grid._frames(some, oversampling).float() for some in _in_blocks(count)]
    return torch.cat(parts).to(device)
