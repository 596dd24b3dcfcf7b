"""Solvent flattening: nothing is outside the particle."""

from __future__ import annotations

from torch import Tensor

from blushcore.protocol import BlushError
from blushcore.volumes import soft_sphere

_EDGE_PX = 5.0


def flatten_solvent(
    volume: Tensor, *, voxel_size: float, diameter_angstrom: float, mask: Tensor | None = None
) -> Tensor:
    """Return a map with the solvent at 0.

    The map's mean over the solvent is taken off first, so that the mask leaves no step: a reconstruction's own
    mean is arbitrary, as images do not tell it.

    Parameters
    ----------
    volume
        ``(n, n, n)``.
    voxel_size
        In Å.
    diameter_angstrom
        Without a mask the particle is a sphere of this diameter, with a raised-cosine edge of 5 voxels outside.
    mask
        ``(n, n, n)``, from 0 (solvent) to 1.

    Raises
    ------
    BlushError
        If the mask's box is another.
    """
    if mask is None:
        n = volume.shape[-1]
        radius = diameter_angstrom / 2 / voxel_size
        mask = soft_sphere((n, n, n), radius, _EDGE_PX, device=volume.device, dtype=volume.dtype)
    elif mask.shape != volume.shape:
        raise BlushError(
            f"The solvent mask has a box of {mask.shape[-1]} voxels, the map one of {volume.shape[-1]}.",
            "Give a mask made for this box and voxel size.",
        )
    particle = mask.to(volume)
    solvent = 1 - particle
    outside = solvent.double().sum()
    mean = (volume.double() * solvent).sum() / outside if outside > 0 else outside
    return (volume - mean.to(volume.dtype)) * particle
