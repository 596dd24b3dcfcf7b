"""The job: a stream of events about a refinement."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING

from blushcore.denoiser.finetuned import warning_for_particles
from blushcore.devices import describe_device
from blushcore.jobs.refine import reports
from blushcore.jobs.refine.communicator import communicator
from blushcore.jobs.refine.continuing import state_of
from blushcore.jobs.refine.explain import described, why_changed
from blushcore.jobs.refine.loop import Refinement
from blushcore.jobs.refine.model_updates import implausible_values
from blushcore.jobs.refine.parameters import RefineParameters
from blushcore.jobs.refine.preflight import Inputs, check_inputs, optics_groups, predicted_need
from blushcore.jobs.refine.star_files import project_folder
from blushcore.jobs.refine.state import RefineState
from blushcore.protocol import (
    Control,
    Event,
    Finished,
    IterationDone,
    Job,
    JobState,
    Message,
    Progress,
    Started,
)

if TYPE_CHECKING:
    from collections.abc import Generator

_GIB = 2**30
WITHOUT_TRAILING = (
    "Without spectral trailing, what the network makes up beyond the resolution goes into the next references, "
    "and the resolution may be told too good. The run is marked."
)


def refine(params: RefineParameters, control: Control, state: JobState | None = None) -> Iterator[Event]:
    """Refine particles against a reference, or go on refining.

    Everything random depends on the seed and the iteration, so a resumed refinement does what it would have
    done. Every iteration but the last carries the state to go on from; `Finished` carries the final files.

    Raises
    ------
    BlushError
        When `check_inputs` does, an image cannot be used, or nothing can be reconstructed.
    """
    processes = communicator()
    params, state = processes.share((params, state))
    inputs = check_inputs(params.replace(device=processes.device_name(params.device)))
    restored = None if state is None else RefineState.from_job_state(state, inputs.table, inputs.weights)
    yield Started(
        job=JOB.name,
        parameters=params.model_dump(mode="json"),
        device=str(inputs.device),
        resumed_from_iteration=None if restored is None else restored.iteration,
    )
    yield from _told_before(inputs, params)
    optics = optics_groups(inputs.table)
    refinement = Refinement(inputs, optics, processes)
    project = project_folder(inputs.table)
    if restored is None:
        if processes.rank == 0:
            yield from survey(inputs, control)
        if params.continue_from is not None:
            current = state_of(params.continue_from, inputs)
            yield Message(text=f"It begins after iteration {current.iteration} of {params.continue_from}.")
        else:
            current = yield from refinement.first_state(params, control)
        yield IterationDone(
            iteration=current.iteration,
            artefacts=reports.first_artefacts(current, refinement, params),
            state=current.to_job_state(inputs.table, inputs.weights),
        )
    else:
        current = restored

    while True:
        params = params.replace(**processes.share(control.take_changes()))
        done = yield from refinement.iterate(params, current, control)
        description = described(done.plan.sampling, float(done.state.poses.significant.mean()))
        after = dataclasses.replace(done.state, description=description)
        why = why_changed(
            current.description, description, current.seconds_of_iteration, after.seconds_of_iteration
        )
        figures = reports.figures_of(done, refinement, why)
        if done.plan.is_last:
            yield IterationDone(iteration=after.iteration, figures=figures)
            if not current.course.has_converged:
                yield Message(
                    text=f"The refinement has not converged: it was ended after {after.iteration} iterations, "
                    "as asked. More may give more.",
                    level="warning",
                )
            yield Finished(
                figures=reports.summary(after, figures),
                artefacts=reports.final_artefacts(done, refinement, params, project),
            )
            return
        yield IterationDone(
            iteration=after.iteration,
            figures=figures,
            artefacts=reports.iteration_artefacts(done, refinement, params, project),
            state=after.to_job_state(inputs.table, inputs.weights),
        )
        scales = tuple(half.group_scale for half in after.halves)
        for text in implausible_values(after.poses.norm, scales, inputs.table.group_names):
            yield Message(text=text, level="warning")
        current = after
        if processes.share(control.stop_after_iteration):
            yield Finished(outcome="stopped", figures=reports.summary(after, figures))
            return


def _told_before(inputs: Inputs, params: RefineParameters) -> Iterator[Event]:
    """Tell what the run will be like, and what is odd about its inputs."""
    table, box = inputs.table, inputs.box
    yield Message(
        text=f"{len(table)} particles of {box} pixels of {inputs.voxel_size:.4g} Å, in halves of "
        f"{int((table.half == 1).sum())} and {int((table.half == 2).sum())}; optics groups: "
        f"{len(table.optics)}; groups of one scale: {len(table.group_names)}; symmetry {inputs.symmetry.name}."
    )
    need = predicted_need(params, box, inputs.voxel_size, inputs.device, len(table), inputs.reader.kept_bytes)
    on_device = f", {need.device / _GIB:.1f} GiB on {inputs.device}" if need.device else ""
    images = "images are kept in memory" if need.images else "images are read again in each iteration"
    yield Message(
        text=f"The largest iteration takes about {need.host / _GIB:.1f} GiB of memory{on_device} ({images}). "
        f"It runs on {describe_device(inputs.device)}."
    )
    if inputs.weights is not None:
        name, sha256 = inputs.weights.name, inputs.weights.sha256
        yield Message(text=f"The prior is Blush with the weights {name} (sha256 {sha256[:12]}).")
        if text := warning_for_particles(inputs.weights):
            yield Message(text=text, level="warning")
    if not params.spectral_trailing:
        yield Message(text=WITHOUT_TRAILING, level="warning")
    for text in inputs.warnings:
        yield Message(text=text, level="warning")


def survey(inputs: Inputs, control: Control) -> Generator[Event, None, None]:
    """Look at every image once, so that one that cannot be used does not end the run later."""
    rows = range(len(inputs.table))
    step = max(256, len(rows) // 50)
    for first in range(0, len(rows), step):
        part = list(rows[first : first + step])
        faults = inputs.reader.survey(part)
        if len(faults.rows):
            raise faults.error(inputs.table)
        yield from control.obey()
        yield Progress(stage="looking at the images", done=first + len(part), total=len(rows), unit="images")


JOB = Job(
    name="refine",
    parameters=RefineParameters,
    run=refine,
    is_shared=True,
    live_changes=frozenset(
        {
            "max_iterations",
            "keep",
            "tau_fudge",
            "low_resolution_join",
            "local_from_order",
            "flatten_solvent",
            "adaptive_fraction",
            "norm_correction",
            "scale_correction",
        }
    ),
)
