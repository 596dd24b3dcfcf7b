"""How large the particle is, where nobody has said so."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy import ndimage

from blushcore.protocol import BlushError
from blushcore.volumes import Volume, resample_to_voxel_size, suggest_threshold

_RESOLUTION_ANGSTROM = 15.0
_VOXEL_SIZE_ANGSTROM = 5.0
"""Coarse enough to be quick, three voxels to the resolution."""
_MARGIN_ANGSTROM = 5.0
"""Weak density that the threshold misses, at either side."""
_STEP_ANGSTROM = 5.0


def estimate_diameter(volume: Volume) -> float | None:
    """Estimate the diameter (Å) of the sphere about the box's centre that holds the particle.

    At 15 Å, what lies above Otsu's threshold (`suggest_threshold`) is taken for the particle, and of that the
    largest connected piece: noise and neighbours at the box's edge are in others. The sphere reaches 5 Å beyond
    it, and the diameter is rounded up to the next 5 Å. It is a start to look at.

    Returns
    -------
    None where no particle stands out, or it fills the box.
    """
    from blushcore.volumes.filters import lowpass

    coarse = volume
    if min(volume.voxel_size) < _VOXEL_SIZE_ANGSTROM:
        coarse = resample_to_voxel_size(volume, _VOXEL_SIZE_ANGSTROM)
    if min(coarse.shape) < 8:
        return None
    size = sum(coarse.voxel_size) / 3
    smooth = lowpass(torch.from_numpy(coarse.data), _RESOLUTION_ANGSTROM, size).numpy()
    try:
        threshold = suggest_threshold(smooth)
    except BlushError:
        return None
    pieces, count = ndimage.label(smooth >= threshold)
    largest = 1 + int(np.argmax(np.bincount(pieces.ravel(), minlength=count + 1)[1:]))
    places = np.argwhere(pieces == largest)
    from_centre = (places - [n // 2 for n in coarse.shape]) * coarse.voxel_size
    radius = float(np.sqrt((from_centre**2).sum(axis=1).max())) + _MARGIN_ANGSTROM
    diameter = _STEP_ANGSTROM * math.ceil(2 * radius / _STEP_ANGSTROM)
    box = max(n * edge for n, edge in zip(volume.shape, volume.voxel_size, strict=True))
    return diameter if diameter < box else None
