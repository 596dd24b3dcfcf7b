"""How long a classification will take: roughly, before it is begun; see `blushcore.jobs.refine.duration`.

Here the number of iterations is known, and every one searches the same poses in every class. What is not known
is how many of them stay likely, and how far the resolution, and with it the size of the images, will grow.
"""

from __future__ import annotations

from blushcore.jobs.classify.parameters import ClassifyParameters
from blushcore.jobs.classify.plan import search_of
from blushcore.jobs.classify.preflight import ClassifyInputs
from blushcore.jobs.refine.duration import (
    DENOISING_SHARE,
    GLOBAL_SHARE,
    LOCAL_POSES,
    LOCAL_SHARE,
    OPERATIONS,
    SPREAD,
    START_SECONDS,
    components,
    denoiser_operations,
    products_per_second,
)
from blushcore.jobs.refine.schedule import FIRST_INCREMENT_SHELLS, coarse_size, shell_at
from blushcore.poses import OffsetGrid, OrientationGrid

_ITERATION_SECONDS = 0.3
"""What an iteration takes besides: reconstructing, writing."""
_UNSURE = 8.0
"""How much longer an iteration of a global search takes in which most poses stay possible."""
_LEAST_GROWTH, _MOST_GROWTH = 0.3, 1.0
"""Where between the first size of the images and their box the mean one lies."""


def predicted_seconds(params: ClassifyParameters, inputs: ClassifyInputs) -> tuple[float, float]:
    """Return within which times the classification will most likely be done, on a machine with nothing else."""
    rate = products_per_second(inputs.device)
    least = START_SECONDS + params.iterations * _iteration_seconds(params, inputs, rate, _LEAST_GROWTH)
    most = SPREAD * (START_SECONDS + params.iterations * _iteration_seconds(params, inputs, rate, _MOST_GROWTH))
    if params.alignment == "global":
        most += _UNSURE * _comparing_seconds(params, inputs, rate, _LEAST_GROWTH)
    return least, most


def _iteration_seconds(params: ClassifyParameters, inputs: ClassifyInputs, rate: float, growth: float) -> float:
    """Return the seconds of an iteration whose images have grown so far, 0 to 1."""
    seconds = _ITERATION_SECONDS + _comparing_seconds(params, inputs, rate, growth)
    if params.prior == "blush":
        operations = denoiser_operations(inputs.box, inputs.voxel_size)
        seconds += params.class_count * operations / (rate * DENOISING_SHARE)
    return seconds


def _comparing_seconds(params: ClassifyParameters, inputs: ClassifyInputs, rate: float, growth: float) -> float:
    box, voxel_size, search = inputs.box, inputs.voxel_size, search_of(params, inputs.voxel_size)
    first = min(box, 2 * (shell_at(params.initial_lowpass, box, voxel_size) + FIRST_INCREMENT_SHELLS))
    largest = box
    if params.highest_resolution is not None:
        largest = min(box, max(first, 2 * shell_at(params.highest_resolution, box, voxel_size)))
    current = 2 * round((first + growth * (largest - first)) / 2)
    reach, step = search.offset_range_angstrom / voxel_size, search.offset_step_angstrom / voxel_size
    offsets = len(OffsetGrid(reach, step).coarse())
    share, size = LOCAL_SHARE, current
    match params.alignment:
        case "global":
            poses = float(OrientationGrid(search.healpix_order, inputs.symmetry).count * offsets)
            share, size = GLOBAL_SHARE, coarse_size(search, current, box, voxel_size, params.diameter)
        case "local":
            poses = LOCAL_POSES
        case "offsets":
            poses = 4.0 * offsets
        case _:
            poses = 1.0
    compared = len(inputs.table) * params.class_count * poses
    return compared * components(size) * OPERATIONS / (rate * share)
