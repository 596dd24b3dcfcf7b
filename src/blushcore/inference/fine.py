"""The second look: images compared with the children of the poses that count.

Each image has its own list of poses, and its own slices are compared with its own offsets by matrix products.
"""

from __future__ import annotations

import torch
from torch import Tensor

from blushcore.inference.coarse import Weighted
from blushcore.inference.memory import Workspace
from blushcore.inference.poses_kept import PosesToCompare
from blushcore.inference.runs import slices_of_runs
from blushcore.inference.views import Views
from blushcore.shells import PlaneComponents


def compare(
    views: Views,
    plane: PlaneComponents,
    poses: PosesToCompare,
    weighted: Weighted,
    ramps: Tensor,
    *,
    slice_bytes: int,
    workspace: Workspace,
    correlate: bool = False,
    magnification: Tensor | None = None,
) -> Tensor:
    """Return the log-likelihood of each image at each of its own poses (see `coarse` for the formula).

    Parameters
    ----------
    views, plane
        The references in all orientations, and the components to compare by.
    poses
        Of each image.
    weighted
        The images; with `correlate`, with σ² = 1.
    ramps
        Phase ramps of all offsets, complex64 ``(T, P)``.
    slice_bytes
        Memory for slices at one time.
    workspace
        For what is returned.
    correlate
        Return normalised correlations instead, not divided by the image's own norm.
    magnification
        As for slices.

    Returns
    -------
    Float32, flat: each image's table (orientations × offsets) one after the other, as ``poses.value_start``.
    """
    values = workspace.floats(int(poses.value_start[-1]))
    last, shifted = -1, torch.empty(0)
    for run, slices, halves in slices_of_runs(views, plane, poses, weighted.powers, slice_bytes, magnification):
        for piece in run.pieces:
            if piece.image != last:
                moved = ramps[poses.offsets[piece.offsets]] * weighted.images[piece.image]
                last, shifted = piece.image, torch.cat((moved.real, moved.imag), 1)
            place = values[piece.values].view(-1, len(shifted))
            torch.mm(slices[piece.rows], shifted.T, out=place)
            if correlate:
                place /= (2 * halves[piece.rows] + 1e-30).sqrt()[:, None]
            else:
                place -= halves[piece.rows, None]
    return values
