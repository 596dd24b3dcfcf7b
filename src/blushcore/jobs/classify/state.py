"""What a classification carries from one iteration to the next, and how a checkpoint holds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from blushcore.denoiser.weights import WeightsInfo
from blushcore.jobs.expectation_maximisation.checkpoints import (
    MODEL_VALUES,
    POSES,
    attributes,
    check_identity,
    entries,
    identity,
    model_arrays,
    model_of,
    reading_checkpoint,
)
from blushcore.jobs.expectation_maximisation.model import ParticleModel
from blushcore.jobs.expectation_maximisation.poses import Poses
from blushcore.jobs.expectation_maximisation.search import SMALLEST_RESOLUTION_SHELL
from blushcore.particles import ParticleTable
from blushcore.protocol import JobState

Floats = NDArray[np.float64]
_PLAIN = ("iteration", "perturbation", "seconds", "seconds_of_iteration", "description")


@dataclass(frozen=True, eq=False)
class Classes:
    """What is known of the K classes besides their maps.

    Attributes
    ----------
    distribution
        Share of the particles in each class by the posterior, float64 ``(K,)``.
    index
        Class of each particle, from 0 on: that of its most likely pose, int64 ``(N,)``.
    probability
        How likely that class is, over all its poses, float64 ``(N,)``.
    ssnr
        Signal-to-noise ratio of each map by shell, float64 ``(K, box // 2 + 1)``; zeros: not known yet.
    resolution_shells
        Where it falls to 1, int64 ``(K,)``; 0 of a class whose noise is stronger from the first shell on, or
        that has no particles.
    """

    distribution: Floats
    index: NDArray[np.int64]
    probability: Floats
    ssnr: Floats
    resolution_shells: NDArray[np.int64]

    @property
    def count(self) -> int:
        """How many classes there are: K."""
        return len(self.distribution)

    @property
    def particles(self) -> NDArray[np.int64]:
        """How many particles have each class, int64 ``(K,)``."""
        return np.bincount(self.index, minlength=self.count).astype(np.int64)

    @property
    def mean_ssnr(self) -> Floats:
        """Signal-to-noise ratio by shell, the mean over particles, float64 ``(box // 2 + 1,)``."""
        mean: Floats = self.distribution @ self.ssnr
        return mean


@dataclass(frozen=True)
class Moves:
    """How far particles moved in an iteration.

    Attributes
    ----------
    classes
        Share of them that changed their class.
    angle_deg, offset_angstrom
        Mean angle, and √(Σd²/2N) of the offsets.
    """

    classes: float = 1.0
    angle_deg: float = 0.0
    offset_angstrom: float = 0.0


_CLASSES = tuple(Classes.__dataclass_fields__)
_MOVES = tuple(Moves.__dataclass_fields__)


@dataclass(frozen=True, eq=False)
class ClassifyState:
    """A classification after an iteration; 0: before the first.

    Attributes
    ----------
    iteration
        Of the last one that was done.
    perturbation
        Of its grid, in steps.
    model
        Of all particles; in its direction prior are the classes' own shares.
    classes, poses
        Of the particles.
    moves
        In the last iteration.
    seconds, seconds_of_iteration
        Time spent so far, and on the last iteration.
    description
        Of the last iteration: what made its time.
    """

    iteration: int
    perturbation: float
    model: ParticleModel
    classes: Classes
    poses: Poses
    moves: Moves = Moves()
    seconds: float = 0.0
    seconds_of_iteration: float = 0.0
    description: Mapping[str, float] = field(default_factory=dict)

    @property
    def best_shell(self) -> int:
        """Where the best class's signal-to-noise ratio falls to 1; 0 if all are noise."""
        return int(self.classes.resolution_shells.max())

    @property
    def resolution_shell(self) -> int:
        """That to go on with: RELION's current resolution, never coarser than shell 5."""
        return max(SMALLEST_RESOLUTION_SHELL, self.best_shell)

    def to_job_state(self, table: ParticleTable, weights: WeightsInfo | None = None) -> JobState:
        """Return what a checkpoint is to hold; `table` and network `weights` are what it may go on with."""
        arrays = {
            **attributes(self.poses, POSES, "poses."),
            **attributes(self.classes, _CLASSES, "classes."),
            **model_arrays(self.model, reference="references"),
        }
        values = {
            **attributes(self, _PLAIN),
            **attributes(self.model, MODEL_VALUES),
            "moves": attributes(self.moves, _MOVES),
            **identity(table, weights),
        }
        return JobState(arrays=arrays, values=values)

    @classmethod
    def from_job_state(
        cls, state: JobState, table: ParticleTable, weights: WeightsInfo | None = None
    ) -> ClassifyState:
        """Return the classification that a checkpoint holds.

        Raises
        ------
        BlushError
            If `table` is not the set of particles that it was of, `weights` are not its network's, or it lacks
            something.
        """
        values, arrays = state.values, state.arrays
        with reading_checkpoint():
            check_identity(values, table, weights)
            return cls(
                model=model_of(arrays, values, len(table.optics), reference="references"),
                classes=Classes(**entries(arrays, _CLASSES, "classes.")),
                poses=Poses(**entries(arrays, POSES, "poses.")),
                moves=Moves(**entries(values["moves"], _MOVES)),
                **entries(values, _PLAIN),
            )
