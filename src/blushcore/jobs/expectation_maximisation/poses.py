"""What an E-step finds out about each particle, and how far that moves from iteration to iteration."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from blushcore.inference import ImageResults
from blushcore.particles import ParticleTable
from blushcore.poses import SymmetryGroup, euler_to_matrix, mean_axis_distance_deg


@dataclass(frozen=True, eq=False)
class Poses:
    """What the last iteration found about each of the N particles, in the order of the table.

    Attributes
    ----------
    angles_deg
        rot, tilt, psi, float64 ``(N, 3)``.
    offsets_angstrom
        x, y, float64 ``(N, 2)``.
    norm
        Norm corrections, float64 ``(N,)``.
    p_max, log_likelihood
        Greatest posterior probability, and the image's share of the likelihood, float64 ``(N,)``.
    significant
        How many coarse poses counted, int64 ``(N,)``.
    """

    angles_deg: NDArray[np.float64]
    offsets_angstrom: NDArray[np.float64]
    norm: NDArray[np.float64]
    p_max: NDArray[np.float64]
    log_likelihood: NDArray[np.float64]
    significant: NDArray[np.int64]

    @classmethod
    def of(cls, table: ParticleTable) -> Poses:
        """Return what a table says before anything was found."""
        n = len(table)
        return cls(
            table.angles_deg,
            table.offsets_angstrom,
            table.norm_correction,
            np.zeros(n),
            np.zeros(n),
            np.zeros(n, np.int64),
        )

    def with_results(
        self,
        table: ParticleTable,
        rows: NDArray[np.int64],
        results: ImageResults,
        mean_norm: float | None,
    ) -> Poses:
        """Return the poses after an E-step over the particles in `rows` of the table.

        Parameters
        ----------
        mean_norm
            Mean of the norm corrections as it was; None leaves the corrections as they are.
        """
        pixel_size = table.pixel_size_angstrom[table.optics_index[rows]]
        new: dict[str, Any] = {
            "angles_deg": results.angles_deg.numpy(),
            "offsets_angstrom": results.offsets_px.numpy() * pixel_size[:, None],
            "p_max": results.p_max.numpy(),
            "log_likelihood": results.log_likelihood.numpy(),
            "significant": results.significant.numpy(),
        }
        if mean_norm is not None:
            new["norm"] = updated_norms(self.norm[rows], mean_norm, results.residual.numpy())
        changed = {}
        for name, values in new.items():
            whole = getattr(self, name).copy()
            whole[rows] = values
            changed[name] = whole
        return dataclasses.replace(self, **changed)


@dataclass(frozen=True)
class Changes:
    """How far poses moved in an iteration: mean angle over particles, and √(Σd²/2N) of their offsets."""

    angle_deg: float
    offset_angstrom: float


def updated_norms(
    norm: NDArray[np.float64], mean_norm: float, residual: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return (norm/mean) · residual: what each image must be divided by for its noise to be that of all.

    Parameters
    ----------
    norm, mean_norm
        So far.
    residual
        √(2 Σ Γ|X − CTF·S|²) of each image as it was compared: normalised.
    """
    updated: NDArray[np.float64] = np.where(residual > 0, norm / mean_norm * residual, norm)
    return updated


def pose_changes(before: Poses, after: Poses, symmetry: SymmetryGroup) -> Changes:
    """Return how far the poses moved: the axes' mean angle to the nearest mate, and √(Σd²/2N) of offsets."""
    rotations = [euler_to_matrix(torch.from_numpy(poses.angles_deg)) for poses in (after, before)]
    angle = float(mean_axis_distance_deg(rotations[0], rotations[1], symmetry).mean())
    squares = np.square(after.offsets_angstrom - before.offsets_angstrom).sum(1)
    return Changes(angle, float(np.sqrt(squares.mean() / 2)))
