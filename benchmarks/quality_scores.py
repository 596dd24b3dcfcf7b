"""One map against the truth, and what the network is compared with: filters, other denoisers, its own mask."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from blushcore.denoiser import DenoisedMap, Denoiser, denoise_map
from blushcore.denoiser.network import VOXEL_SIZE_ANGSTROM
from blushcore.shells import filter_by_shell, fsc
from blushcore.training.augmentation import HalfMapPair
from blushcore.volumes import lowpass, soft_sphere

Denoise: TypeAlias = Callable[[Tensor, float], DenoisedMap]
"""From a map at 1.5 Å and the particle's diameter (Å)."""

_NLM_PATCH, _NLM_DISTANCE, _NLM_STRENGTH = 3, 3, 0.8
"""Patches of 3³ voxels within 7³; the cut-off in standard deviations of the noise."""


@dataclass(frozen=True)
class MapScore:
    """One map of one case.

    Attributes
    ----------
    fsc
        To the truth, both inside its mask, shells 1 to that of the case's resolution.
    correlation
        With the truth in real space inside the mask, both low-passed to the resolution.
    solvent
        Variance of the solvent, inside the particle's sphere, over that of the particle.
    dice
        Of the network's mask with the truth's; None for what has none.
    seconds
        What it took.
    """

    fsc: list[float]
    correlation: float
    solvent: float
    dice: float | None
    seconds: float

    @property
    def mean_fsc(self) -> float:
        """Over its shells, each counting alike."""
        return float(np.mean(self.fsc))


def score_map(volume: Tensor, pair: HalfMapPair, seconds: float, own_mask: Tensor | None = None) -> MapScore:
    """Hold a map against the truth of its pair."""
    n, particle = pair.half1.shape[0], pair.mask > 0.5
    sphere = soft_sphere((n, n, n), min(pair.diameter / 2 / VOXEL_SIZE_ANGSTROM, n / 2), 0) > 0.5
    solvent = (pair.mask < 0.01) & sphere
    assert pair.truth is not None
    maps = [lowpass(v, pair.resolution, VOXEL_SIZE_ANGSTROM)[particle].numpy() for v in (volume, pair.truth)]
    inside = None if own_mask is None else own_mask > 0.5
    return MapScore(
        fsc=[round(float(value), 5) for value in curve_to_truth(volume, pair)],
        correlation=float(np.corrcoef(*maps)[0, 1]),
        solvent=float(volume[solvent].var() / volume[particle].var()),
        dice=None
        if inside is None
        else 2 * float((inside & particle).sum()) / float(inside.sum() + particle.sum()),
        seconds=round(seconds, 2),
    )


def curve_to_truth(volume: Tensor, pair: HalfMapPair) -> np.ndarray:
    """FSC of a map and the truth inside the truth's mask, shells 1 to that of the resolution."""
    assert pair.truth is not None
    last = last_shell(pair)
    return fsc(volume * pair.mask, pair.truth * pair.mask)[1 : last + 1]


def last_shell(pair: HalfMapPair) -> int:
    """Return the shell of the pair's resolution."""
    return round(pair.half1.shape[0] * VOXEL_SIZE_ANGSTROM / pair.resolution)


def as_denoise(denoiser: Denoiser) -> Denoise:
    """Return the network as a function of maps."""

    def denoise(volume: Tensor, diameter: float) -> DenoisedMap:
        return denoise_map(denoiser, volume, (VOXEL_SIZE_ANGSTROM,) * 3, diameter=diameter)

    return denoise


def score_network(denoise: Denoise, pair: HalfMapPair) -> dict[str, MapScore]:
    """Return the scores of the denoised map and of the baseline: the input times the network's own mask."""
    started = time.monotonic()
    denoised = denoise(pair.half1, pair.diameter)
    seconds = time.monotonic() - started
    return {
        "denoised": score_map(denoised.map, pair, seconds, denoised.mask),
        "masked": score_map(pair.half1 * denoised.mask, pair, seconds, denoised.mask),
    }


def score_peer(name: str, pair: HalfMapPair) -> MapScore:
    """Return the score of the input or of a peer."""
    started = time.monotonic()
    result = PEERS[name](pair)
    return score_map(result, pair, time.monotonic() - started)


def wiener(pair: HalfMapPair) -> Tensor:
    """Weight each shell of half 1 by the halves' FSC in the mask: the best filter there is, shell by shell."""
    curve = np.clip(fsc(pair.half1 * pair.mask, pair.half2 * pair.mask), 0, 1)
    curve[last_shell(pair) + 3 :] = 0
    return filter_by_shell(pair.half1, curve, interpolation="step", beyond="zero")


def gaussian(pair: HalfMapPair) -> Tensor:
    """Low-pass by a Gaussian that is one half at the resolution."""
    n = pair.half1.shape[0]
    frequency = np.arange(n // 2 + 1) / (n * VOXEL_SIZE_ANGSTROM)
    return filter_by_shell(pair.half1, np.exp(-math.log(2) * (frequency * pair.resolution) ** 2))


def non_local_means(pair: HalfMapPair) -> Tensor:
    """Average over like patches (Buades et al. 2005); of the Gaussian low-pass, which it gains from."""
    from skimage.restoration import denoise_nl_means

    smooth = gaussian(pair)
    n = smooth.shape[0]
    sphere = soft_sphere((n, n, n), min(pair.diameter / 2 / VOXEL_SIZE_ANGSTROM, n / 2), 0) > 0.5
    noise = float(smooth[(pair.mask < 0.01) & sphere].std())
    found = denoise_nl_means(
        smooth.numpy(),
        patch_size=_NLM_PATCH,
        patch_distance=_NLM_DISTANCE,
        h=_NLM_STRENGTH * noise,
        sigma=noise,
        fast_mode=True,
    )
    return torch.from_numpy(np.ascontiguousarray(found, np.float32))


PEERS: dict[str, Callable[[HalfMapPair], Tensor]] = {
    "input": lambda pair: pair.half1,
    "wiener": wiener,
    "gaussian": gaussian,
    "non_local_means": non_local_means,
}
