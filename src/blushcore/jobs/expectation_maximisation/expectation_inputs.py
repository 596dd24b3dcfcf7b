"""From the state of a job to what the E-step is asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from blushcore.inference import ImageModel, LocalSearch, Particles, Sampling
from blushcore.jobs.expectation_maximisation.inputs import Inputs
from blushcore.jobs.expectation_maximisation.model import ParticleModel
from blushcore.jobs.expectation_maximisation.parameters import SearchParameters
from blushcore.jobs.expectation_maximisation.poses import Poses
from blushcore.jobs.expectation_maximisation.search import Search, coarse_size
from blushcore.optics import CtfParameters, OpticsGroup
from blushcore.particles import ImageReader, ParticleTable
from blushcore.poses import OffsetGrid, OrientationGrid

_LEAST_SHARE = 1e-6
"""Of the mean share: a direction that nobody had is unlikely, not impossible."""


@dataclass(frozen=True)
class FileOrder:
    """The images of a reader as the E-step asks for them."""

    reader: ImageReader

    def batches(
        self, indices: NDArray[np.int64], batch_size: int
    ) -> Iterator[tuple[NDArray[np.int64], Tensor]]:
        """Yield rows and images, in the order in which they lie in files."""
        return self.reader.batches(indices, batch_size=batch_size)


def particles_of(
    table: ParticleTable, optics: Sequence[OpticsGroup], poses: Poses, rows: NDArray[np.int64]
) -> Particles:
    """Return some rows of a table at their last poses."""
    pixel_size = table.pixel_size_angstrom[table.optics_index[rows]]
    return Particles(
        rows=rows,
        optics=optics,
        optics_index=torch.from_numpy(table.optics_index[rows]),
        ctf=ctf_parameters(table, rows),
        angles_deg=torch.from_numpy(poses.angles_deg[rows]),
        offsets_px=torch.from_numpy(poses.offsets_angstrom[rows] / pixel_size[:, None]),
        norm=torch.from_numpy(poses.norm[rows]),
        scale_group=torch.from_numpy(table.group_index[rows]),
    )


def ctf_parameters(table: ParticleTable, rows: NDArray[np.int64]) -> CtfParameters:
    """Return the CTF parameters of some rows of a table."""
    return CtfParameters(*(torch.from_numpy(column[rows]) for column in table.ctf))


def image_model(model: ParticleModel, params: SearchParameters, directions: int) -> ImageModel:
    """Return what images are taken to be; `directions` is how many the grid has, in all classes."""
    log_direction = None
    if model.direction_prior is not None and len(model.direction_prior) == directions:
        share = torch.from_numpy(model.direction_prior)
        log_direction = (share * directions).clamp(min=_LEAST_SHARE).log().float()
    return ImageModel(
        noise_variance=[torch.from_numpy(variance) for variance in model.noise_variance],
        scale=torch.from_numpy(model.group_scale),
        mean_norm=model.mean_norm,
        offset_sigma_angstrom=model.offset_sigma_angstrom,
        diameter_angstrom=params.diameter,
        log_direction=log_direction,
        fill_with_noise=not params.zero_mask,
    )


def sampling_of(
    params: SearchParameters,
    inputs: Inputs,
    search: Search,
    *,
    perturbation: float,
    current_size: int,
    iteration: int,
) -> Sampling:
    """Return the grids of an iteration, and the image sizes to compare at.

    Parameters
    ----------
    params, inputs
        Diameter, symmetry and grid of the particles; what of the posterior is kept.
    search
        How poses are searched.
    perturbation
        Of the grids, in steps.
    current_size
        Image size in pixels.
    iteration
        From 1: the first may be by cross-correlation.
    """
    sigma, voxel_size = search.sigma_deg, inputs.voxel_size
    return Sampling(
        orientations=OrientationGrid(search.healpix_order, inputs.symmetry, perturbation),
        offsets=OffsetGrid(
            search.offset_range_angstrom / voxel_size, search.offset_step_angstrom / voxel_size, perturbation
        ),
        current_size=current_size,
        coarse_size=coarse_size(search, current_size, inputs.box, voxel_size, params.diameter),
        local=None if sigma is None else LocalSearch(sigma, sigma),
        first_iteration_cc=params.first_iteration_cc and iteration == 1,
        adaptive_fraction=params.adaptive_fraction,
    )


def poses_searched(sampling: Sampling) -> int:
    """Return how many coarse poses each image is compared with; about, where searches are local."""
    match sampling.keeps:
        case "pose":
            return 1
        case "orientation":
            return len(sampling.offsets.children())
    grid, offsets = sampling.orientations, len(sampling.offsets.coarse())
    if sampling.local is None:
        return grid.count * offsets
    cap = (1 - np.cos(np.radians(min(180.0, 3 * sampling.local.sigma_rot_deg)))) / 2
    directions = max(1.0, cap * 12 * 4**grid.healpix_order)
    psis = min(grid.psi_count, 2 * int(3 * sampling.local.sigma_psi_deg / grid.step_deg) + 1)
    return round(float(directions * psis)) * offsets
