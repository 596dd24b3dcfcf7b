"""The FSC inside a mask, freed of what the mask itself makes agree."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from blushcore.protocol import BlushError
from blushcore.shells.correlation import fsc
from blushcore.shells.curves import FscCurves
from blushcore.shells.geometry import Counting, Floats
from blushcore.shells.phases import randomise_phases
from blushcore.shells.resolution import HALF_MAP_THRESHOLD
from blushcore.shells.transforms import VolumeLike, as_cube, as_cubes
from blushcore.volumes import require_mask_values

RANDOMISE_BELOW = 0.8
"""Phases are randomised from the first shell on where the unmasked FSC is below this (RELION's figure)."""

_TOO_TIGHT = 0.1


def solvent_corrected_fsc(
    half1: VolumeLike,
    half2: VolumeLike,
    mask: VolumeLike,
    *,
    voxel_size: float,
    seed: int = 0,
    randomise_below: float = RANDOMISE_BELOW,
    counting: Counting = "sphere",
) -> FscCurves:
    """Return the FSC of two halves within a mask, corrected by phase randomisation.

    A mask multiplies both halves alike and so makes them agree. How much it does is measured on the same halves
    with their phases randomised from radius i₀ on, the first shell whose unmasked FSC is below
    `randomise_below`:
    FSC_true = (FSC_m − FSC_r)/(1 − FSC_r) from i₀ + 2 on and FSC_m below (Chen et al. 2013, Ultramicroscopy
    135:24).

    Parameters
    ----------
    half1, half2
        Unfiltered, unmasked halves ``(n, n, n)``.
    mask
        ``(n, n, n)``, values from 0 to 1.
    voxel_size
        In Å.
    seed
        Of the random phases; the halves get different ones.
    randomise_below
        The unmasked FSC below which phases are randomised.
    counting
        See `blushcore.shells.Counting`.

    Returns
    -------
    FscCurves. If the unmasked FSC never falls below `randomise_below` there is nothing to randomise: then
    ``randomised`` is None and ``corrected`` is the masked curve.

    Raises
    ------
    BlushError
        If the halves or the mask are not cubes of one size, contain NaN, or the mask leaves 0 to 1 or is empty.
    """
    first, second = as_cubes(half1, half2)
    window = _checked_mask(mask, first)
    unmasked = fsc(first, second, counting=counting)
    masked = fsc(first * window, second * window, counting=counting)
    curves = FscCurves(
        box=first.shape[0],
        voxel_size=voxel_size,
        unmasked=unmasked,
        masked=masked,
        corrected=masked,
        mask_fraction=_mask_fraction(window),
    )
    start = randomisation_start(unmasked, randomise_below)
    if start is None:
        return curves
    chance1 = randomise_phases(first, start, seed=(seed, 1)) * window
    chance2 = randomise_phases(second, start, seed=(seed, 2)) * window
    randomised = fsc(chance1, chance2, counting=counting)
    return FscCurves(
        box=curves.box,
        voxel_size=voxel_size,
        unmasked=unmasked,
        masked=masked,
        randomised=randomised,
        corrected=corrected_fsc(masked, randomised, start),
        randomised_from_shell=start,
        mask_fraction=curves.mask_fraction,
    )


def randomisation_start(unmasked: Floats, below: float = RANDOMISE_BELOW) -> int | None:
    """Return the first shell ≥ 1 whose unmasked FSC is below `below`, or None."""
    shells = np.flatnonzero(unmasked[1:] < below)
    return int(shells[0]) + 1 if shells.size else None


def corrected_fsc(masked: Floats, randomised: Floats, start: int) -> Floats:
    """Return (FSC_m − FSC_r)/(1 − FSC_r) from shell ``start + 2`` on, and FSC_m below.

    The two shells left alone still hold phases that were kept: i₀ those of its inner half, both what the mask
    carries over from below. Where the randomised halves agree fully, the mask explains everything: 0.
    """
    corrected = masked.copy()
    beyond = slice(start + 2, None)
    room = 1.0 - randomised[beyond]
    corrected[beyond] = np.divide(
        masked[beyond] - randomised[beyond], room, out=np.zeros_like(room), where=room > 1e-6
    )
    return corrected


def mask_warnings(curves: FscCurves, threshold: float = HALF_MAP_THRESHOLD) -> tuple[str, ...]:
    """Return sentences for the user if the curves show that the mask does harm; mostly there are none.

    A mask is too tight, or its edge too sharp, if about the resolution the randomised halves still agree: their
    FSC, averaged over five shells, above 0.1 and above what chance explains. It is misplaced if the resolution
    gets worse inside it.
    """
    if curves.corrected is None:
        return ()
    found = curves.resolution(threshold)
    sentences = []
    error = curves.randomised_error
    if curves.randomised is not None and curves.randomised_from_shell is not None and error is not None:
        last = len(curves.randomised)
        low = min(max(curves.randomised_from_shell + 2, found.shell - 2), last - 1)
        near = slice(low, max(found.shell + 3, low + 1))
        agreement = float(curves.randomised[near].mean())
        # The mask ties neighbouring shells together, so five of them are taken for two independent ones.
        if agreement > max(_TOO_TIGHT, 3.0 * float(error[near].mean()) / np.sqrt(2.0)):
            sentences.append(
                f"The mask looks too tight: with randomised phases the halves still agree to {agreement:.2f} "
                "about the resolution, where they should not agree at all. Widen the mask or soften its edge."
            )
    outside = FscCurves(box=curves.box, voxel_size=curves.voxel_size, unmasked=curves.unmasked).resolution(
        threshold
    )
    if found.shell < outside.shell:
        sentences.append(
            f"The mask makes the resolution worse, {found.angstrom:.2f} Å inside it against "
            f"{outside.angstrom:.2f} Å without. Check that it covers the particle."
        )
    return tuple(sentences)


def _checked_mask(mask: VolumeLike, like: Tensor) -> Tensor:
    window = as_cube(mask, "The mask")
    if window.shape != like.shape:
        raise BlushError(
            f"The mask has a box of {window.shape[0]} voxels, the halves of {like.shape[0]}.",
            "Give a mask on the grid of the halves.",
        )
    low, high = (float(value) for value in torch.aminmax(window))
    require_mask_values(low, high, "The mask")
    return window.to(like.device, like.dtype)


def _mask_fraction(window: Tensor) -> float:
    squared = window * window
    accumulate = torch.float32 if window.device.type == "mps" else torch.float64
    second, fourth = float(squared.sum(dtype=accumulate)), float((squared * squared).sum(dtype=accumulate))
    return second * second / (fourth * window.numel())
