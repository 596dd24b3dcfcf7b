"""Local searches: the first look only at poses near each particle's last."""

from __future__ import annotations

import healpix
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from blushcore.inference.coarse import Weighted
from blushcore.inference.fine import compare
from blushcore.inference.memory import Workspace
from blushcore.inference.model import Sampling
from blushcore.inference.poses_kept import PosePairs, PosesToCompare, starts
from blushcore.inference.significance import ragged_significant
from blushcore.inference.views import Views
from blushcore.poses import LocalOrientations, euler_to_matrix, nearby_orientations
from blushcore.shells import PlaneComponents

_ORDER_OF_NEIGHBOURS = 3
"""HEALPix order of the cells that particles are sorted by: 7.3 degrees."""


def pose_order(angles_deg: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return an order of poses (rot, tilt, psi; ``(N, 3)``) in which similar ones follow each other."""
    theta, phi = np.radians(angles_deg[:, 1]), np.radians(angles_deg[:, 0])
    cells = healpix.vec2pix(
        2**_ORDER_OF_NEIGHBOURS,
        np.sin(theta) * np.cos(phi),
        np.sin(theta) * np.sin(phi),
        np.cos(theta),
        nest=True,
    )
    return np.lexsort((angles_deg[:, 2] % 360.0, cells))


def local_significant(
    views: Views,
    sampling: Sampling,
    plane: PlaneComponents,
    weighted: Weighted,
    ramps: Tensor,
    log_offset: Tensor,
    angles_deg: Tensor,
    log_class: Tensor,
    *,
    slice_bytes: int,
    workspace: Workspace,
    magnification: Tensor | None = None,
) -> PosePairs:
    """Return the poses near each particle's last that together make up most of its posterior.

    Parameters
    ----------
    views, sampling, plane
        The references, the grids with `Sampling.local`, and the components to compare by.
    weighted
        B images over these components.
    ramps
        Phase ramps of the coarse offsets, complex64 ``(T, P)``.
    log_offset
        Log-prior of each image's offsets, float32 ``(B, T)``.
    angles_deg
        rot, tilt, psi of each image's last pose, float64 ``(B, 3)``.
    log_class
        Log-prior of each class, float32 ``(K,)``.
    slice_bytes
        Memory for slices at one time.
    workspace
        For the log-likelihoods.
    magnification
        As for slices.
    """
    assert sampling.local is not None
    device = weighted.images.device
    near = nearby_orientations(
        views.grid, euler_to_matrix(angles_deg), sampling.local.sigma_rot_deg, sampling.local.sigma_psi_deg
    )
    near = _in_every_class(near, views, log_class)
    images, offsets = len(angles_deg), len(ramps)
    all_offsets = torch.arange(offsets, device=device).repeat(images)
    offset_start = torch.arange(images + 1) * offsets
    poses = PosesToCompare(near.orientations.to(device), near.start, all_offsets, offset_start, 0)
    values = compare(
        views,
        plane,
        poses,
        weighted,
        ramps,
        slice_bytes=slice_bytes,
        workspace=workspace,
        correlate=sampling.first_iteration_cc,
        magnification=magnification,
    )
    image_of = torch.repeat_interleave(torch.arange(images), near.start.diff()).to(device)
    log_priors = near.log_prior.to(device)
    if not sampling.first_iteration_cc:
        values = (values.view(-1, offsets) + log_priors[:, None] + log_offset[image_of]).flatten()
    marks = ragged_significant(
        values, poses.value_start, sampling.adaptive_fraction, only_best=sampling.first_iteration_cc
    ).view(-1, offsets)

    rows = marks.any(1)
    columns = torch.zeros(images, offsets, dtype=torch.int64, device=device)
    columns.index_add_(0, image_of, marks.long())
    columns = columns > 0
    pairs = marks[rows][columns[image_of[rows]]]
    counts = torch.zeros(images, dtype=torch.int64).index_add_(
        0, image_of[rows].cpu(), torch.ones(int(rows.sum()), dtype=torch.int64)
    )
    column_counts = columns.sum(1).cpu()
    return PosePairs(
        poses.orientations[rows],
        log_priors[rows],
        columns.nonzero()[:, 1],
        pairs,
        starts(counts),
        starts(column_counts),
        starts(counts * column_counts),
    )


def _in_every_class(near: LocalOrientations, views: Views, log_class: Tensor) -> LocalOrientations:
    """Return each image's list once for each class: ascending views, with the class's log-prior."""
    classes = views.classes
    if classes == 1:
        return near
    numbers = torch.arange(classes)[:, None]
    indices = (near.orientations + numbers * views.grid.count).flatten()
    log_prior = (near.log_prior + log_class.cpu()[:, None]).flatten()
    image_of = torch.repeat_interleave(torch.arange(len(near.start) - 1), near.start.diff())
    order = torch.argsort(image_of.repeat(classes), stable=True)
    return LocalOrientations(near.start * classes, indices[order], log_prior[order])
