"""What a classification carries from one iteration to the next, and how a checkpoint holds it.

A checkpoint gives back every number as it was, so a resumed classification does what an uninterrupted one does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blushcore.denoiser.weights import WeightsInfo
from blushcore.jobs.refine.state import HalfModel, Poses, check_weights, fingerprint
from blushcore.particles import ParticleTable
from blushcore.protocol import BlushError, JobState

Floats = NDArray[np.float64]


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
        Where it falls to 1, int64 ``(K,)``; 0 of a class without particles.
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
        What images are compared with: references ``(K, n, n, n)``, and the direction priors of all classes one
        after the other, ``(K · D,)``, with the classes' own shares in them.
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
    model: HalfModel
    classes: Classes
    poses: Poses
    moves: Moves = Moves()
    seconds: float = 0.0
    seconds_of_iteration: float = 0.0
    description: Mapping[str, float] = field(default_factory=dict)

    @property
    def resolution_shell(self) -> int:
        """That of the best class."""
        return int(self.classes.resolution_shells.max())

    def to_job_state(self, table: ParticleTable, weights: WeightsInfo | None = None) -> JobState:
        """Return what a checkpoint is to hold; `table` and network `weights` are what it may go on with."""
        model = self.model
        arrays = {f"poses.{name}": np.asarray(getattr(self.poses, name)) for name in _POSES}
        arrays |= {f"classes.{name}": np.asarray(getattr(self.classes, name)) for name in _CLASSES}
        arrays |= {"references": model.reference, "group_scale": model.group_scale}
        for group, variance in enumerate(model.noise_variance):
            arrays[f"noise_variance{group}"] = variance
        if model.direction_prior is not None:
            arrays["direction_prior"] = model.direction_prior
        values: dict[str, Any] = {name: getattr(self, name) for name in _PLAIN}
        values |= {
            "offset_sigma_angstrom": model.offset_sigma_angstrom,
            "mean_norm": model.mean_norm,
            "description": dict(self.description),
            "moves": {name: getattr(self.moves, name) for name in Moves.__dataclass_fields__},
            "particles": fingerprint(table),
            "weights_sha256": None if weights is None else weights.sha256,
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
            If `table` is not the set of particles that it was of, or `weights` are not its network's.
        """
        values, arrays = state.values, state.arrays
        if values["particles"] != fingerprint(table):
            raise BlushError(
                f"{table.path} is not what it was when the run began: its images differ.",
                "Put the STAR file back as it was, or start a new run with it.",
            )
        check_weights(values, weights)
        model = HalfModel(
            arrays["references"],
            tuple(arrays[f"noise_variance{group}"] for group in range(len(table.optics))),
            arrays["group_scale"],
            values["offset_sigma_angstrom"],
            values["mean_norm"],
            arrays.get("direction_prior"),
        )
        return cls(
            model=model,
            classes=Classes(**{name: arrays[f"classes.{name}"] for name in _CLASSES}),
            poses=Poses(**{name: arrays[f"poses.{name}"] for name in _POSES}),
            moves=Moves(**values["moves"]),
            description=values["description"],
            **{name: values[name] for name in _PLAIN},
        )


_POSES = tuple(Poses.__dataclass_fields__)
_CLASSES = tuple(Classes.__dataclass_fields__)
_PLAIN = ("iteration", "perturbation", "seconds", "seconds_of_iteration")
