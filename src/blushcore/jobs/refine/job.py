"""The job: a stream of events about a refinement."""

from __future__ import annotations

from collections.abc import Iterator

from blushcore.jobs.communicator import communicator
from blushcore.jobs.expectation_maximisation.explain import why_changed
from blushcore.jobs.expectation_maximisation.inputs import Inputs
from blushcore.jobs.expectation_maximisation.model_updates import implausible_values
from blushcore.jobs.expectation_maximisation.star_files import project_folder
from blushcore.jobs.expectation_maximisation.telling import survey, told_before, warned
from blushcore.jobs.refine import reports
from blushcore.jobs.refine.continuing import state_of
from blushcore.jobs.refine.loop import Refinement
from blushcore.jobs.refine.parameters import RefineParameters
from blushcore.jobs.refine.preflight import check_inputs
from blushcore.jobs.refine.state import HALF_SETS, RefineState
from blushcore.protocol import Control, Event, Finished, IterationDone, Job, JobState, Message, Started

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
    halves = None if state is None else state.arrays.get(HALF_SETS)
    inputs = check_inputs(params.replace(device=processes.device_name(params.device)), halves)
    restored = None if state is None else RefineState.from_job_state(state, inputs.table, inputs.weights)
    yield Started(
        job=JOB.name,
        parameters=params.model_dump(mode="json"),
        device=str(inputs.device),
        resumed_from_iteration=None if restored is None else restored.iteration,
    )
    yield from _told_before(inputs, params)
    refinement = Refinement(inputs, processes)
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
        after = done.state
        why = why_changed(
            current.description, after.description, current.seconds_of_iteration, after.seconds_of_iteration
        )
        figures = reports.figures_of(done, refinement, why)
        if done.plan.is_last:
            yield IterationDone(iteration=after.iteration, figures=figures)
            if not current.course.has_converged:
                ended = f"it was ended after {after.iteration} iterations, as asked. More may give more."
                yield from warned([f"The refinement has not converged: {ended}"])
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
        yield from warned(implausible_values(after.poses.norm, scales, inputs.table.group_names))
        current = after
        if processes.share(control.stop_after_iteration):
            yield Finished(outcome="stopped", figures=reports.summary(after, figures))
            return


def _told_before(inputs: Inputs, params: RefineParameters) -> Iterator[Event]:
    """Tell what the run will be like, and what is odd about its inputs."""
    half = inputs.table.half
    halves = f", in halves of {int((half == 1).sum())} and {int((half == 2).sum())}"
    yield from told_before(inputs, halves, "The largest iteration takes")
    if not params.spectral_trailing:
        yield from warned([WITHOUT_TRAILING])
    yield from warned(inputs.warnings)


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
