"""The prior that a refinement's parameters name."""

from __future__ import annotations

from blushcore.denoiser import Denoiser
from blushcore.jobs.refine.parameters import RefineParameters
from blushcore.jobs.refine.preflight import Inputs
from blushcore.reconstruction import BlushPrior, Prior, WienerPrior


def prior_of(params: RefineParameters, inputs: Inputs) -> Prior:
    """Return the prior; Blush's network is loaded onto the run's device, and stays there.

    Raises
    ------
    BlushError
        When the network's weights are damaged.
    """
    if inputs.weights is None:
        return WienerPrior()
    denoiser = Denoiser.load(inputs.weights.path, inputs.device)
    return BlushPrior(denoiser, params.spectral_trailing, params.safeguards)
