"""Whether maps of a viewer lie on one grid, in the names that its layers have."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from blushcore.protocol import BlushError
from blushcore.volumes import Volume


def require_one_grid(volumes: Sequence[Volume], names: Sequence[str]) -> None:
    """Require that maps lie on one grid.

    Raises
    ------
    BlushError
        If their numbers of voxels or their voxel sizes differ.
    """
    first = volumes[0]
    for volume, name in zip(volumes[1:], names[1:], strict=True):
        if volume.shape != first.shape or not np.allclose(
            volume.voxel_size, first.voxel_size, rtol=1e-3, atol=0
        ):
            raise BlushError(
                f"{names[0]} and {name} are not on one grid: {_grid(first)} and {_grid(volume)}.",
                f"Choose another, or resample {name}.",
            )


def _grid(volume: Volume) -> str:
    return f"{' × '.join(str(n) for n in reversed(volume.shape))} voxels of {volume.voxel_size[2]:.4g} Å"
