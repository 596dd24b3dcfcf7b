"""The classification: compare with every class → weigh → insert → reconstruct → prior, again and again.

Maximum-likelihood 3D classification (Scheres et al. 2007, Nat Methods 4:27) with regularised maps (Scheres
2012, J Mol Biol 415:406): all particles in one set, one posterior over classes, orientations and offsets.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
import torch

from blushcore.inference import Accuracy, ExpectationSums, ImageResults
from blushcore.jobs.classify.at_random import drawn_classes, merged_results, merged_sums
from blushcore.jobs.classify.maximisation import ClassMaps, maximise
from blushcore.jobs.classify.parameters import ClassifyParameters
from blushcore.jobs.classify.plan import ClassifyPlan, image_size, moved_grid, sampling_for, search_of
from blushcore.jobs.classify.reseeding import drawn_map, shared_directions, shared_out
from blushcore.jobs.classify.state import Classes, ClassifyState, Moves
from blushcore.jobs.classify.telling import about_empty_classes, about_grey_values
from blushcore.jobs.communicator import Communicator
from blushcore.jobs.expectation_maximisation.expectation_inputs import image_model
from blushcore.jobs.expectation_maximisation.explain import described
from blushcore.jobs.expectation_maximisation.inputs import Inputs
from blushcore.jobs.expectation_maximisation.model import ParticleModel
from blushcore.jobs.expectation_maximisation.model_updates import updated_model
from blushcore.jobs.expectation_maximisation.poses import Poses, pose_changes
from blushcore.jobs.expectation_maximisation.search import shell_at, signal_shell
from blushcore.jobs.expectation_maximisation.telling import warned
from blushcore.jobs.expectation_maximisation.work import Found, Work
from blushcore.protocol import Control, Event, Progress

_LEAST_SHARE = 1e-6
"""Of the mean share: a class that nobody had is unlikely, not impossible."""


@dataclass(frozen=True, eq=False)
class ClassifyIteration:
    """A finished iteration: what it was to do, what came of it, and how long its stages took.

    Attributes
    ----------
    plan
        What it was to do.
    state
        The classification after it.
    maps
        What was reconstructed.
    log_likelihood
        Of all particles.
    stages
        Seconds of each stage.
    reseeded
        Indices of classes that got a new start.
    """

    plan: ClassifyPlan
    state: ClassifyState
    maps: ClassMaps
    log_likelihood: float
    stages: dict[str, float]
    reseeded: tuple[int, ...] = ()


class Classification:
    """The parts of a classification that stay the same from iteration to iteration, and what is done with them.

    Parameters
    ----------
    inputs
        Particles, images, references.
    communicator
        The processes that share the work.
    """

    def __init__(self, inputs: Inputs, communicator: Communicator | None = None) -> None:
        self.inputs, self.work = inputs, Work(inputs, communicator)
        self.rows = np.arange(len(inputs.table))

    def first_state(
        self, params: ClassifyParameters, control: Control
    ) -> Generator[Event, None, ClassifyState]:
        """Return the state before the first iteration: the references, and the noise of the images."""
        inputs, classes = self.inputs, params.class_count
        table, shells = inputs.table, inputs.box // 2 + 1
        noise = yield from self.work.first_noise(params, control)
        shell = shell_at(params.initial_lowpass, inputs.box, inputs.voxel_size)
        if not params.first_iteration_cc:
            yield from warned(about_grey_values(params, inputs, shell, noise))
        poses = Poses.of(table)
        model = ParticleModel(
            inputs.references,
            noise,
            np.ones(len(table.group_names)),
            mean_norm=float(poses.norm.mean()),
        )
        nobody = Classes(
            np.full(classes, 1 / classes),
            np.zeros(len(table), np.int64),
            np.zeros(len(table)),
            np.zeros((classes, shells)),
            np.full(classes, shell),
        )
        return ClassifyState(0, 0.0, model, nobody, poses)

    def iterate(
        self, params: ClassifyParameters, before: ClassifyState, control: Control
    ) -> Generator[Event, None, ClassifyIteration]:
        """Do one iteration."""
        plan, moved = yield from self._decide(params, before, control)
        stages = {"deciding": plan.seconds}

        began = time.monotonic()
        compare = self._expect_at_random if plan.at_random else self._expect
        sums, results = yield from compare(params, plan, before, control)
        stages["comparing"] = time.monotonic() - began
        maps = yield from self.work.reconstruct(
            lambda: maximise(
                sums,
                before.model.reference,
                self.inputs,
                params,
                self.work.prior(),
                is_last=plan.is_last,
                low_pass_again=plan.sampling.first_iteration_cc,
            ),
            stages,
            iteration=plan.iteration,
            control=control,
        )
        after = self._learn(params, plan, before, moved, sums, results, maps, stages)
        donor = None
        if maps.empty and params.reseed_empty and not plan.is_last:
            donor = int(after.classes.distribution.argmax())
            after = self._with_new_starts(params, after, maps, donor)
        yield from warned(about_empty_classes(maps.empty, donor, params.reseed_empty))
        reseeded = () if donor is None else maps.empty
        likelihood = float(results.log_likelihood.sum())
        return ClassifyIteration(plan, after, maps, likelihood, stages, reseeded)

    def _decide(
        self, params: ClassifyParameters, before: ClassifyState, control: Control
    ) -> Generator[Event, None, tuple[ClassifyPlan, float]]:
        """Decide up to which shell to compare; return the grid's perturbation too."""
        began = time.monotonic()
        inputs, iteration = self.inputs, before.iteration + 1
        accuracies: tuple[Accuracy | None, ...] = (None,) * params.class_count
        if iteration > 1 and params.alignment != "none":
            yield Progress(stage=f"iteration {iteration}: how finely poses can be told", done=0, total=0)
            accuracies = yield from self.work.by_one(lambda: self._accuracies(params, before), control)
        moved = moved_grid(params, before)
        plan = ClassifyPlan(
            iteration,
            iteration >= params.iterations,
            iteration == 1 and params.begins_at_random,
            search_of(params, inputs.voxel_size),
            sampling_for(params, inputs, before, moved),
            accuracies,
            time.monotonic() - began,
        )
        return plan, moved

    def _expect(
        self, params: ClassifyParameters, plan: ClassifyPlan, state: ClassifyState, control: Control
    ) -> Generator[Event, None, Found]:
        """Compare all images with every class."""
        directions = plan.sampling.orientations.direction_count
        model = image_model(state.model, params, directions * state.classes.count)
        shares = np.maximum(state.classes.distribution * state.classes.count, _LEAST_SHARE)
        model = dataclasses.replace(model, log_class=torch.from_numpy(np.log(shares)).float())
        return (
            yield from self.work.compare(
                params,
                plan.sampling,
                state.poses,
                state.model.reference,
                model,
                self.rows,
                iteration=plan.iteration,
                control=control,
            )
        )

    def _expect_at_random(
        self, params: ClassifyParameters, plan: ClassifyPlan, state: ClassifyState, control: Control
    ) -> Generator[Event, None, Found]:
        """Compare each image with one class alone, drawn by the seed."""
        drawn = drawn_classes(len(self.rows), state.classes.count, params.seed)
        model = image_model(state.model, params, 0)
        parts: list[Found] = []
        for index, reference in enumerate(state.model.reference):
            part = yield from self.work.compare(
                params,
                plan.sampling,
                state.poses,
                reference,
                model,
                np.flatnonzero(drawn == index),
                iteration=plan.iteration,
                before=int((drawn < index).sum()),
                control=control,
            )
            parts.append(part)
        return merged_sums([sums for sums, _ in parts]), merged_results(drawn, [part for _, part in parts])

    def _accuracies(self, params: ClassifyParameters, state: ClassifyState) -> tuple[Accuracy | None, ...]:
        """Estimate for each class how finely the poses of some of its particles can be told."""
        size = image_size(params, self.inputs, state)
        found: list[Accuracy | None] = []
        for index, reference in enumerate(state.model.reference):
            rows = np.flatnonzero(state.classes.index == index)
            told = None
            if len(rows):
                told = self.work.accuracy(
                    params, state.model, reference, size, state.poses, rows, iteration=state.iteration
                )
            found.append(told)
        return tuple(found)

    def _learn(
        self,
        params: ClassifyParameters,
        plan: ClassifyPlan,
        before: ClassifyState,
        moved: float,
        sums: ExpectationSums,
        results: ImageResults,
        maps: ClassMaps,
        stages: dict[str, float],
    ) -> ClassifyState:
        """Return the state after an iteration."""
        inputs, sampling = self.inputs, plan.sampling
        mean_norm = before.model.mean_norm if params.norm_correction else None
        poses = before.poses.with_results(inputs.table, self.rows, results, mean_norm)
        groups = inputs.table.group_index
        model = updated_model(
            before.model,
            sums,
            ssnr=before.classes.mean_ssnr,
            group_sizes=np.bincount(groups, minlength=len(inputs.table.group_names)),
            is_global=params.alignment == "global",
            only_poses=sampling.first_iteration_cc,
            scale_correction=params.scale_correction,
        )
        model = dataclasses.replace(
            model, reference=np.stack(maps.references), mean_norm=float(poses.norm.mean())
        )
        index = results.class_index.numpy()
        distribution = (sums.class_weight / sums.class_weight.sum()).numpy()
        shells = [signal_shell(each.ssnr, sampling.current_size) for each in maps.curves]
        if sampling.first_iteration_cc:  # low-passed again
            shells = list(before.classes.resolution_shells)
        classes = Classes(
            distribution,
            index,
            results.class_probability.numpy()[self.rows, index],
            np.stack([each.ssnr for each in maps.curves]),
            np.array([0 if c in maps.empty else shell for c, shell in enumerate(shells)]),
        )
        changes = pose_changes(before.poses, poses, inputs.symmetry)
        spent = sum(stages.values())
        return ClassifyState(
            iteration=plan.iteration,
            perturbation=moved,
            model=model,
            classes=classes,
            poses=poses,
            moves=Moves(
                1.0 if plan.iteration == 1 else float((index != before.classes.index).mean()),
                changes.angle_deg,
                changes.offset_angstrom,
            ),
            seconds=before.seconds + spent,
            seconds_of_iteration=spent,
            description=described(sampling, poses),
        )

    def _with_new_starts(
        self, params: ClassifyParameters, state: ClassifyState, maps: ClassMaps, donor: int
    ) -> ClassifyState:
        """Return the state with the donor's map, drawn anew, in the empty classes."""
        references, prior = state.model.reference.copy(), state.model.direction_prior
        for index in maps.empty:
            generator = np.random.default_rng((params.seed, state.iteration, index))
            references[index] = drawn_map(references[donor], maps.curves[donor], generator)
        if prior is not None:
            prior = shared_directions(prior, maps.empty, donor, state.classes.count)
        model = dataclasses.replace(state.model, reference=references, direction_prior=prior)
        distribution = shared_out(state.classes.distribution, maps.empty, donor)
        classes = dataclasses.replace(state.classes, distribution=distribution)
        return dataclasses.replace(state, model=model, classes=classes)
