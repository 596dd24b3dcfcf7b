"""The refinement: project → compare → weigh → insert → reconstruct → prior → decide, until nothing gets better.

3D auto-refinement by expectation-maximisation (Scheres 2012, J Struct Biol 180:519) of two halves of the data
that never see each other (Scheres & Chen 2012, Nat Methods 9:853).
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch

from blushcore.inference import (
    Accuracy,
    ExpectationSums,
    ImageResults,
    estimate_accuracy,
    expectation,
)
from blushcore.jobs.refine.background import Background
from blushcore.jobs.refine.communicator import Communicator, SingleProcess
from blushcore.jobs.refine.comparing import compared
from blushcore.jobs.refine.expectation_inputs import FileOrder, image_model, particles_of
from blushcore.jobs.refine.first_noise import first_noise
from blushcore.jobs.refine.maximisation import Maps, maximise
from blushcore.jobs.refine.model_updates import updated_model
from blushcore.jobs.refine.parameters import RefineParameters
from blushcore.jobs.refine.planning import Plan, decided, first_search, sampling_of_state
from blushcore.jobs.refine.preflight import Inputs
from blushcore.jobs.refine.priors import prior_of
from blushcore.jobs.refine.schedule import (
    Changes,
    Course,
    Outcome,
    current_size,
    learn,
    shell_at,
    with_resolution_unchanged,
)
from blushcore.jobs.refine.state import HALVES, HalfModel, Poses, RefineState
from blushcore.optics import OpticsGroup
from blushcore.poses import SymmetryGroup, euler_to_matrix, mean_axis_distance_deg
from blushcore.protocol import Control, Event, Message, Progress
from blushcore.reconstruction import Prior

T = TypeVar("T")

FIRST_OFFSET_SIGMA_ANGSTROM = 10.0


@dataclass(frozen=True, eq=False)
class Iteration:
    """A finished iteration: what it was to do, what came of it, and how long its stages took.

    Attributes
    ----------
    plan
        What it was to do.
    state
        The refinement after it.
    maps
        What was reconstructed.
    log_likelihood
        Of each half.
    stages
        Seconds of each stage.
    spectral_trailing
        Whether denoised references were cut off.
    """

    plan: Plan
    state: RefineState
    maps: Maps
    log_likelihood: tuple[float, float]
    stages: dict[str, float]
    spectral_trailing: bool = True


class Refinement:
    """The parts of a refinement that stay the same from iteration to iteration, and what is done with them.

    Parameters
    ----------
    inputs
        Particles, images, reference.
    optics
        The optics groups of the table.
    communicator
        The processes that share the work.
    """

    def __init__(
        self, inputs: Inputs, optics: list[OpticsGroup], communicator: Communicator | None = None
    ) -> None:
        self.inputs, self.optics = inputs, optics
        self.communicator = communicator or SingleProcess()
        self.background = Background()
        self._prior: Prior | None = None
        table = inputs.table
        self.rows = tuple(np.flatnonzero(table.half == half) for half in HALVES)
        groups = len(table.group_names)
        self.group_sizes = tuple(np.bincount(table.group_index[rows], minlength=groups) for rows in self.rows)

    def first_state(self, params: RefineParameters, control: Control) -> Generator[Event, None, RefineState]:
        """Return the state before the first iteration: the reference, and the noise of the images."""
        inputs = self.inputs
        noise = yield from first_noise(
            inputs.table,
            inputs.reader,
            self.optics,
            diameter_angstrom=params.diameter,
            seed=params.seed,
            control=control,
        )
        model = HalfModel(
            inputs.reference, noise, np.ones(len(inputs.table.group_names)), FIRST_OFFSET_SIGMA_ANGSTROM
        )
        poses = Poses.of(inputs.table)
        models = [dataclasses.replace(model, mean_norm=float(poses.norm[rows].mean())) for rows in self.rows]
        course = Course(
            first_search(params, inputs.voxel_size),
            shell_at(params.initial_lowpass, inputs.box, inputs.voxel_size),
        )
        ssnr = np.zeros(inputs.box // 2 + 1)
        return RefineState(0, course, 0.0, (models[0], models[1]), poses, ssnr)

    def iterate(
        self, params: RefineParameters, before: RefineState, control: Control
    ) -> Generator[Event, None, Iteration]:
        """Do one iteration."""
        plan, state = yield from self._decide(params, before, control)
        stages = {"deciding": plan.seconds}

        began = time.monotonic()
        first = yield from self._expect(params, plan, state, 1, control)
        second = yield from self._expect(params, plan, state, 2, control)
        stages["comparing"] = time.monotonic() - began

        began = time.monotonic()
        yield Progress(stage=f"iteration {plan.iteration}: reconstructing", done=0, total=0)
        maps = yield from self._by_one(
            lambda: maximise(
                (first[0].slices, second[0].slices),
                self.inputs,
                params,
                state.course,
                self._loaded_prior(params),
                is_last=plan.is_last,
                low_pass_again=plan.sampling.first_iteration_cc,
            ),
            control,
        )
        stages["reconstructing"] = time.monotonic() - began
        if maps.denoising_seconds is not None:
            stages["denoising"] = maps.denoising_seconds
            stages["reconstructing"] -= maps.denoising_seconds
        for text in maps.warnings:
            yield Message(text=text, level="warning")
        after = self._learn(params, plan, before, state, [first, second], maps, stages)
        likelihoods = float(first[1].log_likelihood.sum()), float(second[1].log_likelihood.sum())
        return Iteration(plan, after, maps, likelihoods, stages, params.spectral_trailing)

    def _decide(
        self, params: RefineParameters, before: RefineState, control: Control
    ) -> Generator[Event, None, tuple[Plan, RefineState]]:
        """Decide how finely and how far to search, and up to which shell."""
        began = time.monotonic()
        inputs, iteration = self.inputs, before.iteration + 1
        is_last = before.course.has_converged or iteration >= params.max_iterations
        accuracy = None
        if iteration > 1:
            yield Progress(stage=f"iteration {iteration}: how finely poses can be told", done=0, total=0)
            accuracy = yield from self._by_one(lambda: self._accuracy(params, before), control)
        state = decided(params, before, accuracy, is_last=is_last)
        sampling = sampling_of_state(params, state, inputs, is_last=is_last, iteration=iteration)
        return Plan(iteration, is_last, sampling, accuracy, time.monotonic() - began), state

    def _expect(
        self, params: RefineParameters, plan: Plan, state: RefineState, half: int, control: Control
    ) -> Generator[Event, None, tuple[ExpectationSums, ImageResults]]:
        """Compare the images of a half with its reference in all poses, and sum up by the posterior."""
        inputs, model = self.inputs, state.halves[half - 1]
        rank, size = self.communicator.rank, self.communicator.size
        rows = self.rows[half - 1]
        mine = rows[rank::size]
        reference = torch.from_numpy(model.reference).to(inputs.device)
        stream = expectation(
            reference,
            inputs.voxel_size,
            particles_of(inputs.table, self.optics, state.poses, mine),
            FileOrder(inputs.reader),
            plan.sampling,
            image_model(model, params, plan.sampling.orientations.direction_count),
            padding=params.padding,
            seed=params.seed + plan.iteration,
        )
        before = sum(len(self.rows[h - 1]) for h in HALVES if h < half)
        return (
            yield from compared(
                stream,
                count=len(rows),
                before=before,
                total=len(inputs.table),
                iteration=plan.iteration,
                background=self.background,
                communicator=self.communicator,
                control=control,
            )
        )

    def _loaded_prior(self, params: RefineParameters) -> Prior:
        """Return the prior, made when it is first needed: a network is loaded once, where it computes."""
        self._prior = self._prior or prior_of(params, self.inputs)
        return self._prior

    def _by_one(self, compute: Callable[[], T], control: Control) -> Generator[Event, None, T]:
        """Return what process 0 computes."""

        def shared() -> T:
            return self.communicator.share(compute() if self.communicator.rank == 0 else None)  # type: ignore[return-value]

        return (yield from self.background.run(shared, control))

    def _learn(
        self,
        params: RefineParameters,
        plan: Plan,
        before: RefineState,
        state: RefineState,
        found: list[tuple[ExpectationSums, ImageResults]],
        maps: Maps,
        stages: dict[str, float],
    ) -> RefineState:
        """Return the state after an iteration: models, poses, and the course of things."""
        poses, models = state.poses, []
        references = maps.references or tuple(half.reference for half in state.halves)  # at last there are none
        for half, rows, sizes, (sums, results), reference in zip(
            state.halves, self.rows, self.group_sizes, found, references, strict=True
        ):
            poses = poses.with_results(
                self.inputs.table, rows, results, half.mean_norm if params.norm_correction else None
            )
            model = updated_model(
                half,
                sums,
                ssnr=before.ssnr,
                group_sizes=sizes,
                is_global=plan.sampling.local is None,
                only_poses=plan.sampling.first_iteration_cc,
                scale_correction=params.scale_correction,
            )
            mean_norm = float(poses.norm[rows].mean())
            models.append(dataclasses.replace(model, reference=reference, mean_norm=mean_norm))
        outcome = Outcome(
            maps.fsc,
            maps.ssnr,
            pose_changes(before.poses, poses, self.inputs.symmetry),
            float(poses.p_max.mean()),
        )
        inputs, size = self.inputs, plan.sampling.current_size
        course = learn(state.course, outcome, size, inputs.box, inputs.voxel_size)
        if plan.sampling.first_iteration_cc:
            course = with_resolution_unchanged(course, state.course)
        spent = sum(stages.values())
        return RefineState(
            iteration=plan.iteration,
            course=course,
            perturbation=state.perturbation,
            halves=(models[0], models[1]),
            poses=poses,
            ssnr=maps.ssnr,
            seconds=before.seconds + spent,
            seconds_of_iteration=spent,
        )

    def _accuracy(self, params: RefineParameters, state: RefineState) -> Accuracy:
        """Estimate how finely the poses of some particles of half 1 can be told."""
        inputs, model = self.inputs, state.halves[0]
        return estimate_accuracy(
            torch.from_numpy(model.reference).to(inputs.device),
            inputs.voxel_size,
            current_size(state.course, inputs.box),
            particles_of(inputs.table, self.optics, state.poses, self.rows[0]),
            image_model(model, params, 0),
            padding=params.padding,
            seed=params.seed + state.iteration,
        )


def pose_changes(before: Poses, after: Poses, symmetry: SymmetryGroup) -> Changes:
    """Return how far the poses moved: the axes' mean angle to the nearest mate, and √(Σd²/2N) of offsets."""
    rotations = [euler_to_matrix(torch.from_numpy(poses.angles_deg)) for poses in (after, before)]
    angle = float(mean_axis_distance_deg(rotations[0], rotations[1], symmetry).mean())
    squares = np.square(after.offsets_angstrom - before.offsets_angstrom).sum(1)
    return Changes(angle, float(np.sqrt(squares.mean() / 2)))
