"""What the CTF takes from each particle."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor


@dataclass(frozen=True, eq=False)
class CtfParameters:
    """CTF parameters of B particles, float64 ``(B,)`` each.

    Attributes
    ----------
    defocus_u_angstrom, defocus_v_angstrom
        Defocus along the major and the minor axis of astigmatism; underfocus is positive.
    defocus_angle_deg
        Angle from x to the direction of u.
    phase_shift_deg
        Of a phase plate.
    b_factor
        B in Å², of exp(−B k²/4).
    scale
        ``rlnCtfScalefactor``.
    """

    defocus_u_angstrom: Tensor
    defocus_v_angstrom: Tensor
    defocus_angle_deg: Tensor
    phase_shift_deg: Tensor
    b_factor: Tensor
    scale: Tensor

    @staticmethod
    def of(
        defocus_u_angstrom: ArrayLike,
        defocus_v_angstrom: ArrayLike | None = None,
        defocus_angle_deg: ArrayLike = 0.0,
        phase_shift_deg: ArrayLike = 0.0,
        b_factor: ArrayLike = 0.0,
        scale: ArrayLike = 1.0,
    ) -> CtfParameters:
        """Return parameters from arrays ``(B,)`` or numbers that hold for all; v is u unless given."""
        v = defocus_u_angstrom if defocus_v_angstrom is None else defocus_v_angstrom
        columns = (defocus_u_angstrom, v, defocus_angle_deg, phase_shift_deg, b_factor, scale)
        same = np.broadcast_arrays(*(np.atleast_1d(np.asarray(column, dtype=np.float64)) for column in columns))
        return CtfParameters(*(torch.from_numpy(column.copy()) for column in same))

    @property
    def count(self) -> int:
        """How many particles: B."""
        return len(self.defocus_u_angstrom)

    def take(self, indices: Tensor | slice) -> CtfParameters:
        """Return the parameters of some of the particles."""
        return CtfParameters(*(getattr(self, field.name)[indices] for field in fields(self)))

    def to(self, device: torch.device | str) -> CtfParameters:
        """Return the parameters on a device; they stay where they are if it has no float64 (MPS)."""
        if torch.device(device).type == "mps":
            return self
        return CtfParameters(*(getattr(self, field.name).to(device) for field in fields(self)))
