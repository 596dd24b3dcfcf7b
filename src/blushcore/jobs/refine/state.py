"""What a refinement carries from one iteration to the next, and how a checkpoint holds it.

A checkpoint gives back every number as it was, so a resumed refinement does what an uninterrupted one does.
"""

from __future__ import annotations

import dataclasses
import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blushcore.denoiser.weights import WeightsInfo
from blushcore.inference import ImageResults
from blushcore.jobs.refine.norms import updated_norms
from blushcore.jobs.refine.schedule import Changes, Course, Search
from blushcore.particles import ParticleTable
from blushcore.protocol import BlushError, JobState

HALVES = (1, 2)


@dataclass(frozen=True, eq=False)
class HalfModel:
    """What the images of one half are compared with, and how they are taken to come about.

    Attributes
    ----------
    reference
        Map ``[z, y, x]``, float32.
    noise_variance
        σ²(s) of each optics group: of the real and of the imaginary part, float64 ``(its box // 2 + 1,)`` each.
    group_scale
        Intensity of each scale group, float64, mean 1.
    offset_sigma_angstrom
        Standard deviation of the particles' offsets along x and y.
    mean_norm
        Mean of the norm corrections.
    direction_prior
        Share of the particles in each direction of the last grid, float64 ``(D,)``; None: all alike.
    """

    reference: NDArray[np.float32]
    noise_variance: tuple[NDArray[np.float64], ...]
    group_scale: NDArray[np.float64]
    offset_sigma_angstrom: float
    mean_norm: float = 1.0
    direction_prior: NDArray[np.float64] | None = None


@dataclass(frozen=True, eq=False)
class Poses:
    """What the last iteration found about each of the N particles, in the order of the table.

    Attributes
    ----------
    angles_deg
        rot, tilt, psi, float64 ``(N, 3)``.
    offsets_angstrom
        x, y, float64 ``(N, 2)``.
    norm
        Norm corrections, float64 ``(N,)``.
    p_max, log_likelihood
        Greatest posterior probability, and the image's share of the likelihood, float64 ``(N,)``.
    significant
        How many coarse poses counted, int64 ``(N,)``.
    """

    angles_deg: NDArray[np.float64]
    offsets_angstrom: NDArray[np.float64]
    norm: NDArray[np.float64]
    p_max: NDArray[np.float64]
    log_likelihood: NDArray[np.float64]
    significant: NDArray[np.int64]

    @classmethod
    def of(cls, table: ParticleTable) -> Poses:
        """Return what a table says before anything was found."""
        n = len(table)
        return cls(
            table.angles_deg,
            table.offsets_angstrom,
            table.norm_correction,
            np.zeros(n),
            np.zeros(n),
            np.zeros(n, np.int64),
        )

    def with_results(
        self,
        table: ParticleTable,
        rows: NDArray[np.int64],
        results: ImageResults,
        mean_norm: float | None,
    ) -> Poses:
        """Return the poses after an E-step over the particles in `rows` of the table.

        Parameters
        ----------
        mean_norm
            Mean of the norm corrections as it was; None leaves the corrections as they are.
        """
        pixel_size = table.pixel_size_angstrom[table.optics_index[rows]]
        new: dict[str, Any] = {
            "angles_deg": results.angles_deg.numpy(),
            "offsets_angstrom": results.offsets_px.numpy() * pixel_size[:, None],
            "p_max": results.p_max.numpy(),
            "log_likelihood": results.log_likelihood.numpy(),
            "significant": results.significant.numpy(),
        }
        if mean_norm is not None:
            new["norm"] = updated_norms(self.norm[rows], mean_norm, results.residual.numpy())
        changed = {}
        for name, values in new.items():
            whole = getattr(self, name).copy()
            whole[rows] = values
            changed[name] = whole
        return dataclasses.replace(self, **changed)


_POSES = tuple(Poses.__dataclass_fields__)


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
    halves: tuple[HalfModel, HalfModel]
    poses: Poses
    ssnr: NDArray[np.float64]
    seconds: float = 0.0
    seconds_of_iteration: float = 0.0
    description: Mapping[str, float] = field(default_factory=dict)

    def to_job_state(self, table: ParticleTable, weights: WeightsInfo | None = None) -> JobState:
        """Return what a checkpoint is to hold; `table` and network `weights` are what it may go on with."""
        arrays = {f"poses.{name}": np.asarray(getattr(self.poses, name)) for name in _POSES}
        arrays["ssnr"] = self.ssnr
        values: dict[str, Any] = {}
        for number, half in zip(HALVES, self.halves, strict=True):
            arrays[f"half{number}.reference"] = half.reference
            for group, variance in enumerate(half.noise_variance):
                arrays[f"half{number}.noise_variance{group}"] = variance
            arrays[f"half{number}.group_scale"] = half.group_scale
            if half.direction_prior is not None:
                arrays[f"half{number}.direction_prior"] = half.direction_prior
            values[f"half{number}"] = {
                "offset_sigma_angstrom": half.offset_sigma_angstrom,
                "mean_norm": half.mean_norm,
            }
        course = self.course
        values |= {
            "iteration": self.iteration,
            "perturbation": self.perturbation,
            "seconds": self.seconds,
            "seconds_of_iteration": self.seconds_of_iteration,
            "description": dict(self.description),
            "particles": fingerprint(table),
            "weights_sha256": None if weights is None else weights.sha256,
            "search": {name: getattr(course.search, name) for name in Search.__dataclass_fields__},
            "changes": _of_changes(course.changes),
            "smallest_changes": _of_changes(course.smallest_changes),
            "course": {name: getattr(course, name) for name in _PLAIN_COURSE},
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
            If `table` is not the set of particles that it was of, or `weights` are not its network's.
        """
        values, arrays = state.values, state.arrays
        if values["particles"] != fingerprint(table):
            raise BlushError(
                f"{table.path} is not what it was when the run began: its images or half-sets differ.",
                "Put the STAR file back as it was, or start a new run with it.",
            )
        check_weights(values, weights)
        halves = [
            HalfModel(
                arrays[f"half{number}.reference"],
                tuple(arrays[f"half{number}.noise_variance{group}"] for group in range(len(table.optics))),
                arrays[f"half{number}.group_scale"],
                direction_prior=arrays.get(f"half{number}.direction_prior"),
                **values[f"half{number}"],
            )
            for number in HALVES
        ]
        course = Course(
            search=Search(**values["search"]),
            changes=_as_changes(values["changes"]),
            smallest_changes=_as_changes(values["smallest_changes"]),
            **values["course"],
        )
        return cls(
            iteration=values["iteration"],
            course=course,
            perturbation=values["perturbation"],
            halves=(halves[0], halves[1]),
            poses=Poses(**{name: arrays[f"poses.{name}"] for name in _POSES}),
            ssnr=arrays["ssnr"],
            seconds=values["seconds"],
            seconds_of_iteration=values["seconds_of_iteration"],
            description=values["description"],
        )


_PLAIN_COURSE = tuple(
    name for name in Course.__dataclass_fields__ if name not in ("search", "changes", "smallest_changes")
)


def fingerprint(table: ParticleTable) -> dict[str, int]:
    """Return figures by which a set of particles with its half-sets is known again."""
    names = "\n".join(table.particles["rlnImageName"].astype(str)).encode()
    return {
        "count": len(table),
        "images": zlib.crc32(names),
        "halves": zlib.crc32(np.ascontiguousarray(table.half).tobytes()),
    }


def check_weights(values: Mapping[str, Any], weights: WeightsInfo | None) -> None:
    """Refuse other network weights than those that the `values` of a checkpoint name.

    Raises
    ------
    BlushError
        With both checksums.
    """
    before = values["weights_sha256"]
    if weights is not None and weights.sha256 != before:
        raise BlushError(
            f"{weights.path} is not what it was when the run began: its weights have the sha256 "
            f"{weights.sha256[:12]}, not {str(before)[:12]}.",
            "Put the weights back as they were, or start a new run with these.",
        )


def _of_changes(changes: Changes) -> list[float | None]:
    """JSON has no infinity."""
    values = (changes.angle_deg, changes.offset_angstrom)
    return [None if math.isinf(value) else value for value in values]


def _as_changes(values: list[float | None]) -> Changes:
    angle, offset = (math.inf if value is None else value for value in values)
    return Changes(angle, offset)
