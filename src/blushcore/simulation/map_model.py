"""An atomic model as a map on another map's grid, at its place: what map-model FSCs are taken with."""

from __future__ import annotations

from pathlib import Path

import gemmi
import numpy as np
from numpy.typing import NDArray

from blushcore.protocol import BlushError
from blushcore.shells import fsc
from blushcore.simulation.density import electron_density, in_solvent
from blushcore.simulation.structures import read_structure
from blushcore.volumes import Volume, describe_grid


def draw_model(path: Path, volume: Volume) -> NDArray[np.float32]:
    """Read an atomic model (.pdb, .cif) and draw it as `density_on_grid_of` does."""
    return density_on_grid_of(read_structure(path), volume)


def density_on_grid_of(model: gemmi.Model, volume: Volume) -> NDArray[np.float32]:
    """Draw a model in solvent where its coordinates put it on a map's grid, float32 ``[z, y, x]``.

    Raises
    ------
    BlushError
        If the map is no cube of cubic voxels, or atoms lie outside of it.
    """
    if len(set(volume.shape)) > 1 or not volume.is_isotropic:
        raise BlushError(
            f"The map has {describe_grid(volume)}: no cube of cubic voxels.", "Pad or crop it to a cube."
        )
    size, n = volume.isotropic_voxel_size, volume.shape[0]
    centre = np.array([place + size * (n // 2) for place in reversed(volume.position)])
    try:
        vacuum = electron_density(model, n, size, centre=centre)
    except BlushError as error:
        place = ", ".join(f"{value:.4g}" for value in centre)
        raise BlushError(
            f"The model does not lie within the map, whose centre is at {place} Å (x, y, z).",
            "Fit the model into the map first, and look at the map's origin.",
        ) from error
    return in_solvent(vacuum, size).numpy()


def map_model_fsc(
    data: NDArray[np.float32], drawn: NDArray[np.float32], mask: NDArray[np.float32] | None = None
) -> NDArray[np.float64]:
    """Return the FSC of a map and a model fitted into it, float64 ``(n // 2 + 1,)``; 0.5 is its threshold.

    Parameters
    ----------
    data
        The map, ``[z, y, x]``.
    drawn
        The model on its grid: `density_on_grid_of`.
    mask
        Put onto both.
    """
    window = np.float32(1.0) if mask is None else mask
    return fsc(data * window, drawn * window)
