"""The power of the signal where there are no halves to tell it: that of the reference itself."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from blushcore.projection import FourierVolume

Floats = NDArray[np.float64]


def tau2_from_reference(volume: FourierVolume) -> Floats:
    """Return τ²(s): the mean of ½|V̂|² over the padded components of each shell, float64 ``(n // 2 + 1,)``.

    The prior of a classification (Scheres 2012, J Struct Biol 180:519): a map's own power, noise and all. It is
    taken from the transform that slices are cut from, padded and corrected for the interpolation, as RELION's
    program does: between two shells a steep spectrum is shared by both, so that a reference which ends in one
    shell has some power in the next, and the resolution can grow.

    Parameters
    ----------
    volume
        Transform of the reference.

    Returns
    -------
    In the units of ½|FFT/n²|²; 0 beyond the current size.
    """
    grid, n = volume.grid, volume.n
    shells = grid.last_shell + 1
    total, count = np.zeros(shells), np.zeros(shells)
    for planes in grid.plane_blocks():
        shell = grid.shells(planes, volume.device)
        power = volume.components[planes].abs().square().double()
        for on_plane, factor in ((slice(0, 1), 1.0), (slice(1, None), 2.0)):
            index = shell[..., on_plane].flatten()
            values = power[..., on_plane].flatten()
            total += factor * torch.bincount(index, values, minlength=shells + 1)[:shells].cpu().numpy()
            count += factor * torch.bincount(index, minlength=shells + 1)[:shells].cpu().numpy()
    tau2: Floats = np.pad(0.5 * total / count, (0, n // 2 + 1))[: n // 2 + 1]
    return tau2
