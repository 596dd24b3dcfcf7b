"""What the next iteration does: how fine, how far, up to which shell, and when it is enough.

Pure decisions from the figures of the iterations so far; RELION's auto-refinement is the model (Scheres 2012,
J Struct Biol 180:519; its program's behaviour was measured where papers say nothing).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from blushcore.inference.accuracy import Accuracy
from blushcore.jobs.expectation_maximisation.poses import Changes
from blushcore.jobs.expectation_maximisation.search import (
    FIRST_INCREMENT_SHELLS,
    Search,
    first_shell_below,
    resolution_shell,
)

ENOUGH_P_MAX = 0.1
HIGH_FSC = 0.2
LARGEST_OFFSET_STEP_ANGSTROM = 1.5
"""Of the fine step, when sampling becomes finer."""

_LEAST_GAIN_PER_ANGSTROM = 1e-4
_SMALL_CHANGE_STEPS = 0.4
_STEADY = 1.03
_STEPS_WITHIN_ACCURACY = 0.75
_MANY_STEPS = 4.0

UNKNOWN_CHANGES = Changes(math.inf, math.inf)


@dataclass(frozen=True)
class Course:
    """What the decisions of the coming iterations depend on.

    Attributes
    ----------
    search
        Of the iteration in progress, or the last one.
    resolution_shell
        Where the signal-to-noise ratio of the map falls to 1.
    increment_shells
        How many shells beyond the resolution are looked at; never falls.
    high_fsc_at_limit
        Whether the halves have ever agreed at the edge of what was looked at.
    mean_p_max
        Mean over particles of the posterior's greatest value.
    changes, smallest_changes
        Of the last iteration, and the smallest since the search last changed.
    iterations_without_gain, iterations_without_change
        For how long the resolution has not improved and the poses have moved little.
    is_fine_enough
        Whether steps are as fine as the data's accuracy has use for.
    """

    search: Search
    resolution_shell: int
    increment_shells: int = FIRST_INCREMENT_SHELLS
    high_fsc_at_limit: bool = False
    mean_p_max: float = 0.0
    changes: Changes = UNKNOWN_CHANGES
    smallest_changes: Changes = UNKNOWN_CHANGES
    iterations_without_gain: int = 0
    iterations_without_change: int = 0
    is_fine_enough: bool = False

    @property
    def is_settled(self) -> bool:
        """Whether this search has given what it can."""
        return self.iterations_without_gain >= 1 and self.iterations_without_change >= 1

    @property
    def has_converged(self) -> bool:
        """Whether only the last iteration is left to do."""
        return self.is_fine_enough and self.is_settled


@dataclass(frozen=True)
class Outcome:
    """What an iteration found, as far as the course depends on it.

    Attributes
    ----------
    fsc, ssnr
        Of the halves and of the map, float64 ``(box // 2 + 1,)``.
    changes
        Of the poses.
    mean_p_max
        See `Course`.
    """

    fsc: NDArray[np.float64]
    ssnr: NDArray[np.float64]
    changes: Changes
    mean_p_max: float


def current_size(course: Course, box: int) -> int:
    """Return the image size in pixels up to which the next iteration compares: twice its last shell."""
    rises = course.mean_p_max > ENOUGH_P_MAX and course.high_fsc_at_limit
    more = math.floor(box / 8 + 0.5) if rises else course.increment_shells
    return min(2 * (course.resolution_shell + more), box)


def joined_shell(join_angstrom: float, resolution_angstrom: float, box: int, voxel_size: float) -> int:
    """Return the last shell in which the halves are averaged, so that they keep one frame."""
    return math.floor(box * voxel_size / max(join_angstrom, resolution_angstrom) + 1e-9)


def learn(course: Course, outcome: Outcome, current: int, box: int, voxel_size: float) -> Course:
    """Return the course after an iteration.

    Parameters
    ----------
    course
        As the iteration found it.
    outcome
        What it found.
    current
        The image size that it used.
    box, voxel_size
        Of the map, in pixels and Å.
    """
    shell = resolution_shell(outcome.ssnr, current)
    last = current // 2
    # Beyond the current size the curve is 0; only a curve that reaches the box's edge never crosses.
    half, low = (first_shell_below(outcome.fsc, threshold) for threshold in (0.5, 0.143))
    needed = low - half + 5 if half is not None and low is not None else 0
    gain = (shell - course.resolution_shell) / (box * voxel_size)
    smallest = course.smallest_changes
    return replace(
        course,
        resolution_shell=shell,
        increment_shells=max(course.increment_shells, needed),
        high_fsc_at_limit=course.high_fsc_at_limit or bool(outcome.fsc[last - 1] > HIGH_FSC),
        mean_p_max=outcome.mean_p_max,
        changes=outcome.changes,
        smallest_changes=Changes(
            min(smallest.angle_deg, outcome.changes.angle_deg),
            min(smallest.offset_angstrom, outcome.changes.offset_angstrom),
        ),
        iterations_without_gain=0 if gain > _LEAST_GAIN_PER_ANGSTROM else course.iterations_without_gain + 1,
        iterations_without_change=course.iterations_without_change + 1
        if _moved_little(outcome.changes, smallest, course.search)
        else 0,
    )


def with_resolution_unchanged(course: Course, before: Course) -> Course:
    """Return `course` with the resolution of `before`: for a map that was low-passed again afterwards."""
    return replace(
        course,
        resolution_shell=before.resolution_shell,
        increment_shells=before.increment_shells,
        high_fsc_at_limit=before.high_fsc_at_limit,
        iterations_without_gain=before.iterations_without_gain + 1,
    )


def _moved_little(now: Changes, smallest: Changes, search: Search) -> bool:
    """Whether poses moved by a small part of a step, or no less than they did before on the same grid.

    On a new grid they move for its sake: the first iteration does not count.
    """
    if math.isinf(smallest.angle_deg):
        return False
    pairs = (
        (now.angle_deg, smallest.angle_deg, search.step_deg),
        (now.offset_angstrom, smallest.offset_angstrom, search.offset_step_angstrom),
    )
    return all(moved < _SMALL_CHANGE_STEPS * step or moved * _STEADY >= least for moved, least, step in pairs)


def refine_search(course: Course, accuracy: Accuracy, local_from_order: int) -> Course:
    """Make the search finer where it has given what it can and the data can tell more.

    Parameters
    ----------
    course
        After the last iteration.
    accuracy
        That of the current references.
    local_from_order
        HEALPix order from which searches are local.
    """
    if not course.is_settled or course.is_fine_enough:
        return course
    search = course.search
    if search.fine_step_deg < _STEPS_WITHIN_ACCURACY * accuracy.angle_deg:
        return replace(course, is_fine_enough=True)
    order = search.healpix_order + 1
    step = 2 * min(LARGEST_OFFSET_STEP_ANGSTROM, _STEPS_WITHIN_ACCURACY * accuracy.offset_angstrom)
    reach = min(5 * course.changes.offset_angstrom, 1.3 * search.offset_range_angstrom)
    if reach > _MANY_STEPS * step:
        reach /= 2
    return replace(
        course,
        search=Search(order, max(reach, 1.5 * step), step, is_local=order >= local_from_order),
        smallest_changes=UNKNOWN_CHANGES,
        iterations_without_gain=0,
        iterations_without_change=0,
    )
