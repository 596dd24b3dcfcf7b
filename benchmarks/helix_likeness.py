"""How much a map looks like α-helices: local correlation with an ideal one, over directions and places."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from blushcore.denoiser.network import VOXEL_SIZE_ANGSTROM
from blushcore.shells import filter_by_shell
from blushcore.volumes import pad_or_crop

_RISE, _TURN = 1.5, np.radians(100.0)
"""Å and radians a residue, right-handed."""
_ATOMS = ((1.57, 0.0, 0.0), (2.29, 28.3, 0.87), (1.66, 55.4, 1.99), (1.98, 75.6, 3.16), (3.29, 18.0, -0.2))
"""N, Cα, C, O, Cβ: radius (Å), angle (degrees), height (Å)."""
_RESIDUES = 13
_WINDOW_ANGSTROM = 8.0
"""Standard deviation of the Gaussian within which a place is compared."""
_QUANTILE = 0.999
"""A helix fits along its axis only: of a helical protein, not one voxel in a hundred."""
_COARSEST_ANGSTROM = 20.0


def helix_likeness(
    volume: Tensor, mask: Tensor, resolution: float, *, directions: int = 60, spins: int = 2
) -> float:
    """Return how well an ideal helix fits where it fits best: the best thousandth of places in the mask.

    At each place, the largest over directions and turns about the axis of the correlation of map and helix,
    both between 20 Å and the resolution, within a Gaussian window.

    Parameters
    ----------
    volume, mask
        ``(n, n, n)`` at 1.5 Å.
    resolution
        Å.
    directions, spins
        How many of each are tried.
    """
    n = _room_for(mask)
    volume, mask = pad_or_crop(volume, (n,) * 3), pad_or_crop(mask, (n,) * 3)
    band = _band(n, resolution)
    spectrum = torch.fft.rfftn(filter_by_shell(volume, band, interpolation="step", beyond="zero"))
    detail = torch.fft.irfftn(spectrum, s=(n, n, n))
    window = _window(n)
    window_spectrum = torch.fft.rfftn(torch.fft.ifftshift(window / window.sum()))
    mean = torch.fft.irfftn(spectrum * window_spectrum, s=(n, n, n))
    square = torch.fft.irfftn(torch.fft.rfftn(detail.square()) * window_spectrum, s=(n, n, n))
    deviation = (square - mean.square()).clamp_min(1e-12 * float(square.max())).sqrt()
    best = torch.full_like(detail, -1.0)
    for template in _templates(n, resolution, directions, spins):
        hits = torch.fft.irfftn(spectrum * template.conj(), s=(n, n, n))
        best = torch.maximum(best, hits / deviation)
    return float(np.quantile(best[mask > 0.5].numpy(), _QUANTILE))


def _room_for(mask: Tensor) -> int:
    """Return the even box about the centre that holds the mask and a window around it."""
    n = mask.shape[0]
    reach = int(((mask > 0.5).nonzero() - n // 2).abs().max()) + round(
        2 * _WINDOW_ANGSTROM / VOXEL_SIZE_ANGSTROM
    )
    return min(n, 2 * reach)


@lru_cache(maxsize=2)
def _templates(n: int, resolution: float, directions: int, spins: int) -> list[Tensor]:
    """Spectra of windowed helices, of mean 0 and deviation 1 within the window, divided by its sum."""
    window = _window(n)
    found = []
    for axis in _half_sphere(directions):
        for spin in np.arange(spins) * 2 * np.pi / spins:
            helix = filter_by_shell(
                _draw(n, axis, float(spin)), _band(n, resolution), interpolation="step", beyond="zero"
            )
            mean = float((helix * window).sum() / window.sum())
            deviation = float(((helix - mean).square() * window).sum() / window.sum()) ** 0.5
            kernel = window * (helix - mean) / deviation / window.sum()
            found.append(torch.fft.rfftn(torch.fft.ifftshift(kernel)))
    return found


def _draw(n: int, axis: np.ndarray, spin: float) -> Tensor:
    """Draw an ideal helix about an axis through the centre: Gaussians of σ = 1.5 Å."""
    heights = (np.arange(_RESIDUES) - (_RESIDUES - 1) / 2) * _RISE
    local = np.array(
        [
            (r * np.cos(a), r * np.sin(a), height + h)
            for index, height in enumerate(heights)
            for r, degrees, h in _ATOMS
            if (a := np.radians(degrees) + index * _TURN + spin) is not None
        ]
    )
    helper = np.eye(3)[int(np.abs(axis).argmin())]
    first = np.cross(helper, axis)
    first /= np.linalg.norm(first)
    places = local @ np.stack((first, np.cross(axis, first), axis)) / VOXEL_SIZE_ANGSTROM + n // 2
    line = torch.arange(n, dtype=torch.float64)
    sigma = 1.5 / VOXEL_SIZE_ANGSTROM
    along = [
        torch.exp(-((line - torch.from_numpy(places[:, k : k + 1])) ** 2) / (2 * sigma**2)) for k in range(3)
    ]
    return torch.einsum("ax,ay,az->zyx", *along).float()


def _window(n: int) -> Tensor:
    line = (torch.arange(n) - n // 2) * VOXEL_SIZE_ANGSTROM
    squared = line[:, None, None] ** 2 + line[:, None] ** 2 + line**2
    return torch.exp(-squared / (2 * _WINDOW_ANGSTROM**2))


def _band(n: int, resolution: float) -> np.ndarray:
    size = n * VOXEL_SIZE_ANGSTROM
    band = np.zeros(n // 2 + 1)
    band[round(size / _COARSEST_ANGSTROM) : round(size / resolution) + 1] = 1
    return band


def _half_sphere(count: int) -> np.ndarray:
    """Directions spread evenly: a Fibonacci lattice, both senses of an axis, since a helix has one."""
    index = np.arange(count) + 0.5
    z = 1 - 2 * index / count
    azimuth = np.pi * (1 + np.sqrt(5)) * index
    radius = np.sqrt(1 - z**2)
    return np.stack((radius * np.cos(azimuth), radius * np.sin(azimuth), z), axis=1)
