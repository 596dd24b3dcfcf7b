"""Random orientations."""

from __future__ import annotations

import numpy as np


def random_rotation(generator: np.random.Generator) -> np.ndarray:
    """Draw a rotation, uniformly distributed: float64 ``(3, 3)``, determinant 1, for columns x, y, z.

    The Q of a Gaussian matrix's QR decomposition with the signs fixed by R is uniform over the orthogonal
    matrices (Mezzadri 2007, Notices of the AMS 54:592); a mirror is turned into a rotation by its first column.
    """
    q, r = np.linalg.qr(generator.normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    if np.linalg.det(q) < 0:
        q[:, 0] = -q[:, 0]
    return np.asarray(q)
