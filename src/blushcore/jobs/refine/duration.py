"""How long a refinement will take: roughly, before it is begun.

An iteration compares images with the references in so many poses over so many Fourier components, which are
multiplications; how many this machine does in a second is measured. How long the whole takes depends on how
sure the images are of their poses, which nobody knows before. So it is told as from … to ….
"""

from __future__ import annotations

from blushcore.jobs.expectation_maximisation.duration import (
    SPREAD,
    START_SECONDS,
    denoising_seconds,
    first_size,
    global_seconds,
    local_seconds,
    products_per_second,
)
from blushcore.jobs.expectation_maximisation.inputs import Inputs
from blushcore.jobs.refine.parameters import RefineParameters
from blushcore.jobs.refine.planning import first_search

_GLOBAL_ITERATIONS = 6
_LOCAL_ITERATIONS = 10
_UNSURE_ITERATION = 80.0
"""How much longer an iteration takes in which most poses stay possible; there are one or two at most."""


def predicted_seconds(params: RefineParameters, inputs: Inputs) -> tuple[float, float]:
    """Return within which times the refinement will most likely be done, on a machine that does nothing else.

    Some 16 iterations are reckoned with, fewer where `params` allow no more.
    """
    search, rate = first_search(params, inputs.voxel_size), products_per_second(inputs.device)
    one_global = global_seconds(params, inputs, search, first_size(params, inputs), rate)
    globally = 0 if search.is_local else min(_GLOBAL_ITERATIONS, params.max_iterations)
    locally = min(_LOCAL_ITERATIONS, params.max_iterations - globally)
    least = START_SECONDS + globally * one_global + locally * local_seconds(inputs, inputs.box, rate)
    if params.prior == "blush":
        least += (globally + locally) * 2 * denoising_seconds(inputs, rate)
    unsure = _UNSURE_ITERATION * one_global if globally else 0.0
    return least, SPREAD * least + unsure
