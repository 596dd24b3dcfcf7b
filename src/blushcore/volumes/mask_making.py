"""A soft mask of a map: low-passed, taken from a threshold on, extended, its edge softened."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from blushcore.protocol import BlushError
from blushcore.volumes.filters import lowpass, lowpass_at_shell
from blushcore.volumes.grids import describe_grid
from blushcore.volumes.mask_settings import MaskSettings
from blushcore.volumes.masks import mask_from_map
from blushcore.volumes.thresholds import suggest_threshold
from blushcore.volumes.volume import Volume


@dataclass(frozen=True, eq=False)
class MadeMask:
    """A mask on its map's grid, 0 to 1, and the density from which on a voxel counted as inside."""

    mask: Volume
    threshold: float

    @property
    def share_of_box(self) -> float:
        """How much of the box is inside, 0 to 1."""
        return float(np.mean(self.mask.data > 0.5))

    @property
    def volume_nm3(self) -> float:
        """How much is inside (nm³)."""
        box = zip(self.mask.shape, self.mask.voxel_size, strict=True)
        return self.share_of_box * math.prod(n * size / 10 for n, size in box)

    def doubts(self) -> list[str]:
        """Return what is odd about it, though it is valid."""
        faces = [np.take(self.mask.data, end, axis) for axis in range(3) for end in (0, -1)]
        if any(face.max() > 0.5 for face in faces):
            return ["The mask reaches the faces of the box: the threshold is too low, or the box too tight."]
        return []


def smoothed(name: object, volume: Volume, settings: MaskSettings) -> Volume:
    """Low-pass a map as relion_mask_create does, which takes cubes only and rounds the cut-off to a shell.

    Raises
    ------
    BlushError
        If its voxels are not cubes, or it is constant; `name` is what the map is called.
    """
    if not volume.is_isotropic:
        raise BlushError(
            f"{name} has {describe_grid(volume)}: voxels that are not cubes.",
            "Resample it to one voxel size first.",
        )
    if volume.data.min() == volume.data.max():
        raise BlushError(f"{name} is constant: there is nothing to mask.", "Check that it is the right map.")
    if settings.lowpass == 0:
        return volume
    values, size = torch.from_numpy(volume.data), volume.isotropic_voxel_size
    if len(set(volume.shape)) == 1:
        shell = math.floor(volume.shape[0] * size / settings.lowpass + 0.5)
        return volume.with_data(lowpass_at_shell(values, shell).numpy())
    return volume.with_data(lowpass(values, settings.lowpass, size).numpy())


def mask_of(name: object, smooth: Volume, settings: MaskSettings) -> MadeMask:
    """Make the mask of a map that `smoothed` returned.

    Raises
    ------
    BlushError
        If no threshold splits it, or nothing is inside.
    """
    try:
        threshold = suggest_threshold(smooth.data) if settings.threshold is None else settings.threshold
        made = mask_from_map(
            smooth,
            threshold=threshold,
            extend_angstrom=settings.extend,
            soft_edge_angstrom=settings.soft_edge,
        )
    except BlushError as error:
        raise BlushError(f"{name}: {error.problem}", error.remedy) from error
    return MadeMask(made, threshold)
