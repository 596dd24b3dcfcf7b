"""Point groups of rotations, in RELION's settings: Cn, Dn, T, O, I1 to I4 (I is I2).

An object of symmetry G looks the same after any g of G, so a view A and its mates A·g are the same image.

Settings (as ``relion_refine --print_symmetry_ops`` prints them): Cn about z; Dn with a 2-fold axis along x; T
with a 3-fold axis along z and a 2-fold axis in the plane x = 0; O with its 4-fold axes along x, y, z; I1 and I2
with 2-fold axes along x, y, z and a 5-fold axis along (0, 1, ϕ) and (1, 0, ϕ); I3 and I4 with a 5-fold axis
along z and another along (−2, 0, 1) and (2, 0, 1). ϕ is the golden ratio.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from blushcore.poses.euler import direction_vectors
from blushcore.protocol import UsageError

GOLDEN = (1 + math.sqrt(5)) / 2
Axis = tuple[tuple[float, float, float], int]
"""A rotation axis and its fold."""

GENERATORS: dict[str, tuple[Axis, Axis]] = {
    "T": (((0, 0, 1), 3), ((0, math.sqrt(2), 1), 2)),
    "O": (((0, 0, 1), 4), ((1, 1, 1), 3)),
    "I1": (((0, 0, 1), 2), ((0, 1, GOLDEN), 5)),
    "I2": (((0, 0, 1), 2), ((1, 0, GOLDEN), 5)),
    "I3": (((0, 0, 1), 5), ((-2, 0, 1), 5)),
    "I4": (((0, 0, 1), 5), ((2, 0, 1), 5)),
}
LARGEST_ORDER = 1000
ASYMMETRIC_UNIT_CENTRE_DEG = (11.37, 53.91)
"""rot and tilt of the direction whose nearest neighbourhood is the asymmetric unit: in no special position."""
SAME = 1e-9
"""Differences of cosines below this are rounding."""


@dataclass(frozen=True, eq=False)
class SymmetryGroup:
    """A point group of rotations; made by `of`.

    Attributes
    ----------
    name
        Upper case: C1, C4, D7, T, O, I1 … I4.
    matrices
        Its rotations g, float64 ``(G, 3, 3)`` on the CPU, the identity first.
    """

    name: str
    matrices: Tensor

    @staticmethod
    def of(name: str) -> SymmetryGroup:
        """Return the group of a `name` as RELION takes it, upper or lower case; "I" is I2.

        Raises
        ------
        UsageError
            For any other name.
        """
        return _group(name.strip().upper())

    @property
    def order(self) -> int:
        """How many rotations it has: G."""
        return len(self.matrices)

    def mates(self, rotations: Tensor) -> Tensor:
        """Return the views ``(…, G, 3, 3)`` equivalent to each of ``(…, 3, 3)``, itself first."""
        return rotations.unsqueeze(-3) @ self.matrices.to(rotations)

    def nearest_mate(self, rotations: Tensor, reference: Tensor) -> Tensor:
        """Return of each view ``(…, 3, 3)`` the mate by the smallest rotation away from `reference`.

        Parameters
        ----------
        rotations, reference
            Views that broadcast to one shape ``(…, 3, 3)``.

        Returns
        -------
        Tensor ``(…, 3, 3)`` like `rotations`.
        """
        mates = self.mates(rotations)
        nearest = (mates * reference.unsqueeze(-3)).sum((-2, -1)).argmax(-1)  # the trace of mate · referenceᵀ
        chosen = self.matrices.to(rotations)[nearest]
        return rotations @ chosen

    def in_asymmetric_unit(self, directions_deg: Tensor) -> Tensor:
        """Tell which directions (rot, tilt in degrees, ``(…, 2)``) lie in the asymmetric unit, bool ``(…)``.

        The unit is the directions nearer to `ASYMMETRIC_UNIT_CENTRE_DEG` than to any of its mates. Of each
        direction and its mates it holds one; a direction on a symmetry axis is its own mate. (A direction
        halfway between two centres to nine digits would be taken twice: no HEALPix direction is.)
        """
        cosines = direction_vectors(directions_deg) @ self._unit_centres().to(directions_deg.device).T
        inside: Tensor = cosines[..., 0] >= cosines.amax(-1) - SAME
        return inside

    def unit_walls(self) -> Tensor:
        """Return the inward normals, float64 ``(G − 1, 3)``, of the planes that bound the asymmetric unit."""
        centres = self._unit_centres()
        return torch.nn.functional.normalize(centres[0] - centres[1:], dim=-1)

    def _unit_centres(self) -> Tensor:
        centre = direction_vectors(torch.tensor(ASYMMETRIC_UNIT_CENTRE_DEG))
        return centre @ self.matrices  # row vectors: centreᵀ·g = (gᵀ·centre)ᵀ


@lru_cache(maxsize=64)
def _group(name: str) -> SymmetryGroup:
    name = "I2" if name == "I" else name
    if name in GENERATORS:
        return SymmetryGroup(name, _closure([_rotation(*axis) for axis in GENERATORS[name]]))
    found = re.fullmatch(r"([CD])(\d+)", name)
    fold = int(found[2]) if found else 0
    if not found or not 1 <= fold <= LARGEST_ORDER:
        raise UsageError(
            f"There is no symmetry group {name!r} here.",
            "Give one of C1, C2 …, D1, D2 …, T, O, I1, I2, I3, I4.",
        )
    matrices = [_rotation((0, 0, 1), fold, times) for times in range(fold)]
    if found[1] == "D":
        matrices += [turn @ _rotation((1, 0, 0), 2) for turn in matrices]
    return SymmetryGroup(f"{found[1]}{fold}", torch.stack(matrices))


def _rotation(axis: tuple[float, float, float], fold: int, times: int = 1) -> Tensor:
    """Return the turn by `times`/`fold` of a full turn about `axis`, exact where sine and cosine are."""
    angle = 2 * math.pi * times / fold
    quarter = 4 * times % fold == 0  # whole numbers, not 6e-17
    cosine, sine = math.cos(angle), math.sin(angle)
    if quarter:
        cosine, sine = float(round(cosine)), float(round(sine))
    x, y, z = torch.nn.functional.normalize(torch.tensor(axis, dtype=torch.float64), dim=0).tolist()
    cross = torch.tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]], dtype=torch.float64)
    return torch.eye(3, dtype=torch.float64) + sine * cross + (1 - cosine) * (cross @ cross)


def _closure(generators: list[Tensor]) -> Tensor:
    """Return all products of the generators, the identity first, in the order in which they are found."""
    members = [torch.eye(3, dtype=torch.float64)]
    for member in members:  # grows as it goes
        for generator in generators:
            product = member @ generator
            if all((product - known).abs().max() > 1e-6 for known in members):
                members.append(product)
    return torch.stack(members)
