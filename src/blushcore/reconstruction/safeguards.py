"""What a denoiser does to two halves, measured while they are refined: does it keep to the data?

Costs a few Fourier transforms of the box an iteration. No figure here is a resolution.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from blushcore.denoiser.region import particle_sphere
from blushcore.denoiser.validation import CrossValidation, Transfer, cross_validation, measured_transfer
from blushcore.reconstruction.reconstruction import Reconstruction
from blushcore.shells import HALF_MAP_THRESHOLD


@dataclass(frozen=True, eq=False)
class Safeguards:
    """Denoised halves held against raw ones, within mask or sphere, before any low-pass of the denoised maps.

    Attributes
    ----------
    crossed
        How well each denoised half agrees with the raw other one.
    transfer
        What the denoiser multiplies signal and noise by.
    last_shell
        The last shell before the raw halves' FSC falls below 0.143, or up to which the denoiser's maps are
        used; 0 if the first is below.
    seconds
        What the measurement took.
    """

    crossed: CrossValidation
    transfer: Transfer
    last_shell: int
    seconds: float

    @property
    def gain(self) -> float:
        """What denoising adds to the agreement up to `last_shell`, on the mean; negative if it does harm."""
        return self.crossed.gain(self.last_shell) if self.last_shell else 0.0


def safeguards_of(
    pair: tuple[Reconstruction, Reconstruction],
    before: tuple[Tensor, Tensor],
    denoised: tuple[Tensor, Tensor],
    last_denoised: int,
) -> Safeguards:
    """Hold the denoised halves of one unit against the raw ones.

    Parameters
    ----------
    pair
        Halves 1 and 2.
    before
        Their maps as the denoiser was given them, ``(n, n, n)``.
    denoised
        What it made of them, before they are cut off anywhere.
    last_denoised
        The last shell that denoised maps are used up to. Beyond it they hold nothing, be the data as they may:
        what they are held against the raw halves by is NaN there, and counts for nothing.

    Notes
    -----
    Halves are joined at low resolution before they come here, so there raw ones agree by definition.
    """
    began = time.monotonic()
    one = pair[0]
    n = one.box
    sphere = particle_sphere((n, n, n), (one.voxel_size,) * 3, one.diameter_angstrom, device=before[0].device)
    raw = before[0] * sphere, before[1] * sphere  # as denoised maps have it already
    mask = None if one.mask is None else one.mask.to(sphere.device)
    crossed = cross_validation(raw, denoised, mask).up_to(last_denoised)
    transfer = measured_transfer(raw, denoised, mask).up_to(last_denoised)
    known = min(one.current_size // 2, last_denoised)
    below = np.flatnonzero(crossed.raw[1 : known + 1] < HALF_MAP_THRESHOLD)
    last = int(below[0]) if below.size else known
    return Safeguards(crossed, transfer, last, time.monotonic() - began)
