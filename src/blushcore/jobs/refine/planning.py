"""What an iteration is to do: how finely and how far to search, and up to which shell.

Auto-refinement decides that itself, by what the iterations before it found (Scheres 2012, J Struct Biol
180:519).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from blushcore.inference import Accuracy, Sampling
from blushcore.jobs.refine.expectation_inputs import sampling_of
from blushcore.jobs.refine.parameters import (
    DEFAULT_OFFSET_RANGE_PX,
    DEFAULT_OFFSET_STEP_PX,
    RefineParameters,
    SearchChoices,
)
from blushcore.jobs.refine.preflight import Inputs
from blushcore.jobs.refine.schedule import Search, coarse_size, current_size, perturbation, refine_search
from blushcore.jobs.refine.state import RefineState


@dataclass(frozen=True)
class Plan:
    """What an iteration is to do.

    Attributes
    ----------
    iteration
        From 1.
    is_last
        Whether it is the one that looks at everything and joins the halves.
    sampling
        Grids and image sizes.
    accuracy
        Of poses against the references; None where it was not estimated.
    seconds
        What deciding took.
    """

    iteration: int
    is_last: bool
    sampling: Sampling
    accuracy: Accuracy | None
    seconds: float


def decided(
    params: RefineParameters, before: RefineState, accuracy: Accuracy | None, *, is_last: bool
) -> RefineState:
    """Return the state with the search and the grid's displacement that the next iteration takes.

    The last iteration searches as the one before it did. Shares of directions mean nothing on another grid.
    """
    course, halves = before.course, before.halves
    if accuracy is not None and not is_last:
        course = refine_search(course, accuracy, params.local_from_order)
    if course.search != before.course.search:
        first, second = (dataclasses.replace(half, direction_prior=None) for half in halves)
        halves = first, second
    draw = np.random.default_rng((params.seed, before.iteration + 1)).random()
    moved = perturbation(before.perturbation, draw)
    return dataclasses.replace(before, course=course, perturbation=moved, halves=halves)


def sampling_of_state(
    params: RefineParameters, state: RefineState, inputs: Inputs, *, is_last: bool, iteration: int
) -> Sampling:
    """Return the grids of an iteration, and the image sizes to compare at: the whole box at last."""
    box, voxel_size, search = inputs.box, inputs.voxel_size, state.course.search
    current = box if is_last else current_size(state.course, box)
    return sampling_of(
        search,
        inputs.symmetry,
        state.perturbation,
        voxel_size,
        current_size=current,
        coarse_size=coarse_size(search, current, box, voxel_size, params.diameter),
        first_iteration_cc=params.first_iteration_cc and iteration == 1,
        adaptive_fraction=params.adaptive_fraction,
    )


def first_search(params: RefineParameters, voxel_size: float) -> Search:
    """Return the search of the first iteration."""
    is_local = params.healpix_order >= params.local_from_order
    return given_search(params, voxel_size, is_local=is_local)


def given_search(params: SearchChoices, voxel_size: float, *, is_local: bool) -> Search:
    """Return the search that was asked for, by default over 5 pixels by 2."""
    reach = params.offset_range or DEFAULT_OFFSET_RANGE_PX * voxel_size
    step = params.offset_step or DEFAULT_OFFSET_STEP_PX * voxel_size
    return Search(params.healpix_order, reach, min(step, reach), is_local=is_local)
