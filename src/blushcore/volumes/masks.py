"""Soft masks: spheres, and the outline of a molecule from a threshold."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from blushcore.protocol import BlushError
from blushcore.volumes.distances import squared_distances

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blushcore.volumes.volume import Volume


def soft_sphere(
    shape: tuple[int, int, int],
    radius: float,
    edge: float,
    *,
    device: torch.device | str | None = None,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Make a sphere about the centre ``n // 2`` with a raised-cosine edge outside its radius.

    Parameters
    ----------
    shape
        Voxels along (z, y, x).
    radius
        In voxels: 1 up to here.
    edge
        In voxels: ``½ + ½ cos(π (r − radius) / edge)`` over this width outwards, 0 beyond. 0 for a hard edge.
    device, dtype
        Of the result.
    """
    if edge < 0:
        raise ValueError(f"a soft edge has a width of 0 or more voxels, got {edge}")
    squared = torch.zeros((1, 1, 1), device=device, dtype=torch.float32)
    for axis, n in enumerate(shape):
        offset = torch.arange(n, device=device, dtype=torch.float32) - n // 2
        squared = squared + (offset**2).view([-1 if i == axis else 1 for i in range(3)])
    distance = squared.sqrt_()
    if edge == 0:
        return (distance <= radius).to(dtype)
    return distance.sub_(radius).div_(edge).clamp_(0, 1).mul_(math.pi).cos_().add_(1).mul_(0.5).to(dtype)


def soft_mask(
    volume: NDArray[np.float32], *, threshold: float, extend: float = 3, soft_edge: float = 6
) -> NDArray[np.float32]:
    """Make a mask of where a map is dense: binarise, extend, soften. The mask of ``relion_mask_create``.

    Parameters
    ----------
    volume
        ``[z, y, x]``. Mostly low-passed to about 15 Å first.
    threshold
        Voxels at or above it are inside.
    extend
        In voxels. Everything nearer than this to the inside becomes inside; a negative number takes away all
        that is nearer than its absolute value to the outside. What lies beyond the box counts as neither.
    soft_edge
        In voxels: at a distance d from the inside the mask is ``½ + ½ cos(π d / soft_edge)``, 0 from d =
        `soft_edge` on.

    Returns
    -------
    float32 between 0 and 1, same shape.

    Raises
    ------
    BlushError
        If nothing is inside.
    """
    if soft_edge < 0:
        raise ValueError(f"a soft edge has a width of 0 or more voxels, got {soft_edge}")
    inside = volume >= threshold
    if not inside.any():
        raise BlushError(
            f"No voxel reaches the mask's threshold of {threshold:g}; the highest is {volume.max():g}.",
            "Give a lower threshold.",
        )
    mask = np.zeros(volume.shape, dtype=np.float32)
    # Nothing changes far from the inside.
    reach = _box_around(inside, math.ceil(abs(extend) + soft_edge) + 1)
    inside = _extended(inside[reach], extend)
    if not inside.any():
        raise BlushError(
            f"Nothing is left of the mask after taking {-extend:g} voxels off its surface.",
            "Take off less, or lower the threshold.",
        )
    if soft_edge == 0:
        mask[reach] = inside
        return mask
    squared = squared_distances(inside, soft_edge)
    possible = np.sqrt(np.arange(int(squared.max()) + 1))
    weights = 0.5 + 0.5 * np.cos(np.pi * np.minimum(possible / soft_edge, 1))
    mask[reach] = weights.astype(np.float32)[squared]
    return mask


def mask_from_map(
    volume: Volume, *, threshold: float, extend_angstrom: float, soft_edge_angstrom: float
) -> Volume:
    """Make the `soft_mask` of a map, with lengths in Å; it lies where the map lies.

    Parameters
    ----------
    volume
        The map, its voxels cubes. Mostly low-passed to about 15 Å first.
    threshold
        Voxels at or above it are inside; `suggest_threshold` guesses one.
    extend_angstrom
        How far the inside is extended, in Å; a negative number takes away.
    soft_edge_angstrom
        Width of the soft edge in Å.

    Raises
    ------
    BlushError
        If nothing is inside, or the voxels are not cubes.
    """
    size = volume.isotropic_voxel_size
    return volume.with_data(
        soft_mask(
            volume.data, threshold=threshold, extend=extend_angstrom / size, soft_edge=soft_edge_angstrom / size
        )
    )


def _extended(inside: NDArray[np.bool_], extend: float) -> NDArray[np.bool_]:
    if extend == 0:
        return inside
    if extend > 0:
        return np.asarray(squared_distances(inside, extend) < extend**2)
    return np.asarray(squared_distances(~inside, -extend) >= extend**2)


def _box_around(inside: NDArray[np.bool_], margin: int) -> tuple[slice, ...]:
    slices = []
    for axis in range(3):
        others = tuple(i for i in range(3) if i != axis)
        found = np.flatnonzero(inside.any(axis=others))
        slices.append(slice(max(0, int(found[0]) - margin), int(found[-1]) + 1 + margin))
    return tuple(slices)
