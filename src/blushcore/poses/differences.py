"""How far apart two views are."""

from __future__ import annotations

import torch
from torch import Tensor

from blushcore.poses.symmetry import SymmetryGroup


def angular_distance_deg(a: Tensor, b: Tensor, symmetry: SymmetryGroup | None = None) -> Tensor:
    """Return the angle in degrees of the rotation from view `b` to view `a`.

    Parameters
    ----------
    a, b
        Rotations ``(…, 3, 3)`` that broadcast.
    symmetry
        With a group: the smallest angle over the mates of `a`.

    Returns
    -------
    float64 Tensor ``(…)``, 0 to 180; accurate for small angles too: ``|A − B|² = 8 sin²(α/2)``.
    """
    a, b = _nearest(a, b, symmetry)
    half_sine = (a - b).square().sum((-2, -1)).div(8).sqrt().clamp(max=1)
    return torch.rad2deg(2 * torch.asin(half_sine))


def mean_axis_distance_deg(a: Tensor, b: Tensor, symmetry: SymmetryGroup | None = None) -> Tensor:
    """Return the angle in degrees by which the three axes of view `b` have to move to those of `a`, on average.

    Parameters and result as for `angular_distance_deg`, which is larger: by 3/2 for a turn about one of the
    axes.
    """
    a, b = _nearest(a, b, symmetry)
    half_chord = (a - b).square().sum(-1).sqrt().div(2).clamp(max=1)
    return torch.rad2deg(2 * torch.asin(half_chord)).mean(-1)


def _nearest(a: Tensor, b: Tensor, symmetry: SymmetryGroup | None) -> tuple[Tensor, Tensor]:
    a, b = a.double(), b.double()
    return (a if symmetry is None else symmetry.nearest_mate(a, b)), b
