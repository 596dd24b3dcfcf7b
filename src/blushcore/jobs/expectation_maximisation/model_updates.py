"""What the sums of an E-step say about images: noise, norms, scales, offsets, directions.

The M-step's simple parts (Scheres 2012, J Struct Biol 180:519, eqs. 6–8), each a closed form.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from numpy.typing import NDArray

from blushcore.inference import ExpectationSums
from blushcore.jobs.expectation_maximisation.model import ParticleModel

SMALLEST_OFFSET_SIGMA_ANGSTROM = 2.0
SSNR_FOR_SCALE = 3.0
LARGEST_SCALE_RATIO = 5.0
IMPLAUSIBLE_NORM_RATIO = 20.0
IMPLAUSIBLE_SCALE = (0.3, 3.0)


def updated_model(
    model: ParticleModel,
    sums: ExpectationSums,
    *,
    ssnr: NDArray[np.float64],
    group_sizes: NDArray[np.int64],
    is_global: bool,
    only_poses: bool,
    scale_correction: bool,
) -> ParticleModel:
    """Return the model after an E-step, its reference and mean norm as before.

    Parameters
    ----------
    model
        As the E-step used it.
    sums
        What it found.
    ssnr
        Signal-to-noise ratio of the reference in each shell.
    group_sizes
        Particles of the model in each scale group.
    is_global
        Whether all directions were searched, so that their shares mean something.
    only_poses
        Leave noise and scales alone: the reference's scale is not known yet.
    scale_correction
        Whether scales are corrected.
    """
    share = None
    if is_global and sums.weight > 0:
        share = sums.direction_weight.numpy() / sums.weight
    sigma = max(SMALLEST_OFFSET_SIGMA_ANGSTROM, sums.offset_sigma_angstrom)
    updated = dataclasses.replace(model, offset_sigma_angstrom=sigma, direction_prior=share)
    if only_poses:
        return updated
    variances = sums.noise_variance([torch.from_numpy(v) for v in model.noise_variance])
    updated = dataclasses.replace(updated, noise_variance=tuple(v.numpy() for v in variances))
    if not scale_correction:
        return updated
    scale = updated_scales(
        model.group_scale, sums.scale_cross.numpy(), sums.scale_power.numpy(), ssnr, group_sizes
    )
    return dataclasses.replace(updated, group_scale=scale)


def updated_scales(
    scale: NDArray[np.float64],
    cross: NDArray[np.float64],
    power: NDArray[np.float64],
    ssnr: NDArray[np.float64],
    group_sizes: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return ΣΓRe⟨CTF·S, X⟩/ΣΓ|CTF·S|² of each group over shells with much signal.

    Held within a fifth and five times the median, with a mean over particles of 1. One group alone has no
    scale, and groups without images, or all of them where no shell has enough signal, keep theirs.

    Parameters
    ----------
    scale
        So far, ``(groups,)``.
    cross, power
        The two sums by shell, ``(groups, shells)``.
    ssnr
        By shell.
    group_sizes
        Particles in each group.
    """
    used = np.flatnonzero(ssnr[: cross.shape[1]] > SSNR_FOR_SCALE)
    used = used[used > 0]
    above, below = cross[:, used].sum(1), power[:, used].sum(1)
    seen = (below > 0) & (above > 0) & (group_sizes > 0)
    if len(scale) < 2 or not seen.any():
        return scale
    found = scale.copy()
    found[seen] = above[seen] / below[seen]
    median = float(np.median(found[seen]))
    found = np.clip(found, median / LARGEST_SCALE_RATIO, median * LARGEST_SCALE_RATIO)
    mean: NDArray[np.float64] = found / np.average(found, weights=group_sizes)
    return mean


def implausible_values(
    norm: NDArray[np.float64], scales: tuple[NDArray[np.float64], ...], group_names: tuple[str, ...]
) -> list[str]:
    """Return sentences about norm corrections and scales that no proper images have."""
    told = []
    typical = float(np.median(norm))
    odd = np.flatnonzero((norm > IMPLAUSIBLE_NORM_RATIO * typical) | (norm < typical / IMPLAUSIBLE_NORM_RATIO))
    if odd.size:
        told.append(
            f"{odd.size} images have a norm correction far from the others' {typical:.3g} (particle "
            f"{odd[0] + 1}: {norm[odd[0]]:.3g}). Are they normalised?"
        )
    low, high = IMPLAUSIBLE_SCALE
    for scale in scales:
        wrong = np.flatnonzero((scale < low) | (scale > high))
        if wrong.size:
            told.append(
                f"{wrong.size} groups have an intensity scale beyond {low:g} to {high:g} "
                f"({group_names[wrong[0]]}: {scale[wrong[0]]:.3g}). Is their ice or their CTF odd?"
            )
            break
    return told
