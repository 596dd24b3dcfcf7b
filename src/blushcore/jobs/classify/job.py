"""The job: a stream of events about a classification."""

from __future__ import annotations

from collections.abc import Iterator

from blushcore.jobs.classify import reports
from blushcore.jobs.classify.loop import Classification
from blushcore.jobs.classify.parameters import ClassifyParameters
from blushcore.jobs.classify.plan import search_of
from blushcore.jobs.classify.preflight import check_inputs
from blushcore.jobs.classify.state import ClassifyState
from blushcore.jobs.classify.telling import about_coarse_steps
from blushcore.jobs.communicator import communicator
from blushcore.jobs.expectation_maximisation.explain import why_changed
from blushcore.jobs.expectation_maximisation.inputs import Inputs
from blushcore.jobs.expectation_maximisation.model_updates import implausible_values
from blushcore.jobs.expectation_maximisation.star_files import project_folder
from blushcore.jobs.expectation_maximisation.telling import survey, told_before, warned
from blushcore.protocol import Control, Event, Finished, IterationDone, Job, JobState, Started


def classify(params: ClassifyParameters, control: Control, state: JobState | None = None) -> Iterator[Event]:
    """Classify particles, or go on classifying.

    Everything random depends on the seed and the iteration, so a resumed classification does what it would have
    done. Every iteration carries the state to go on from, and the last one's files are the result.

    Raises
    ------
    BlushError
        When `check_inputs` does, or an image cannot be used.
    """
    processes = communicator()
    params, state = processes.share((params, state))
    inputs = check_inputs(params.replace(device=processes.device_name(params.device)))
    restored = None if state is None else ClassifyState.from_job_state(state, inputs.table, inputs.weights)
    yield Started(
        job=JOB.name,
        parameters=params.model_dump(mode="json"),
        device=str(inputs.device),
        resumed_from_iteration=None if restored is None else restored.iteration,
    )
    yield from _told_before(inputs, params)
    classification = Classification(inputs, processes)
    project = project_folder(inputs.table)
    if restored is None:
        if processes.rank == 0:
            yield from survey(inputs, control)
        current = yield from classification.first_state(params, control)
        yield IterationDone(
            iteration=0,
            artefacts=reports.first_artefacts(current, inputs, params),
            state=current.to_job_state(inputs.table, inputs.weights),
        )
    else:
        current = restored

    while True:
        params = params.replace(**processes.share(control.take_changes()))
        if current.iteration >= params.iterations:
            break
        done = yield from classification.iterate(params, current, control)
        after = done.state
        why = why_changed(
            current.description, after.description, current.seconds_of_iteration, after.seconds_of_iteration
        )
        yield IterationDone(
            iteration=after.iteration,
            figures={**reports.figures_of(done, classification, why), "alignment": params.alignment},
            artefacts=reports.iteration_artefacts(done, classification, params, project),
            state=after.to_job_state(inputs.table, inputs.weights),
        )
        scales = (after.model.group_scale,)
        yield from warned(implausible_values(after.poses.norm, scales, inputs.table.group_names))
        current = after
        if processes.share(control.stop_after_iteration):
            yield Finished(outcome="stopped", figures=reports.summary(current, inputs, params))
            return
    yield Finished(
        figures=reports.summary(current, inputs, params),
        files=reports.last_files(current) if current.iteration else {},
    )


def _told_before(inputs: Inputs, params: ClassifyParameters) -> Iterator[Event]:
    """Tell what the run will be like, and what is odd about its inputs."""
    begin = "from one map, told apart by chance" if params.begins_at_random else "from a map each"
    begin = "from one map" if params.class_count == 1 else begin
    into = "1 class" if params.class_count == 1 else f"{params.class_count} classes"
    task = f" into {into}, {begin}; alignment {params.alignment}"
    yield from told_before(inputs, task, "An iteration takes at most")
    yield from warned(about_coarse_steps(params, search_of(params, inputs.voxel_size)))
    yield from warned(inputs.warnings)


JOB = Job(
    name="classify",
    parameters=ClassifyParameters,
    run=classify,
    is_shared=True,
    live_changes=frozenset(
        {
            "iterations",
            "keep",
            "tau_fudge",
            "highest_resolution",
            "reseed_empty",
            "flatten_solvent",
            "adaptive_fraction",
            "norm_correction",
            "scale_correction",
        }
    ),
)
