"""What images are compared with, and how they are taken to come about."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FIRST_OFFSET_SIGMA_ANGSTROM = 10.0


@dataclass(frozen=True, eq=False)
class ParticleModel:
    """The model of some particles' images: of a half's, or of all where there are no halves.

    Attributes
    ----------
    reference
        Map ``[z, y, x]``, or one of each class, ``[class, z, y, x]``; float32.
    noise_variance
        σ²(s) of each optics group: of the real and of the imaginary part, float64 ``(its box // 2 + 1,)`` each.
    group_scale
        Intensity of each scale group, float64, mean 1.
    offset_sigma_angstrom
        Standard deviation of the particles' offsets along x and y.
    mean_norm
        Mean of the norm corrections.
    direction_prior
        Share of the particles in each direction of the last grid, float64 ``(D,)``, or in those of all classes
        one after the other, ``(K · D,)``; None: all alike.
    """

    reference: NDArray[np.float32]
    noise_variance: tuple[NDArray[np.float64], ...]
    group_scale: NDArray[np.float64]
    offset_sigma_angstrom: float = FIRST_OFFSET_SIGMA_ANGSTROM
    mean_norm: float = 1.0
    direction_prior: NDArray[np.float64] | None = None
