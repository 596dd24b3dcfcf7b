"""Norm corrections: what each image is divided by, so that its noise is that of all."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


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
