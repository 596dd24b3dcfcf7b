"""The job: a stream of events about a classification."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from blushcore.denoiser.finetuned import warning_for_particles
from blushcore.devices import describe_device
from blushcore.jobs.classify import reports
from blushcore.jobs.classify.loop import Classification
from blushcore.jobs.classify.parameters import ClassifyParameters
from blushcore.jobs.classify.preflight import ClassifyInputs, check_inputs, predicted_need
from blushcore.jobs.classify.state import ClassifyState
from blushcore.jobs.refine.communicator import communicator
from blushcore.jobs.refine.explain import described, why_changed
from blushcore.jobs.refine.job import survey
from blushcore.jobs.refine.model_updates import implausible_values
from blushcore.jobs.refine.preflight import optics_groups
from blushcore.jobs.refine.star_files import project_folder
from blushcore.protocol import Control, Event, Finished, IterationDone, Job, JobState, Message, Started

_GIB = 2**30


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
    classification = Classification(inputs, optics_groups(inputs.table), processes)
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
        description = described(done.plan.sampling, float(done.state.poses.significant.mean()))
        after = dataclasses.replace(done.state, description=description)
        why = why_changed(
            current.description, description, current.seconds_of_iteration, after.seconds_of_iteration
        )
        yield IterationDone(
            iteration=after.iteration,
            figures={**reports.figures_of(done, classification, why), "alignment": params.alignment},
            artefacts=reports.iteration_artefacts(done, classification, params, project),
            state=after.to_job_state(inputs.table, inputs.weights),
        )
        scales = (after.model.group_scale,)
        for text in implausible_values(after.poses.norm, scales, inputs.table.group_names):
            yield Message(text=text, level="warning")
        current = after
        if processes.share(control.stop_after_iteration):
            yield Finished(outcome="stopped", figures=reports.summary(current, inputs, params))
            return
    yield Finished(
        figures=reports.summary(current, inputs, params),
        files=reports.last_files(current) if current.iteration else {},
    )


def _told_before(inputs: ClassifyInputs, params: ClassifyParameters) -> Iterator[Event]:
    """Tell what the run will be like, and what is odd about its inputs."""
    table, box = inputs.table, inputs.box
    begin = "from one map, told apart by chance" if params.begins_at_random else "from a map each"
    begin = "from one map" if params.class_count == 1 else begin
    yield Message(
        text=f"{len(table)} particles of {box} pixels of {inputs.voxel_size:.4g} Å into {params.class_count} "
        f"classes, {begin}; alignment {params.alignment}; optics groups: {len(table.optics)}; groups of one "
        f"scale: {len(table.group_names)}; symmetry {inputs.symmetry.name}."
    )
    need = predicted_need(params, box, inputs.voxel_size, inputs.device, len(table), inputs.reader.kept_bytes)
    on_device = f", {need.device / _GIB:.1f} GiB on {inputs.device}" if need.device else ""
    images = "images are kept in memory" if need.images else "images are read again in each iteration"
    yield Message(
        text=f"An iteration takes at most about {need.host / _GIB:.1f} GiB of memory{on_device} ({images}). "
        f"It runs on {describe_device(inputs.device)}."
    )
    if inputs.weights is not None:
        name, sha256 = inputs.weights.name, inputs.weights.sha256
        yield Message(text=f"The prior is Blush with the weights {name} (sha256 {sha256[:12]}).")
        if text := warning_for_particles(inputs.weights):
            yield Message(text=text, level="warning")
    for text in inputs.warnings:
        yield Message(text=text, level="warning")


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
