"""What an iteration of a classification does: how finely, and up to which shell. Pure decisions.

The search stays what was asked for; only the frequencies that are compared grow with the best class's
resolution, by the rule of refinements.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from blushcore.inference import Accuracy, LocalSearch, Sampling
from blushcore.jobs.classify.parameters import ClassifyParameters
from blushcore.jobs.classify.state import ClassifyState
from blushcore.jobs.expectation_maximisation.expectation_inputs import sampling_of
from blushcore.jobs.expectation_maximisation.inputs import Inputs
from blushcore.jobs.expectation_maximisation.search import (
    FIRST_INCREMENT_SHELLS,
    Search,
    given_search,
    next_perturbation,
    shell_at,
)


@dataclass(frozen=True)
class ClassifyPlan:
    """What an iteration is to do.

    Attributes
    ----------
    iteration
        From 1.
    is_last
        Whether no other follows.
    at_random
        Whether each particle is compared with one class alone, drawn by chance: all classes are alike still.
    search
        The grids, in angles and Å.
    sampling
        The same with image sizes, perturbation and what is kept.
    accuracies
        Of poses against each class; None where it was not estimated.
    seconds
        What deciding took.
    """

    iteration: int
    is_last: bool
    at_random: bool
    search: Search
    sampling: Sampling
    accuracies: tuple[Accuracy | None, ...]
    seconds: float


def search_of(params: ClassifyParameters, voxel_size: float) -> Search:
    """Return the search, the same in all iterations."""
    return given_search(params, voxel_size, is_local=params.alignment == "local")


def moved_grid(params: ClassifyParameters, state: ClassifyState) -> float:
    """Return the next iteration's perturbation."""
    return next_perturbation(state.perturbation, params.seed, state.iteration + 1)


def image_size(params: ClassifyParameters, inputs: Inputs, state: ClassifyState) -> int:
    """Return the image size in pixels up to which the next iteration compares: twice its last shell."""
    known = state.resolution_shell if state.iteration else _first_shell(params, inputs)
    last = known + FIRST_INCREMENT_SHELLS
    if params.highest_resolution is not None:
        last = min(last, max(2, shell_at(params.highest_resolution, inputs.box, inputs.voxel_size)))
    return min(2 * last, inputs.box)


def sampling_for(params: ClassifyParameters, inputs: Inputs, state: ClassifyState, moved: float) -> Sampling:
    """Return the grids and image sizes of the iteration after `state`."""
    sampling = sampling_of(
        params,
        inputs,
        search_of(params, inputs.voxel_size),
        perturbation=moved,
        current_size=image_size(params, inputs, state),
        iteration=state.iteration + 1,
    )
    match params.alignment:
        case "local":
            sigma = params.local_sigma_deg
            return dataclasses.replace(sampling, local=LocalSearch(sigma, sigma))
        case "offsets":
            return dataclasses.replace(sampling, keeps="orientation")
        case "none":
            return dataclasses.replace(sampling, keeps="pose")
        case _:
            return sampling


def _first_shell(params: ClassifyParameters, inputs: Inputs) -> int:
    return shell_at(params.initial_lowpass, inputs.box, inputs.voxel_size)
