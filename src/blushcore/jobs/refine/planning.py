"""What an iteration is to do: how finely and how far to search, and up to which shell.

Auto-refinement decides that itself, by what the iterations before it found (Scheres 2012, J Struct Biol
180:519).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from blushcore.inference import Accuracy, Sampling
from blushcore.jobs.expectation_maximisation.expectation_inputs import sampling_of
from blushcore.jobs.expectation_maximisation.inputs import Inputs
from blushcore.jobs.expectation_maximisation.search import Search, given_search, next_perturbation
from blushcore.jobs.refine.parameters import RefineParameters
from blushcore.jobs.refine.schedule import current_size, refine_search
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
    moved = next_perturbation(before.perturbation, params.seed, before.iteration + 1)
    return dataclasses.replace(before, course=course, perturbation=moved, halves=halves)


def sampling_of_state(
    params: RefineParameters, state: RefineState, inputs: Inputs, *, is_last: bool, iteration: int
) -> Sampling:
    """Return the grids of an iteration, and the image sizes to compare at: the whole box at last."""
    return sampling_of(
        params,
        inputs,
        state.course.search,
        perturbation=state.perturbation,
        current_size=inputs.box if is_last else current_size(state.course, inputs.box),
        iteration=iteration,
    )


def first_search(params: RefineParameters, voxel_size: float) -> Search:
    """Return the search of the first iteration."""
    is_local = params.healpix_order >= params.local_from_order
    return given_search(params, voxel_size, is_local=is_local)
