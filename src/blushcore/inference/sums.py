"""What an iteration's posteriors are summed into: the next reconstruction, noise, scale, offsets.

The sums of the M-step (Scheres 2012, J Struct Biol 180:519, eqs. 5–8), over images and poses, weighted by the
posterior Γ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from blushcore.projection import SliceSums
from blushcore.shells import PlaneComponents


@dataclass
class ExpectationSums:
    """Sums over the images of one half; those of several processes are added.

    Attributes
    ----------
    of_classes
        ΣΓ·CTF·X/σ² and ΣΓ·CTF²/σ² in the padded Fourier volume of each class.
    noise_power
        ΣΓ|X − CTF·S|² in each shell of each optics group's box, float64 ``(n // 2 + 1,)`` each.
    noise_weight
        ΣΓ in each shell, times CTF² where images and so their noise were multiplied by it; float64
        ``(n // 2 + 1,)`` of each optics group.
    scale_cross, scale_power
        ΣΓ Re⟨CTF·S, X⟩ and ΣΓ|CTF·S|² in each shell, float64 ``(scale groups, n // 2 + 1)``.
    direction_weight
        ΣΓ of each direction of the grid, class by class, float64 ``(K · D,)``; 0 where orientations are kept.
    class_weight
        ΣΓ of each class, float64 ``(K,)``.
    offset_square
        ΣΓ|t|² of the whole offsets t, Å².
    weight
        ΣΓ.
    """

    of_classes: list[SliceSums]
    noise_power: list[Tensor]
    noise_weight: list[Tensor]
    scale_cross: Tensor
    scale_power: Tensor
    direction_weight: Tensor
    class_weight: Tensor
    offset_square: float = 0.0
    weight: float = 0.0

    @property
    def slices(self) -> SliceSums:
        """The sums of the only class."""
        (only,) = self.of_classes
        return only

    @property
    def offset_sigma_angstrom(self) -> float:
        """σ_offset = √(ΣΓ|t|² / 2ΣΓ) in Å."""
        return float((self.offset_square / (2 * max(self.weight, 1e-30))) ** 0.5)

    def noise_variance(self, previous: Sequence[Tensor]) -> list[Tensor]:
        """Return σ²(s) of each optics group: the variance of the real and of the imaginary part.

        Parameters
        ----------
        previous
            σ²(s) so far, float64 ``(n // 2 + 1,)`` each: kept for groups without images, and for shells without
            components.
        """
        variances = []
        for power, weight, before in zip(self.noise_power, self.noise_weight, previous, strict=True):
            n = 2 * (len(power) - 1)
            counts = PlaneComponents.of(n).shell_counts()[: len(power)]
            sure = (counts > 0) & (weight > 0) & (power > 0)
            variances.append(torch.where(sure, power / (2 * weight * counts).clamp(min=1e-30), before))
        return variances


@dataclass
class ImageResults:
    """What an iteration finds out about each of N images; numpy-like Tensors on the CPU.

    Attributes
    ----------
    angles_deg
        rot, tilt, psi of the most likely pose, float64 ``(N, 3)``.
    offsets_px
        Its x, y in pixels, float64 ``(N, 2)``.
    p_max
        Its probability, float64 ``(N,)``.
    log_likelihood
        Log of the sum of likelihood × prior over the poses, up to a constant of the image, float64 ``(N,)``.
    significant
        Number of coarse poses that counted, int64 ``(N,)``.
    residual
        √(2 Σ Γ|X − CTF·S|²) over all shells: 1 for a normalised image, float64 ``(N,)``.
    class_index
        The class of the most likely pose, from 0 on, int64 ``(N,)``.
    class_probability
        The posterior of each class, over all its poses, float64 ``(N, K)``.
    """

    angles_deg: Tensor
    offsets_px: Tensor
    p_max: Tensor
    log_likelihood: Tensor
    significant: Tensor
    residual: Tensor
    class_index: Tensor
    class_probability: Tensor

    @property
    def classes(self) -> int:
        """How many classes there are: K."""
        return self.class_probability.shape[1]

    @classmethod
    def empty(cls, count: int, classes: int = 1) -> ImageResults:
        """Return results of `count` images, not yet filled in."""
        floats = [torch.zeros(count, dtype=torch.float64) for _ in range(3)]
        return cls(
            torch.zeros(count, 3, dtype=torch.float64),
            torch.zeros(count, 2, dtype=torch.float64),
            floats[0],
            floats[1],
            torch.zeros(count, dtype=torch.int64),
            floats[2],
            torch.zeros(count, dtype=torch.int64),
            torch.zeros(count, classes, dtype=torch.float64),
        )
