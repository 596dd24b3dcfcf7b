"""Atoms to electrostatic density on a map's grid."""

from __future__ import annotations

import math

import gemmi
import numpy as np
import torch
from scipy import fft
from torch import Tensor

from blushcore.protocol import BlushError
from blushcore.simulation.structures import atom_positions
from blushcore.volumes.filters import gaussian_lowpass
from blushcore.volumes.fourier import fourier_resample

_OVERSAMPLING = 1.5
"""The atoms are drawn on a grid finer by this factor, then cropped in Fourier space to the map's band."""
_SMALLEST_B = 40.0
"""Below it an atom is too sharp for the fine grid (aliasing)."""


def electron_density(
    model: gemmi.Model,
    box_size: int,
    voxel_size: float,
    *,
    rotation: np.ndarray | None = None,
    centre: np.ndarray | None = None,
    b_factor: float = _SMALLEST_B,
    relative_b_factors: bool = False,
) -> Tensor:
    """Draw the electrostatic potential of a model's atoms (electron form factors) in vacuum.

    Parameters
    ----------
    model
        Atoms in Å.
    box_size, voxel_size
        Edge of the cubic map in voxels, and of a voxel in Å.
    rotation
        ``(3, 3)``, a proper rotation R: an atom at the column p = (x, y, z) is drawn at R·p.
    centre
        ``(3,)``, x, y, z in Å after the rotation: what is put on the map's centre, index ``box_size // 2`` of
        each axis. By default the middle of the rotated atoms' bounding box.
    b_factor
        B factor of the atoms in Å², at least 40.
    relative_b_factors
        Add what each atom's own B factor exceeds the model's lower decile by, up to 100 Å²: flexible parts
        are then blurred, as they are in maps.

    Returns
    -------
    Tensor
        float32 ``(z, y, x)``, band-limited to the map's grid. The sum over voxels times their volume is the
        sum of the atoms' form factors at zero scattering angle.

    Raises
    ------
    BlushError
        When the B factor is too small or the particle does not fit the box.
    """
    if b_factor < _SMALLEST_B:
        raise BlushError(f"The B factor must be at least {_SMALLEST_B:g} Å², not {b_factor:g}.")
    turn = np.eye(3) if rotation is None else np.asarray(rotation, dtype=float)
    positions = atom_positions(model) @ turn.T
    middle = (positions.min(0) + positions.max(0)) / 2 if centre is None else np.asarray(centre, dtype=float)
    extent, edge = 2 * float(np.abs(positions - middle).max()), box_size * voxel_size
    if extent > edge - 2 * voxel_size:
        raise BlushError(
            f"The particle ({extent:.0f} Å across) does not fit the box ({edge:.0f} Å).",
            f"Use a box of at least {math.ceil(extent / voxel_size) + 10} voxels.",
        )
    placed = model.clone()
    _set_b_factors(placed, b_factor, relative_b_factors)
    fine = 2 * fft.next_fast_len(math.ceil(_OVERSAMPLING * box_size / 2))
    # Resampling takes the fine grid's index fine // 2, half the edge, to the map's centre.
    placed.transform_pos_and_adp(gemmi.Transform(gemmi.Mat33(turn.tolist()), gemmi.Vec3(*(edge / 2 - middle))))

    cell = gemmi.Structure()
    cell.cell = gemmi.UnitCell(edge, edge, edge, 90, 90, 90)
    cell.spacegroup_hm = "P 1"
    calculator = gemmi.DensityCalculatorE()
    calculator.d_min = 2 * edge / fine
    calculator.rate = 1
    calculator.grid.setup_from(cell)
    calculator.grid.set_size(fine, fine, fine)
    calculator.add_model_density_to_grid(placed)
    drawn = torch.from_numpy(np.ascontiguousarray(calculator.grid.array.transpose(2, 1, 0)))
    return fourier_resample(drawn, (box_size,) * 3)


def _set_b_factors(model: gemmi.Model, b_factor: float, relative: bool) -> None:
    floor = float(np.percentile([site.atom.b_iso for site in model.all()], 10)) if relative else 0.0
    for site in model.all():
        extra = min(max(site.atom.b_iso - floor, 0.0), 100.0) if relative else 0.0
        site.atom.b_iso = b_factor + extra
        site.atom.aniso = gemmi.SMat33f(0, 0, 0, 0, 0, 0)


def in_solvent(density: Tensor, voxel_size: float, contrast: float = 1.0) -> Tensor:
    """Put a particle drawn in vacuum into a bulk of solvent.

    Where atoms are, solvent is not: the particle's envelope (its density blurred by σ = 2.5 Å and saturated) is
    subtracted at the mean potential of ice, 0.7 of that inside a protein.

    Parameters
    ----------
    density
        ``(z, y, x)``, in vacuum.
    voxel_size
        Å.
    contrast
        1 for ice, 0 for vacuum.
    """
    blurred = gaussian_lowpass(density, 2.5, voxel_size)
    inside = blurred[blurred > 0.2 * blurred.max()].mean()
    envelope = 1 - torch.exp(-2.5 * (blurred / inside).clamp_min(0))
    return density - 0.7 * contrast * inside * envelope


def particle_mask(density: Tensor, voxel_size: float, *, extend: float = 3.0, soft_edge: float = 4.0) -> Tensor:
    """Return a soft mask around a noise-free particle.

    Where the density blurred by σ = 3 Å exceeds 15 % of what it usually is inside, extended and softened.

    Parameters
    ----------
    density
        ``(z, y, x)``, in vacuum.
    voxel_size
        Å.
    extend, soft_edge
        By how much it is extended, and the width of its edge, Å. Both are approximate: they are made by
        blurring, which is quick.

    Returns
    -------
    Tensor
        Same shape, 0 to 1.
    """
    envelope = gaussian_lowpass(density, 3.0, voxel_size)
    usual = envelope[envelope > 0.25 * envelope.max()].mean()
    core = (envelope > 0.15 * usual).to(density.dtype)
    grown = (gaussian_lowpass(core, extend, voxel_size) > 0.15).to(density.dtype)
    return gaussian_lowpass(grown, 0.4 * soft_edge, voxel_size).clamp(0, 1)
