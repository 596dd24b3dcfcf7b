"""A detergent micelle around a membrane protein.

Where the membrane was is guessed from the sequence's hydropathy in space; the detergent lies around the protein
there as a belt: tails, hardly different from ice, within a denser shell of head groups.
"""

from __future__ import annotations

from dataclasses import dataclass

import gemmi
import numpy as np
import torch
from torch import Tensor

from blushcore.protocol import BlushError
from blushcore.volumes.distances import squared_distances
from blushcore.volumes.filters import gaussian_lowpass

_CORE_ANGSTROM = 30.0
"""Thickness of a membrane's hydrophobic core."""
_HALF_HEIGHT_ANGSTROM = 20.0
"""Half the belt's height: half the core, and head groups."""
_WIDTH_ANGSTROM = 22.0
"""How far the belt reaches out from the protein: a detergent molecule's length."""
_HEADS_FROM = 0.7
"""The outer part of the belt's cross-section that holds the head groups."""
_TAILS, _HEADS = 0.66, 0.85
"""Mean inner potentials relative to that inside a protein; ice has 0.7."""
_ICE = 0.7
_HYDROPATHY = {
    "ILE": 4.5,
    "VAL": 4.2,
    "LEU": 3.8,
    "PHE": 2.8,
    "CYS": 2.5,
    "MET": 1.9,
    "ALA": 1.8,
    "GLY": -0.4,
    "THR": -0.7,
    "SER": -0.8,
    "TRP": -0.9,
    "TYR": -1.3,
    "PRO": -1.6,
    "HIS": -3.2,
    "GLU": -3.5,
    "GLN": -3.5,
    "ASP": -3.5,
    "ASN": -3.5,
    "LYS": -3.9,
    "ARG": -4.5,
}
"""Kyte & Doolittle 1982, J Mol Biol 157:105."""


@dataclass(frozen=True)
class MembraneSlab:
    """The membrane's middle plane: the points p with p·normal = offset."""

    normal: np.ndarray
    """Unit vector, x, y, z."""
    offset_angstrom: float


def find_membrane(model: gemmi.Model) -> MembraneSlab:
    """Find the slab of 30 Å whose residues are the most hydrophobic, over all directions.

    The score of a slab is the difference of the mean hydropathies inside and outside of it in units of its
    standard error. A soluble protein has such a slab too: it is the user who knows which proteins lie in
    membranes.

    Raises
    ------
    BlushError
        When the model has fewer than 20 amino acids.
    """
    positions, hydropathy = _alpha_carbons(model)
    if len(hydropathy) < 20:
        raise BlushError(
            f"The model has {len(hydropathy)} amino acids: too few to tell where a membrane would be.",
            "Leave out the micelle.",
        )
    deviation = hydropathy - hydropathy.mean()
    best, found = -np.inf, MembraneSlab(np.array([0.0, 0.0, 1.0]), 0.0)
    for normal in _half_sphere(400):
        heights = positions @ normal
        order = np.argsort(heights)
        sorted_heights = heights[order]
        sums = np.concatenate(([0.0], np.cumsum(deviation[order])))
        offsets = np.arange(sorted_heights[0], sorted_heights[-1] + 1, 2.0)
        first = np.searchsorted(sorted_heights, offsets - _CORE_ANGSTROM / 2)
        last = np.searchsorted(sorted_heights, offsets + _CORE_ANGSTROM / 2)
        inside = (last - first).astype(float)
        outside = len(heights) - inside
        # Of the total deviation 0 inside and outside cancel: difference of means times √(n₁n₂/n).
        total = sums[last] - sums[first]
        score = total * np.sqrt(len(heights) / np.maximum(inside * outside, 1.0))
        k = int(score.argmax())
        if score[k] > best:
            best, found = float(score[k]), MembraneSlab(normal, float(offsets[k]))
    return found


def add_micelle(
    density: Tensor,
    vacuum: Tensor,
    voxel_size: float,
    membrane: MembraneSlab,
    solvent_contrast: float,
    *,
    width_angstrom: float = _WIDTH_ANGSTROM,
) -> Tensor:
    """Put a belt of detergent around a particle.

    Parameters
    ----------
    density
        The particle as it is to be seen, ``(z, y, x)``.
    vacuum
        The particle drawn in vacuum, same grid: where detergent cannot be.
    voxel_size
        Å.
    membrane
        Its middle plane relative to the map's centre, index n // 2, in Å.
    solvent_contrast
        1 for ice, 0 for vacuum.
    width_angstrom
        How far the belt reaches out from the protein: 22 for detergent, more for lipids in a nanodisc.

    Raises
    ------
    BlushError
        When the belt reaches the edge of the box.
    """
    n = density.shape[0]
    blurred = gaussian_lowpass(vacuum, 2.5, voxel_size)
    inside = blurred[blurred > 0.2 * blurred.max()].mean()
    share = (blurred / inside).clamp(0, 1)
    reach = width_angstrom / voxel_size
    near = np.sqrt(squared_distances((share > 0.3).numpy(), reach).astype(np.float32)) / reach
    line = (torch.arange(n) - n // 2) * voxel_size
    x, y, z = (float(part) for part in membrane.normal)
    height = line[:, None, None] * z + line[:, None] * y + line * x - membrane.offset_angstrom
    cross_section = torch.sqrt(torch.from_numpy(near) ** 2 + (height / _HALF_HEIGHT_ANGSTROM) ** 2)
    belt = (cross_section < 1).float()
    rim = torch.cat([plane.flatten() for axis in range(3) for plane in belt.unbind(axis)[:: n - 1]])
    if bool(rim.any()):
        raise BlushError(
            f"The micelle does not fit the box ({n * voxel_size:.0f} Å).",
            f"Use a box of at least {n + 2 * int(width_angstrom / voxel_size)} voxels.",
        )
    value = torch.where(cross_section < _HEADS_FROM, _TAILS, _HEADS) - _ICE * solvent_contrast
    micelle = gaussian_lowpass(belt * value, 2.0, voxel_size) * (1 - share)
    return density + inside * micelle


def _alpha_carbons(model: gemmi.Model) -> tuple[np.ndarray, np.ndarray]:
    """Positions ``(n, 3)`` and hydropathies ``(n,)`` of the amino acids."""
    rows = [
        (atom.pos.tolist(), _HYDROPATHY[residue.name])
        for chain in model
        for residue in chain
        if residue.name in _HYDROPATHY and (atom := residue.find_atom("CA", "*")) is not None
    ]
    positions = np.array([position for position, _ in rows]).reshape(-1, 3)
    return positions, np.array([value for _, value in rows])


def _half_sphere(count: int) -> np.ndarray:
    """Directions spread evenly over the upper half sphere: a Fibonacci lattice, ``(count, 3)``."""
    index = np.arange(count) + 0.5
    z = 1 - index / count
    azimuth = np.pi * (1 + np.sqrt(5)) * index
    radius = np.sqrt(1 - z**2)
    return np.stack((radius * np.cos(azimuth), radius * np.sin(azimuth), z), axis=1)
