"""A whole map, header and all, on a grid of another voxel size."""

from __future__ import annotations

import math

import torch

from blushcore.protocol import BlushError
from blushcore.volumes.fourier import fourier_resample
from blushcore.volumes.volume import Triple, Volume


def grid_of_voxel_size(
    shape: tuple[int, int, int], voxel_size: Triple, wanted: float
) -> tuple[tuple[int, int, int], Triple]:
    """Find the even grid over the same box whose voxels come nearest to a size.

    Parameters
    ----------
    shape, voxel_size
        Of the map as it is, (z, y, x), Å.
    wanted
        Å, along all axes.

    Returns
    -------
    Its shape, and its voxel size in Å: the box's side over an even number is `wanted` only by luck.
    """
    if not (math.isfinite(wanted) and wanted > 0):
        raise BlushError(f"The voxel size asked for is {wanted:g} Å.", "Give a positive number.")
    extents = [n * size for n, size in zip(shape, voxel_size, strict=True)]
    z, y, x = (max(2, 2 * round(extent / (2 * wanted))) for extent in extents)
    return (z, y, x), (extents[0] / z, extents[1] / y, extents[2] / x)


def resample_to_voxel_size(volume: Volume, voxel_size: float, *, device: torch.device | str = "cpu") -> Volume:
    """Resample a map, by Fourier cropping or padding, to the even box nearest to a voxel size along each axis.

    The exact new voxel size is recorded, and the origin follows: a point of the object keeps its coordinates in
    Å. Odd boxes become even, anisotropic voxels cubes as nearly as the box allows.

    Parameters
    ----------
    volume
        The map.
    voxel_size
        Å, wanted along all axes.
    device
        Where to compute.
    """
    shape, exact = grid_of_voxel_size(volume.shape, volume.voxel_size, voxel_size)
    if shape == volume.shape:
        return volume
    values = fourier_resample(torch.from_numpy(volume.data).to(device), shape)
    return volume.with_data(values.cpu().numpy(), exact)
