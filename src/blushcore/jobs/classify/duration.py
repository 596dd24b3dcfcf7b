"""How long a classification will take: roughly, before it is begun.

Here the number of iterations is known, and every one searches the same poses in every class. What is not known
is how many of them stay likely, and how far the resolution, and with it the size of the images, will grow.
"""

from __future__ import annotations

from blushcore.jobs.classify.parameters import ClassifyParameters
from blushcore.jobs.classify.plan import search_of
from blushcore.jobs.expectation_maximisation.duration import (
    SPREAD,
    START_SECONDS,
    denoising_seconds,
    first_size,
    global_seconds,
    local_seconds,
    offsets_searched,
    products_per_second,
)
from blushcore.jobs.expectation_maximisation.inputs import Inputs
from blushcore.jobs.expectation_maximisation.search import shell_at

_ITERATION_SECONDS = 0.3
"""What an iteration takes besides: reconstructing, writing."""
_UNSURE = 8.0
"""How much longer an iteration of a global search takes in which most poses stay possible."""
_LEAST_GROWTH, _MOST_GROWTH = 0.3, 1.0
"""Where between the first size of the images and their box the mean one lies."""


def predicted_seconds(params: ClassifyParameters, inputs: Inputs) -> tuple[float, float]:
    """Return within which times the classification will most likely be done, on a machine with nothing else."""
    rate = products_per_second(inputs.device)
    least = START_SECONDS + params.iterations * _iteration_seconds(params, inputs, rate, _LEAST_GROWTH)
    most = SPREAD * (START_SECONDS + params.iterations * _iteration_seconds(params, inputs, rate, _MOST_GROWTH))
    if params.alignment == "global":
        most += _UNSURE * _comparing_seconds(params, inputs, rate, _LEAST_GROWTH)
    return least, most


def _iteration_seconds(params: ClassifyParameters, inputs: Inputs, rate: float, growth: float) -> float:
    """Return the seconds of an iteration whose images have grown so far, 0 to 1."""
    seconds = _ITERATION_SECONDS + _comparing_seconds(params, inputs, rate, growth)
    if params.prior == "blush":
        seconds += params.class_count * denoising_seconds(inputs, rate)
    return seconds


def _comparing_seconds(params: ClassifyParameters, inputs: Inputs, rate: float, growth: float) -> float:
    first, largest = first_size(params, inputs), inputs.box
    if params.highest_resolution is not None:
        limit = 2 * shell_at(params.highest_resolution, inputs.box, inputs.voxel_size)
        largest = min(largest, max(first, limit))
    size, search = 2 * round((first + growth * (largest - first)) / 2), search_of(params, inputs.voxel_size)
    match params.alignment:
        case "global":
            seconds = global_seconds(params, inputs, search, size, rate)
        case "local":
            seconds = local_seconds(inputs, size, rate)
        case "offsets":
            seconds = local_seconds(inputs, size, rate, poses=4.0 * offsets_searched(search, inputs))
        case _:
            seconds = local_seconds(inputs, size, rate, poses=1.0)
    return params.class_count * seconds
