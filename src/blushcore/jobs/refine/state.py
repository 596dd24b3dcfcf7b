"""What a refinement carries from one iteration to the next, and how a checkpoint holds it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from blushcore.denoiser.weights import WeightsInfo
from blushcore.jobs.expectation_maximisation.checkpoints import (
    MODEL_VALUES,
    POSES,
    Arrays,
    attributes,
    check_identity,
    entries,
    identity,
    model_arrays,
    model_of,
    reading_checkpoint,
)
from blushcore.jobs.expectation_maximisation.model import ParticleModel
from blushcore.jobs.expectation_maximisation.poses import Changes, Poses
from blushcore.jobs.expectation_maximisation.search import Search
from blushcore.jobs.refine.schedule import Course
from blushcore.particles import ParticleTable
from blushcore.protocol import JobState

HALVES = (1, 2)
HALF_SETS = "half_sets"
"""The array of a checkpoint that says in which half-set (1 or 2) each particle is."""
_PLAIN = ("iteration", "perturbation", "seconds", "seconds_of_iteration", "description")
_SEARCH = tuple(Search.__dataclass_fields__)
_COURSE = tuple(
    name for name in Course.__dataclass_fields__ if name not in ("search", "changes", "smallest_changes")
)


@dataclass(frozen=True, eq=False)
class RefineState:
    """A refinement after an iteration; 0: before the first.

    Attributes
    ----------
    iteration
        Of the last one that was done.
    course
        What the decisions depend on.
    perturbation
        Of its grid, in steps.
    halves
        The models of halves 1 and 2.
    poses
        Of all particles.
    ssnr
        Signal-to-noise ratio of the maps, float64 ``(box // 2 + 1,)``; zeros: not known yet.
    seconds, seconds_of_iteration
        Time spent so far, and on the last iteration.
    description
        Of the last iteration: what made its time (see `explain`).
    """

    iteration: int
    course: Course
    perturbation: float
    halves: tuple[ParticleModel, ParticleModel]
    poses: Poses
    ssnr: NDArray[np.float64]
    seconds: float = 0.0
    seconds_of_iteration: float = 0.0
    description: Mapping[str, float] = field(default_factory=dict)

    def to_job_state(self, table: ParticleTable, weights: WeightsInfo | None = None) -> JobState:
        """Return what a checkpoint is to hold; `table` and network `weights` are what it may go on with."""
        arrays: Arrays = {**attributes(self.poses, POSES, "poses."), "ssnr": self.ssnr}
        arrays[HALF_SETS] = table.half.astype(np.int8)
        values = attributes(self, _PLAIN) | identity(table, weights)
        for number, half in zip(HALVES, self.halves, strict=True):
            arrays |= model_arrays(half, f"half{number}.")
            values[f"half{number}"] = attributes(half, MODEL_VALUES)
        course = self.course
        values |= {
            "search": attributes(course.search, _SEARCH),
            "course": attributes(course, _COURSE),
            "changes": _of_changes(course.changes),
            "smallest_changes": _of_changes(course.smallest_changes),
        }
        return JobState(arrays=arrays, values=values)

    @classmethod
    def from_job_state(
        cls, state: JobState, table: ParticleTable, weights: WeightsInfo | None = None
    ) -> RefineState:
        """Return the refinement that a checkpoint holds.

        Raises
        ------
        BlushError
            If `table` is not the set of particles that it was of, `weights` are not its network's, or it lacks
            something.
        """
        values, arrays = state.values, state.arrays
        with reading_checkpoint():
            check_identity(values, table, weights)
            first, second = (
                model_of(arrays, values[f"half{number}"], len(table.optics), f"half{number}.")
                for number in HALVES
            )
            course = Course(
                search=Search(**entries(values["search"], _SEARCH)),
                changes=_as_changes(values["changes"]),
                smallest_changes=_as_changes(values["smallest_changes"]),
                **entries(values["course"], _COURSE),
            )
            return cls(
                course=course,
                halves=(first, second),
                poses=Poses(**entries(arrays, POSES, "poses.")),
                ssnr=arrays["ssnr"],
                **entries(values, _PLAIN),
            )


def _of_changes(changes: Changes) -> list[float | None]:
    """JSON has no infinity."""
    values = (changes.angle_deg, changes.offset_angstrom)
    return [None if math.isinf(value) else value for value in values]


def _as_changes(values: list[float | None]) -> Changes:
    angle, offset = (math.inf if value is None else value for value in values)
    return Changes(angle, offset)
