"""Where the components of slices lie in a padded transform."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from blushcore.projection.grid import PaddedGrid
from blushcore.shells.plane import PlaneComponents

_ORTHOGONAL_WITHIN = 1e-4


@dataclass(frozen=True, eq=False)
class SlicePoints:
    """The components of a plane in padded units, as far as a grid reaches.

    Attributes
    ----------
    kx, ky
        p·k′, float32 ``(Q,)`` with Q ≤ P; 0 where `outside`.
    outside
        bool ``(Q,)``: components that a magnification takes beyond the last shell; None if there are none.
    """

    kx: Tensor
    ky: Tensor
    outside: Tensor | None

    @classmethod
    def of(cls, plane: PlaneComponents, grid: PaddedGrid, magnification: Tensor | None = None) -> SlicePoints:
        """Place the components of `plane`: k′ = Mk, M a 2×2 `magnification` acting on (kx, ky), or k as it is.

        Raises
        ------
        ValueError
            If the plane has another box than the grid, and no magnification says how they are related.
        """
        if magnification is None:
            if plane.n != grid.n:
                raise ValueError(f"a plane of box {plane.n} and a volume of box {grid.n} need a magnification")
            inside = plane.within(min(grid.current_size, plane.current_size))
            kx, ky = (k.to(torch.float32) * grid.padding for k in (inside.kx, inside.ky))
            return cls(kx, ky, None)
        k = torch.stack((plane.kx, plane.ky)).to("cpu", torch.float64)
        moved = magnification.to("cpu", torch.float64) @ k
        outside = torch.hypot(*moved) >= grid.last_shell + 0.5
        kx, ky = (moved * grid.padding * ~outside).to(plane.device, torch.float32)
        return cls(kx, ky, outside.to(plane.device) if outside.any() else None)

    @property
    def count(self) -> int:
        """How many components there are: Q."""
        return len(self.kx)


def checked_rotations(rotations: Tensor, device: torch.device) -> Tensor:
    """Return rotations ``(O, 3, 3)`` as contiguous float32 on `device`.

    Raises
    ------
    ValueError
        If one of them is no rotation: the kernels would read and write elsewhere.
    """
    if rotations.ndim != 3 or rotations.shape[1:] != (3, 3):
        raise ValueError(f"rotations have shape {tuple(rotations.shape)}, not (O, 3, 3)")
    result = rotations.detach().to(device, torch.float32).contiguous()
    identity = torch.eye(3, device=device)
    errors = (result @ result.mT - identity).abs().amax((1, 2))
    good = errors < _ORTHOGONAL_WITHIN  # false for NaN
    if not bool(good.all()):
        raise ValueError(f"matrix {int((~good).nonzero()[0])} of {len(result)} is no rotation")
    return result
