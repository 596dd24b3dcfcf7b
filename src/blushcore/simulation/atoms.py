"""Atoms as arrays, and their potential drawn on any device: what a training on a GPU makes its maps of."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import gemmi
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from blushcore.protocol import BlushError
from blushcore.volumes.fourier import fourier_resample

_OVERSAMPLING = 1.5
_SMALLEST_B = 40.0
"""Å²; below it an atom is too sharp for the fine grid (aliasing)."""
_LARGEST_EXTRA_B = 100.0
_CUT_OFF = 1e-3
"""Share of its height at which a Gaussian is cut off."""
_CELLS_AT_A_TIME = 1 << 25
"""Grid points that one batch of atoms may touch: 128 MiB each of values and of indices."""


@dataclass(frozen=True, eq=False)
class Atoms:
    """Heavy atoms of a particle.

    Attributes
    ----------
    positions
        Å, float32 ``(n, 3)``, columns x, y, z.
    elements
        Atomic numbers, uint8 ``(n,)``.
    b_factors
        Å², float32 ``(n,)``.
    """

    positions: NDArray[np.float32]
    elements: NDArray[np.uint8]
    b_factors: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.elements)


def atoms_of(model: gemmi.Model) -> Atoms:
    """Return the atoms of a model as `read_structure` gives it."""
    sites = [site.atom for site in model.all()]
    return Atoms(
        np.array([atom.pos.tolist() for atom in sites], dtype=np.float32).reshape(-1, 3),
        np.array([atom.element.atomic_number for atom in sites], dtype=np.uint8),
        np.array([atom.b_iso for atom in sites], dtype=np.float32),
    )


def atomic_potential(
    atoms: Atoms,
    box_size: int,
    voxel_size: float,
    *,
    rotation: NDArray[np.float64] | None = None,
    relative_b_factors: bool = False,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Draw the electrostatic potential of atoms in vacuum, on a device.

    What `electron_density` draws, without a model: five Gaussians an atom (electron form factors, International
    Tables C 4.3.2.2) with a B factor of 40 Å² or more, on a grid 1.5 times finer, which is then cropped in
    Fourier space to the map's band.

    Parameters
    ----------
    atoms
        The particle.
    box_size, voxel_size
        Edge of the cubic map in voxels, and of a voxel in Å.
    rotation
        ``(3, 3)``, a proper rotation R: an atom at the column p = (x, y, z) is drawn at R·p. The middle of the
        rotated atoms' bounding box comes to the map's centre.
    relative_b_factors
        Add what each atom's own B factor exceeds the model's lower decile by, up to 100 Å².
    device
        Where it is drawn and stays.

    Returns
    -------
    Tensor
        float32 ``(z, y, x)``.

    Raises
    ------
    BlushError
        When the particle does not fit the box.
    """
    turn = np.eye(3) if rotation is None else np.asarray(rotation, dtype=float)
    positions = atoms.positions.astype(float) @ turn.T
    low, high = positions.min(0), positions.max(0)
    extent, edge = float((high - low).max()), box_size * voxel_size
    if extent > edge - 2 * voxel_size:
        raise BlushError(
            f"The particle ({extent:.0f} Å across) does not fit the box ({edge:.0f} Å).",
            f"Use a box of at least {math.ceil(extent / voxel_size) + 10} voxels.",
        )
    fine = 2 * math.ceil(_OVERSAMPLING * box_size / 2)
    spacing = edge / fine
    places = (positions - (low + high) / 2 + edge / 2) / spacing  # resampling takes fine // 2 to the centre
    extra = np.zeros(len(atoms))
    if relative_b_factors:
        extra = np.clip(atoms.b_factors - np.percentile(atoms.b_factors, 10), 0, _LARGEST_EXTRA_B)
    grid = torch.zeros(fine**3, device=device)
    order = np.argsort(extra, kind="stable")  # atoms as wide as each other together
    heights, widths = _form_factors(atoms.elements)
    start = 0
    while start < len(order):
        # As many as fit with the reach of the widest of them.
        count = min(len(order) - start, 1 << 14)
        while True:
            rows = order[start : start + count]
            reach = _reach(float((widths[rows] + (_SMALLEST_B + extra[rows])[:, None]).max()), spacing)
            if count * (2 * reach + 1) ** 3 <= _CELLS_AT_A_TIME or count == 1:
                break
            count = max(1, count // 2)
        b = widths[rows] + (_SMALLEST_B + extra[rows])[:, None]
        _add(grid, fine, spacing, places[rows], heights[rows], b, reach)
        start += count
    return fourier_resample(grid.view(fine, fine, fine), (box_size,) * 3)


def _reach(b: float, spacing: float) -> int:
    """Grid points up to where exp(−4π²r²/b) is `_CUT_OFF`."""
    return math.ceil(math.sqrt(-math.log(_CUT_OFF) * b / (4 * math.pi**2)) / spacing)


def _add(
    grid: Tensor,
    n: int,
    spacing: float,
    places: NDArray[np.float64],
    heights: NDArray[np.float64],
    b: NDArray[np.float64],
    reach: int,
) -> None:
    """Add atoms to the flat grid: Σ aᵢ (4π/bᵢ)^{3/2} exp(−4π²r²/bᵢ), separable along the axes."""

    def on_device(values: NDArray[np.float64]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values, np.float32)).to(grid.device)

    nearest = np.rint(places)
    offset = torch.arange(-reach, reach + 1, device=grid.device)
    cells = torch.from_numpy(nearest.astype(np.int64)).to(grid.device)[:, :, None] + offset
    distance = (offset - on_device(places - nearest)[:, :, None]) * spacing  # (atoms, xyz, taps)
    sharpness = on_device(4 * math.pi**2 / b)
    lines = torch.exp(-sharpness[:, :, None, None] * distance[:, None].square())  # (atoms, 5, xyz, taps)
    height = on_device(heights * (4 * math.pi / b) ** 1.5)
    x, y, z = lines.unbind(2)
    values = torch.einsum("agz,agy,agx->azyx", z * height[:, :, None], y, x)
    index_x, index_y, index_z = cells.remainder(n).unbind(1)
    index = (index_z[:, :, None, None] * n + index_y[:, None, :, None]) * n + index_x[:, None, None, :]
    grid.index_add_(0, index.flatten(), values.flatten())


def _form_factors(elements: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return heights a and widths b (Å²) of each atom's five Gaussians, ``(n, 5)`` each."""
    known = np.unique(elements)
    table = {int(number): _five_gaussians(int(number)) for number in known}
    heights, widths = (np.zeros((256, 5)) for _ in range(2))
    for number, (a, b) in table.items():
        heights[number], widths[number] = a, b
    return heights[elements], widths[elements]


@lru_cache(maxsize=128)
def _five_gaussians(atomic_number: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    coefficients = gemmi.Element(atomic_number).c4322.get_coefs()
    return tuple(coefficients[:5]), tuple(coefficients[5:])
