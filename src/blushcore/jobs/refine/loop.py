"""The refinement: project → compare → weigh → insert → reconstruct → prior → decide, until nothing gets better.

3D auto-refinement by expectation-maximisation (Scheres 2012, J Struct Biol 180:519) of two halves of the data
that never see each other (Scheres & Chen 2012, Nat Methods 9:853).
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Generator
from dataclasses import dataclass

import numpy as np

from blushcore.inference import Accuracy
from blushcore.jobs.communicator import Communicator
from blushcore.jobs.expectation_maximisation.expectation_inputs import image_model
from blushcore.jobs.expectation_maximisation.explain import described
from blushcore.jobs.expectation_maximisation.grey_values import grey_value_warnings, power_ratio
from blushcore.jobs.expectation_maximisation.inputs import Inputs
from blushcore.jobs.expectation_maximisation.model import ParticleModel
from blushcore.jobs.expectation_maximisation.model_updates import updated_model
from blushcore.jobs.expectation_maximisation.poses import Poses, pose_changes
from blushcore.jobs.expectation_maximisation.search import shell_at
from blushcore.jobs.expectation_maximisation.telling import warned
from blushcore.jobs.expectation_maximisation.work import Found, Work
from blushcore.jobs.refine.maximisation import Maps, maximise
from blushcore.jobs.refine.parameters import RefineParameters
from blushcore.jobs.refine.planning import Plan, decided, first_search, sampling_of_state
from blushcore.jobs.refine.schedule import Course, Outcome, current_size, learn, with_resolution_unchanged
from blushcore.jobs.refine.state import HALVES, RefineState
from blushcore.protocol import Control, Event, Progress


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
    communicator
        The processes that share the work.
    """

    def __init__(self, inputs: Inputs, communicator: Communicator | None = None) -> None:
        self.inputs, self.work = inputs, Work(inputs, communicator)
        table = inputs.table
        self.rows = tuple(np.flatnonzero(table.half == half) for half in HALVES)
        groups = len(table.group_names)
        self.group_sizes = tuple(np.bincount(table.group_index[rows], minlength=groups) for rows in self.rows)

    def first_state(self, params: RefineParameters, control: Control) -> Generator[Event, None, RefineState]:
        """Return the state before the first iteration: the reference, and the noise of the images."""
        inputs = self.inputs
        noise = yield from self.work.first_noise(params, control)
        shell = shell_at(params.initial_lowpass, inputs.box, inputs.voxel_size)
        if not params.first_iteration_cc:
            ratio = power_ratio(inputs, shell, noise)
            yield from warned(grey_value_warnings(ratio, params.initial_lowpass))
        poses = Poses.of(inputs.table)
        first, second = (
            ParticleModel(
                inputs.references[0],
                noise,
                np.ones(len(inputs.table.group_names)),
                mean_norm=float(poses.norm[rows].mean()),
            )
            for rows in self.rows
        )
        course = Course(first_search(params, inputs.voxel_size), shell)
        return RefineState(0, course, 0.0, (first, second), poses, np.zeros(inputs.box // 2 + 1))

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
        maps = yield from self.work.reconstruct(
            lambda: maximise(
                (first[0].slices, second[0].slices),
                self.inputs,
                params,
                state.course,
                self.work.prior(spectral_trailing=params.spectral_trailing, safeguards=params.safeguards),
                is_last=plan.is_last,
                low_pass_again=plan.sampling.first_iteration_cc,
            ),
            stages,
            iteration=plan.iteration,
            control=control,
        )
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
            accuracy = yield from self.work.by_one(lambda: self._accuracy(params, before), control)
        state = decided(params, before, accuracy, is_last=is_last)
        sampling = sampling_of_state(params, state, inputs, is_last=is_last, iteration=iteration)
        return Plan(iteration, is_last, sampling, accuracy, time.monotonic() - began), state

    def _expect(
        self, params: RefineParameters, plan: Plan, state: RefineState, half: int, control: Control
    ) -> Generator[Event, None, Found]:
        """Compare the images of a half with its reference in all poses, and sum up by the posterior."""
        model = state.halves[half - 1]
        return (
            yield from self.work.compare(
                params,
                plan.sampling,
                state.poses,
                model.reference,
                image_model(model, params, plan.sampling.orientations.direction_count),
                self.rows[half - 1],
                iteration=plan.iteration,
                before=sum(len(rows) for rows in self.rows[: half - 1]),
                control=control,
            )
        )

    def _learn(
        self,
        params: RefineParameters,
        plan: Plan,
        before: RefineState,
        state: RefineState,
        found: list[Found],
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
            description=described(plan.sampling, poses),
        )

    def _accuracy(self, params: RefineParameters, state: RefineState) -> Accuracy:
        """Estimate how finely the poses of some particles of half 1 can be told."""
        model, size = state.halves[0], current_size(state.course, self.inputs.box)
        return self.work.accuracy(
            params, model, model.reference, size, state.poses, self.rows[0], iteration=state.iteration
        )
