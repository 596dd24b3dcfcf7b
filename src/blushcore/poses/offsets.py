"""The offsets that a search goes through: a grid on a disc, and its finer children."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

OFFSET_CHILDREN = 4


@dataclass(frozen=True)
class OffsetGrid:
    """Offsets on a square grid within a disc (Scheres 2012, J Struct Biol 180:519, adaptive sampling).

    Attributes
    ----------
    range_px
        Radius of the disc in pixels.
    step_px
        Distance of neighbouring offsets in pixels, before oversampling.
    perturbation
        Added to x and to y, as a fraction of the step.
    """

    range_px: float
    step_px: float
    perturbation: float = 0.0

    def __post_init__(self) -> None:
        if not (self.step_px > 0 and self.range_px >= 0):
            raise ValueError(f"offsets up to {self.range_px} px in steps of {self.step_px} px")

    @property
    def fine_step_px(self) -> float:
        """Distance of neighbouring children in pixels."""
        return self.step_px / 2

    def coarse(self, device: torch.device | str = "cpu") -> Tensor:
        """Return the offsets x, y in pixels, float64 ``(T, 2)``; before perturbation one of them is 0, 0."""
        reach = int(self.range_px / self.step_px + 1e-6)
        steps = torch.arange(-reach, reach + 1, dtype=torch.float64) * self.step_px
        y, x = torch.meshgrid(steps, steps, indexing="ij")
        offsets = torch.stack((x.flatten(), y.flatten()), -1)
        inside = offsets.square().sum(-1) <= (self.range_px + 1e-6) ** 2
        return (offsets[inside] + self.perturbation * self.step_px).to(device)

    def children(self, device: torch.device | str = "cpu") -> Tensor:
        """Return the children x, y in pixels, float64 ``(T · 4, 2)``; those of offset t are 4t … 4t + 3.

        They are the centres of the four quarters of the square that an offset stands for.
        """
        quarter = torch.tensor([[-1, -1], [1, -1], [-1, 1], [1, 1]], dtype=torch.float64) * self.step_px / 4
        return (self.coarse()[:, None] + quarter).reshape(-1, 2).to(device)
