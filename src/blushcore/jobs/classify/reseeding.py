"""A new start for classes that lost their particles: another draw of what the largest class may look like.

The largest class's map is known up to an error, whose variance by shell is 1/(p³⟨W⟩ + 1/(Tτ²)): the posterior
of its components. A map drawn from that posterior explains the data about as well, but is another one, so that
particles find a side. The two classes share the largest one's particles beforehand.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from blushcore.jobs.expectation_maximisation.map_curves import MapCurves
from blushcore.shells import filter_by_shell

Floats = NDArray[np.float64]


def drawn_map(
    reference: NDArray[np.float32], curves: MapCurves, generator: np.random.Generator
) -> NDArray[np.float32]:
    """Return a map drawn from the posterior of a class's map.

    Parameters
    ----------
    reference
        The class's map, ``(n, n, n)``.
    curves
        What is known of it.
    generator
        Draws.
    """
    n = len(reference)
    noise = torch.from_numpy(generator.standard_normal((n, n, n), dtype=np.float32))
    # White noise has ½|FFT/n²|² of 1/2n.
    spread = np.sqrt(2 * n * _error_variance(curves))
    drawn: NDArray[np.float32] = reference + filter_by_shell(noise, spread, interpolation="step").numpy()
    return drawn


def shared_out(distribution: Floats, empty: tuple[int, ...], donor: int) -> Floats:
    """Return the classes' shares when the donor's is split evenly between it and the empty ones."""
    shares = distribution.copy()
    shares[[donor, *empty]] = distribution[donor] / (1 + len(empty))
    return shares


def shared_directions(prior: Floats, empty: tuple[int, ...], donor: int, classes: int) -> Floats:
    """Return the direction priors ``(K · D,)`` when the empty classes take over a part of the donor's."""
    by_class = prior.reshape(classes, -1).copy()
    by_class[[donor, *empty]] = by_class[donor] / (1 + len(empty))
    return by_class.ravel()


def _error_variance(curves: MapCurves) -> Floats:
    """Return 1/(1/σ² + 1/(Tτ²)) by shell, σ² over the reconstruction and SSNR = Tτ²/σ²."""
    variance: Floats = curves.sigma2 * curves.ssnr / (1 + curves.ssnr)
    return variance
