"""What the E-step is told: the particles, what their images are taken to be, and which poses to try."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from blushcore.optics import CtfParameters, OpticsGroup
from blushcore.poses import OffsetGrid, OrientationGrid


class ImageSource(Protocol):
    """Where images come from; rows are those of `Particles.rows`."""

    def batches(
        self, indices: NDArray[np.int64], batch_size: int
    ) -> Iterator[tuple[NDArray[np.int64], Tensor]]:
        """Yield row numbers ``(B,)`` and float32 images ``(B, n, n)`` of all `indices`, in any order."""
        ...


@dataclass(frozen=True)
class Particles:
    """The particles of one half, N of them.

    Attributes
    ----------
    rows
        Their rows in the table that the images are asked for by, int64 ``(N,)``.
    optics
        The optics groups.
    optics_index
        Which of them each particle belongs to, int64 ``(N,)``.
    ctf
        CTF parameters, each ``(N,)``.
    angles_deg
        rot, tilt, psi of the last pose, float64 ``(N, 3)``: where local searches begin.
    offsets_px
        x, y of the last pose in pixels of the image, float64 ``(N, 2)``: the middle of the search.
    norm
        Norm corrections, float64 ``(N,)``.
    scale_group
        Which intensity scale each particle has, int64 ``(N,)``.
    """

    rows: NDArray[np.int64]
    optics: Sequence[OpticsGroup]
    optics_index: Tensor
    ctf: CtfParameters
    angles_deg: Tensor
    offsets_px: Tensor
    norm: Tensor
    scale_group: Tensor

    @property
    def count(self) -> int:
        """How many there are: N."""
        return len(self.rows)


@dataclass(frozen=True)
class ImageModel:
    """What an image is taken to be besides its pose.

    Attributes
    ----------
    noise_variance
        σ²(s) of each optics group, the variance of the real and of the imaginary part, float64
        ``(n // 2 + 1,)`` each.
    scale
        Intensity scale of each scale group, float64.
    mean_norm
        Mean of the norm corrections.
    offset_sigma_angstrom
        Standard deviation of the offsets, along x and along y.
    log_direction
        Log-prior of each direction of a global search, float32 ``(D,)``; None: all alike. With K classes
        ``(K · D,)``, class by class, the classes' own priors in it.
    log_class
        Log-prior of each class where directions have none, float32 ``(K,)``; None: all alike.
    diameter_angstrom
        Of the particle's circular mask.
    fill_with_noise
        Fill what is masked away with noise of σ² instead of its mean.
    """

    noise_variance: Sequence[Tensor]
    scale: Tensor
    mean_norm: float
    offset_sigma_angstrom: float
    diameter_angstrom: float
    log_direction: Tensor | None = None
    log_class: Tensor | None = None
    fill_with_noise: bool = False


@dataclass(frozen=True)
class LocalSearch:
    """Gaussian priors around the last pose: of the direction and of the in-plane angle, in degrees."""

    sigma_rot_deg: float
    sigma_psi_deg: float


@dataclass(frozen=True)
class Sampling:
    """Which poses to try, and how closely to look.

    Attributes
    ----------
    orientations, offsets
        The coarse grids.
    current_size, coarse_size
        Sizes in pixels of the reference's box that the second and the first look go up to; even.
    local
        Look only around each particle's last pose.
    keeps
        orientation: try only each particle's last orientation, with all offsets; pose: only its last pose, so
        that nothing but the class is to be found. Neither look is needed then.
    first_iteration_cc
        Compare by normalised correlation, and give the best pose all the weight: for references of unknown
        scale.
    adaptive_fraction
        Share of the posterior that is kept after either look.
    """

    orientations: OrientationGrid
    offsets: OffsetGrid
    current_size: int
    coarse_size: int
    local: LocalSearch | None = None
    keeps: Literal["orientation", "pose"] | None = None
    first_iteration_cc: bool = False
    adaptive_fraction: float = 0.999
