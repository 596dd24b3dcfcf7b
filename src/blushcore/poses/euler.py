"""Euler angles and rotation matrices, in the field's convention.

Angles are rot φ, tilt θ, psi ψ in degrees, intrinsic ZYZ (Heymann 2005, J Struct Biol 151:196). The matrix A
takes an object vector to the image frame; its third row is the direction from which the object is seen, the
other two are the image's x and y axes in the object. A rotation about z by ψ turns the image in its plane:
``A(φ, θ, ψ) = A(0, 0, ψ) · A(φ, θ, 0)``.
"""

from __future__ import annotations

import torch
from torch import Tensor

GIMBAL_SINE = 1e-7
"""Sine of the tilt below which rot and psi cannot be told apart (rot is then given as 0)."""


def euler_to_matrix(angles_deg: Tensor) -> Tensor:
    """Return the rotations of Euler angles.

    Parameters
    ----------
    angles_deg
        rot, tilt, psi in degrees, ``(…, 3)``, float32 or float64.

    Returns
    -------
    Tensor ``(…, 3, 3)`` of the same dtype (computed in float64), object to image frame.
    """
    angles = torch.deg2rad(angles_deg.double())
    (cf, ct, cp), (sf, st, sp) = angles.cos().unbind(-1), angles.sin().unbind(-1)
    rows = (
        torch.stack((cp * ct * cf - sp * sf, cp * ct * sf + sp * cf, -cp * st), -1),
        torch.stack((-sp * ct * cf - cp * sf, -sp * ct * sf + cp * cf, sp * st), -1),
        torch.stack((st * cf, st * sf, ct), -1),
    )
    return torch.stack(rows, -2).to(angles_deg.dtype)


def matrix_to_euler(rotations: Tensor) -> Tensor:
    """Return rot, tilt, psi in degrees of rotations ``(…, 3, 3)``: ``(…, 3)``, same dtype, float64 inside.

    rot and psi lie in (−180, 180], tilt in [0, 180]. At tilt 0 and 180 only rot + psi or rot − psi is
    defined: rot is 0 there.
    """
    a = rotations.double()
    sine = torch.hypot(a[..., 2, 0], a[..., 2, 1])
    pole = sine < GIMBAL_SINE
    rot = torch.where(pole, 0.0, torch.atan2(a[..., 2, 1], a[..., 2, 0]))
    psi = torch.where(pole, torch.atan2(a[..., 0, 1], a[..., 1, 1]), torch.atan2(a[..., 1, 2], -a[..., 0, 2]))
    tilt = torch.atan2(sine, a[..., 2, 2])
    return torch.rad2deg(torch.stack((rot, tilt, psi), -1)).to(rotations.dtype)


def direction_vectors(directions_deg: Tensor) -> Tensor:
    """Return the unit vectors ``(…, 3)``, float64, of directions rot, tilt in degrees ``(…, 2)``."""
    (cf, ct), (sf, st) = (
        torch.deg2rad(directions_deg.double()).cos().unbind(-1),
        torch.deg2rad(directions_deg.double()).sin().unbind(-1),
    )
    return torch.stack((st * cf, st * sf, ct), -1)
