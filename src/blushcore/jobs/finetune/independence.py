"""Whether two maps can be the independent, unfiltered halves of a reconstruction, as noise2noise needs them.

What the halves share is taken for signal. Where they share noise too, because one was made of the other, or
because both were filtered or masked, a network learns to keep that noise, and nothing else would tell.
"""

from __future__ import annotations

import numpy as np

from blushcore.denoiser.network import VOXEL_SIZE_ANGSTROM
from blushcore.protocol import BlushError
from blushcore.shells import fsc, power_spectrum
from blushcore.training.augmentation import HalfMapPair
from blushcore.volumes import Volume

_MASKED_ALREADY = 0.6
"""Share of zeros above which halves look masked: RELION's own sphere leaves the corners, 48 %, empty."""
_COPIES = 0.9999
_COMMON = 0.4
"""Mean FSC outside the mask: independent halves have 0 there; a half and the sum of both have 0.7."""
_COARSEST_ANGSTROM = 10.0
"""Coarser than this, solvent and micelles agree without being common noise."""
_CUT_OFF = 1e-3
"""Power of the finest noise, in units of the strongest, below which the halves were filtered."""
_BEYOND_ANGSTROM = 15.0
"""From where on noise is compared: as it is made, its power falls by less than a hundred from here."""


def doubts_about(pair: HalfMapPair, half1: Volume, half2: Volume) -> tuple[str, ...]:
    """Return what speaks against two halves, in sentences for the user.

    Parameters
    ----------
    pair
        The halves on the network's grid, with their mask.
    half1, half2
        The same as they were read.

    Raises
    ------
    BlushError
        When they are copies of one map, whatever their scale.
    """
    nyquist = max(2 * VOXEL_SIZE_ANGSTROM, 2 * max(half1.voxel_size))
    size = pair.half1.shape[0] * VOXEL_SIZE_ANGSTROM
    last = int(size / nyquist)
    if float(fsc(pair.half1, pair.half2)[1:last].min()) > _COPIES:
        raise BlushError(
            "The two maps agree perfectly at every frequency: they are copies of one, not independent halves.",
            "Give the two half-maps of one reconstruction.",
        )
    doubts = []
    empty = min(float(np.mean(half.data == 0)) for half in (half1, half2))
    if empty > _MASKED_ALREADY:
        doubts.append(
            f"Both halves are exactly 0 in {100 * empty:.0f} % of the box: they look masked already. Give them "
            "unmasked: what lies around the particle teaches the network what noise is."
        )
    if noise_is_cut_off(pair, last):
        doubts.append(
            "Their finest shells hold next to nothing: the halves look filtered. Give them as they were "
            "reconstructed, or the network learns nothing about their noise."
        )
    if not doubts and common_noise(pair, last) > _COMMON:
        doubts.append(
            "Outside the mask the two maps agree as they do inside. Either the mask leaves a part of the "
            "particle out, or they are no independent halves: one may be made of the other, or of both. Then "
            "what comes out keeps their common noise."
        )
    return tuple(doubts)


def common_noise(pair: HalfMapPair, last: int) -> float:
    """Return the mean FSC of the halves outside the mask, from 10 Å to shell `last`; 0 where there is none."""
    size = pair.half1.shape[0] * VOXEL_SIZE_ANGSTROM
    first = round(size / _COARSEST_ANGSTROM)
    outside = 1 - pair.mask
    if last <= first or float(outside.mean()) < 0.05:
        return 0.0
    return float(fsc(pair.half1 * outside, pair.half2 * outside)[first:last].mean())


def noise_is_cut_off(pair: HalfMapPair, last: int) -> bool:
    """Whether the noise, (half 1 − half 2), ends before shell `last`."""
    first = max(1, round(pair.half1.shape[0] * VOXEL_SIZE_ANGSTROM / _BEYOND_ANGSTROM))
    finest = slice(last - max(2, last // 10), last)
    if finest.start <= first:
        return False
    noise = power_spectrum(pair.half1 - pair.half2)
    return bool(noise[finest].mean() < _CUT_OFF * noise[first:last].max())
