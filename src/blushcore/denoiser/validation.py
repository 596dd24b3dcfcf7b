"""Does a denoiser keep to the data? Tests of it that use half-maps as they were before it.

No figure here is a resolution: the FSC of two denoised maps measures the denoiser as much as the data.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from blushcore.denoiser.network import Denoised
from blushcore.shells import HALF_MAP_THRESHOLD, fsc, randomise_phases, transform_cross_sums

Floats = NDArray[np.float64]
Halves = tuple[Tensor, Tensor]


class Unchanged:
    """A denoiser that changes nothing.

    What comes out of it has gone through the same resampling and the same sphere as denoised maps have, and so
    can be held against them.
    """

    device = torch.device("cpu")
    batch_size = 4

    def __call__(self, blocks: Tensor, local_std: Tensor) -> Denoised:  # noqa: ARG002 - the protocol's form
        """Return the blocks."""
        return Denoised(blocks.clone(), torch.zeros_like(blocks))


@dataclass(frozen=True, eq=False)
class CrossValidation:
    """How well denoised halves agree with the other, undenoised one; float64 ``(n // 2 + 1,)`` each.

    Attributes
    ----------
    raw
        FSC of the halves as they were.
    cross
        FSC of denoised half 1 with raw half 2, and of denoised half 2 with raw half 1: their mean. What only
        damps or strengthens whole shells leaves it at `raw`; taking noise away raises it, up to √raw for the
        truth itself; detail that is not in the data lowers it.
    """

    raw: Floats
    cross: Floats

    def gain(self, last_shell: int) -> float:
        """Return the mean of cross − raw over shells 1 to `last_shell`; negative if the denoiser does harm."""
        return float((self.cross - self.raw)[1 : last_shell + 1].mean())

    def up_to(self, last_shell: int) -> CrossValidation:
        """Return it with nothing to tell (NaN) of denoised halves beyond a shell."""
        return CrossValidation(self.raw, _up_to(self.cross, last_shell))


def cross_validation(raw: Halves, denoised: Halves, mask: Tensor | None = None) -> CrossValidation:
    """Hold each denoised half against the raw other one.

    Parameters
    ----------
    raw, denoised
        Two halves ``(n, n, n)`` before and after.
    mask
        ``(n, n, n)``, put onto all four alike. Denoised maps have no solvent noise: without a mask they would
        only gain by that.
    """
    (raw1, raw2), (denoised1, denoised2) = _masked(raw, mask), _masked(denoised, mask)
    cross = (fsc(denoised1, raw2) + fsc(denoised2, raw1)) / 2
    return CrossValidation(fsc(raw1, raw2), cross)


@dataclass(frozen=True, eq=False)
class Transfer:
    """What a denoiser multiplies signal and noise by in each shell, float64 ``(n // 2 + 1,)`` each.

    NaN where the halves do not agree to 0.143 (signal) or have no noise.
    """

    signal: Floats
    noise: Floats

    def up_to(self, last_shell: int) -> Transfer:
        """Return it with nothing to tell (NaN) beyond a shell."""
        return Transfer(_up_to(self.signal, last_shell), _up_to(self.noise, last_shell))


def measured_transfer(raw: Halves, denoised: Halves, mask: Tensor | None = None) -> Transfer:
    """Measure the transfer of a denoiser, told apart by what the halves share.

    Signal: Re Σ D₁R₂* ÷ Re Σ R₁R₂*, as the noise of half 2 knows nothing of half 1, where the halves agree to
    0.143 (below it is chance divided by chance); noise: what D₁ shares with R₁ beyond that, over what R₁ has
    beyond it. Means over both halves. A Wiener filter multiplies both alike.

    Parameters
    ----------
    raw, denoised, mask
        As those of `cross_validation`.
    """
    unit = raw[0].std().clamp_min(1e-30)  # squares of any scale shall fit into float32
    one, two = (_spectrum(half / unit) for half in _masked(raw, mask))
    denoised1, denoised2 = (_spectrum(half / unit) for half in _masked(denoised, mask))
    halves = transform_cross_sums(one, two)
    with_other = transform_cross_sums(denoised1, two).cross + transform_cross_sums(denoised2, one).cross
    with_own = transform_cross_sums(denoised1, one).cross + transform_cross_sums(denoised2, two).cross
    noise = halves.power1 + halves.power2 - 2 * halves.cross
    signal = _ratio(with_other, 2 * halves.cross)
    agree = halves.correlation() >= HALF_MAP_THRESHOLD
    return Transfer(np.where(agree, signal, np.nan), _ratio(with_own - with_other, noise))


def agreement_by_chance(
    denoise: Callable[[Tensor], Tensor],
    raw: Halves,
    from_shell: int,
    *,
    mask: Tensor | None = None,
    seed: int = 0,
) -> Floats:
    """Return the FSC of two denoised halves whose phases were random from a shell on.

    Beyond it they have nothing in common, so whatever agrees there the denoiser (or the mask) has put in
    (after Chen et al. 2013, Ultramicroscopy 135:24).

    Parameters
    ----------
    denoise
        From a map to a map.
    raw
        The halves ``(n, n, n)``.
    from_shell
        From this radius on phases are random, other ones in each half.
    mask
        Put onto both denoised halves.
    seed
        Of the phases.
    """
    one, two = phases_at_random(raw, from_shell, seed)
    return masked_fsc((denoise(one), denoise(two)), mask)


def phases_at_random(raw: Halves, from_shell: int, seed: int) -> Halves:
    """Return two halves whose phases are random from a shell on, other ones in each."""
    one, two = (randomise_phases(half, from_shell, seed=(seed, number)) for number, half in enumerate(raw, 1))
    return one, two


def masked_fsc(halves: Halves, mask: Tensor | None) -> Floats:
    """Return the FSC of two maps, with a mask put onto both if there is one."""
    return fsc(*_masked(halves, mask))


def _up_to(curve: Floats, last_shell: int) -> Floats:
    known: Floats = np.where(np.arange(len(curve)) <= last_shell, curve, np.nan)
    return known


def _masked(halves: Halves, mask: Tensor | None) -> Halves:
    return halves if mask is None else (halves[0] * mask, halves[1] * mask)


def _spectrum(volume: Tensor) -> Tensor:
    transform: Tensor = torch.fft.rfftn(volume - volume.mean())
    return transform


def _ratio(above: Floats, below: Floats) -> Floats:
    """Return above ÷ below; NaN where what is below is nothing, or less."""
    least = 1e-6 * float(np.abs(below).max())
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > least)
