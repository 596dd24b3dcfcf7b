"""What two routes to half-maps are held against each other by: spectra, speckle, streaks, cones of the FSC."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from blushcore.shells import fsc, power_spectrum
from blushcore.shells.sums import average_over_shells

Floats = NDArray[np.float64]

_AZIMUTHS, _LEVELS = 24, 6
"""Directions of the half sphere, of equal areas, that streaks are looked for in."""
_RINGS = (0.25, 0.45)
"""Radii in units of the box edge's frequency (cycles a voxel) between which they are."""
_CONE_DEG = 30.0


@dataclass(frozen=True, eq=False)
class HalfMapFigures:
    """Figures of a pair of half-maps; float64 ``(n // 2 + 1,)`` where they go by shell.

    Attributes
    ----------
    noise, signal
        Power of the halves' difference over √2, and what they share beyond noise: the cross spectrum.
    fsc
        Inside the mask.
    speckle
        ⟨|N|⁴⟩ ÷ 2⟨|N|²⟩² of the noise's components in each shell: 1 where all have the same variance, more
        where few images, or preferred views, make it uneven from place to place.
    streaks
        Spread of the noise's power over directions, as a standard deviation relative to the mean, beyond what
        chance makes in so many components: radial streaks of Fourier space, which few or overfitted images
        leave. A number.
    along, across
        FSC inside the mask in a cone of 30° about an axis, and within 30° of the plane across it.
    """

    noise: Floats
    signal: Floats
    fsc: Floats
    speckle: Floats
    streaks: float
    along: Floats
    across: Floats


def half_map_figures(
    half1: Tensor, half2: Tensor, mask: Tensor, axis: tuple[float, float, float]
) -> HalfMapFigures:
    """Measure a pair of half-maps ``(n, n, n)``; `axis` (x, y, z) is that of the preferred views, if any."""
    noise_map = (half1 - half2) / np.sqrt(2)
    power = torch.fft.rfftn(noise_map, norm="ortho").abs().square()
    noise = power_spectrum(noise_map)
    shared = (power_spectrum(half1 + half2) - power_spectrum(half1 - half2)) / 4
    fourth = average_over_shells(power.double().square())
    speckle = np.divide(fourth, 2 * noise**2, out=np.ones_like(noise), where=noise > 0)
    inside1, inside2 = half1 * mask, half2 * mask
    along, across = cone_fsc(inside1, inside2, axis)
    return HalfMapFigures(noise, shared, fsc(inside1, inside2), speckle, streaks(noise_map), along, across)


def streaks(noise_map: Tensor) -> float:
    """Return `HalfMapFigures.streaks` of a map of noise ``(n, n, n)``."""
    n = noise_map.shape[0]
    power = torch.fft.rfftn(noise_map).abs().square().double()
    kz, ky, kx, radius = _grid(n)
    ring = (radius > _RINGS[0]) & (radius < _RINGS[1]) & (kx > 0)
    # Each shell in units of its mean, so that the spectrum is none of it.
    shell = (radius * n).round().long()[ring]
    values = power[ring]
    sums = torch.zeros(n, dtype=torch.float64).index_add_(0, shell, values)
    counts = torch.zeros(n, dtype=torch.float64).index_add_(0, shell, torch.ones_like(values))
    values = values / (sums / counts.clamp_min(1))[shell]
    # Half sphere about x: equal areas are equal steps of kx and of the azimuth.
    level = (kx.expand_as(radius)[ring] / radius[ring] * _LEVELS).long().clamp_max(_LEVELS - 1)
    azimuth = torch.atan2(kz.expand_as(radius)[ring], ky.expand_as(radius)[ring]) / (2 * torch.pi) + 0.5
    cell = level * _AZIMUTHS + (azimuth * _AZIMUTHS).long().clamp_max(_AZIMUTHS - 1)
    cells = _AZIMUTHS * _LEVELS
    sums = torch.zeros(cells, dtype=torch.float64).index_add_(0, cell, values)
    counts = torch.zeros(cells, dtype=torch.float64).index_add_(0, cell, torch.ones_like(values))
    means = (sums / counts.clamp_min(1)).numpy()
    # The mean of m exponential variables of mean 1 has the variance 1/m.
    by_chance = float((1 / counts.clamp_min(1)).mean())
    return float(np.sqrt(max(0.0, means.var(ddof=1) - by_chance)))


def cone_fsc(half1: Tensor, half2: Tensor, axis: tuple[float, float, float]) -> tuple[Floats, Floats]:
    """Return the FSC within 30° of an axis (x, y, z; either way) and within 30° of the plane across it."""
    n = half1.shape[0]
    one, two = torch.fft.rfftn(half1), torch.fft.rfftn(half2)
    kz, ky, kx, radius = _grid(n)
    cosine = (kx * axis[0] + ky * axis[1] + kz * axis[2]).abs() / radius.clamp_min(1e-9)
    shell = (radius * n).round().long().flatten()
    found = []
    for inside in (cosine > np.cos(np.radians(_CONE_DEG)), cosine < np.sin(np.radians(_CONE_DEG))):
        products = ((one * two.conj()).real, one.abs().square(), two.abs().square())
        cross, power1, power2 = (
            torch.zeros(int(shell.max()) + 1, dtype=torch.float64)
            .index_add_(0, shell, (product * inside).double().flatten())
            .numpy()[: n // 2 + 1]
            for product in products
        )
        below = np.sqrt(power1 * power2)
        found.append(np.divide(cross, below, out=np.zeros_like(cross), where=below > 0))
    return found[0], found[1]


def _grid(n: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Frequencies (cycles a voxel) of the half transform, broadcastable, and their length."""
    full, half = torch.fft.fftfreq(n), torch.fft.rfftfreq(n)
    kz, ky, kx = full[:, None, None], full[None, :, None], half[None, None, :]
    return kz, ky, kx, torch.sqrt(kz**2 + ky**2 + kx**2)
