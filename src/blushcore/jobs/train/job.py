"""Train the denoiser on half-maps of atomic models, or on half-maps from files."""

from __future__ import annotations

import time
from collections.abc import Iterator

from blushcore.jobs.communicator import communicator
from blushcore.jobs.train.parameters import TrainParameters
from blushcore.jobs.train.session import Training
from blushcore.jobs.train.sources import check_inputs, makes_on_device
from blushcore.jobs.train.steps import next_batch
from blushcore.protocol import (
    Control,
    Event,
    Finished,
    Job,
    JobState,
    Message,
    Started,
    Stopped,
)
from blushcore.training.batches import BatchStream

_LARGE_WAIT = 0.2
"""Share of the time waiting for batches from which on it is worth a warning."""


def train(params: TrainParameters, control: Control, state: JobState | None = None) -> Iterator[Event]:
    """Train, or go on training (Kimanius et al. 2024, Methods, "Training").

    Examples, recycles and dropout depend on the seed and their number alone, so a resumed training does what it
    would have done (up to the learning rate where a time budget sets it, and to the rounding of a parallel
    device). An `IterationDone` comes every `report_every` steps; those that carry the state to resume from
    carry the weights so far too. A training that is told to stop keeps its state first.

    Started by torchrun, each process takes its part of every batch, and gradients are averaged.

    Raises
    ------
    BlushError
        When `check_inputs` does, the batch cannot be shared by the processes, or the training diverges.
    """
    processes = communicator()
    params, state = processes.share((params, state))
    params = params.replace(device=processes.device_name(params.device))
    check_inputs(params)
    training = Training(params, processes)
    training.begin(state)
    trainer, first_step = training.trainer, training.trainer.step
    yield Started(
        job="train",
        parameters=params.model_dump(mode="json"),
        device=str(trainer.device),
        resumed_from_iteration=first_step if state is not None else None,
    )
    blocks, text = training.blocks()
    precision = "bfloat16" if trainer.reduced_precision else "float32"
    shared = f", {processes.size} processes" if processes.size > 1 else ""
    yield Message(
        text=f"Training on {text} from step {first_step} on, in {precision} on {trainer.device}{shared}."
    )
    if trainer.device.type == "cuda" and not makes_on_device(params, trainer.device):
        yield Message(
            text=f"Half-maps are made or read by {params.workers} workers: the device may wait for them.",
            level="warning",
        )
    yield from training.prepare_validation(control)

    figures, kept_step, kept_time = None, first_step, time.monotonic()
    done, stop = training.is_done(), False  # in all processes alike: asked once a step, when they have agreed
    first = first_step * training.share
    try:
        with BatchStream(blocks, first, training.share, params.workers) as stream:
            while not done and not stop:
                batch, waited = yield from next_batch(stream, control)
                began = time.monotonic()
                training.step(batch)
                training.spend(waited + time.monotonic() - began, waited)
                yield training.progress()
                yield from control.obey()
                stop = training.agree(control.take_changes(), control.stop_after_iteration)
                done = training.is_done()
                ends = done or stop
                if ends or trainer.step % training.params.report_every == 0:
                    figures = training.report()
                    keep = ends or time.monotonic() - kept_time > 60 * training.params.checkpoint_every
                    yield training.iteration_done(figures, keep=keep)
                    if keep:
                        kept_step, kept_time = trainer.step, time.monotonic()
    except Stopped:
        if trainer.step > kept_step:
            yield training.iteration_done(training.report(alone=True), keep=True, examples=False)
        raise
    if stop and not done:
        yield Finished(outcome="stopped")
        return
    yield from _told_at_the_end(training, figures)
    figures = training.report() if figures is None else figures
    yield Finished(figures=figures, artefacts=(training.weights(figures),))


def _told_at_the_end(training: Training, figures: dict[str, object] | None) -> Iterator[Event]:
    """Tell what is odd about a training that is done."""
    params, step = training.params, training.trainer.step
    if step - params.clean_steps < step / 5:
        yield Message(
            text=f"Fewer than a fifth of the {step} steps were noise2noise. Go on with more steps, or "
            "with fewer clean ones, if the weights are to know what the noise of other halves taught.",
            level="warning",
        )
    waiting = (figures or {}).get("waiting_share")
    if isinstance(waiting, float) and waiting > _LARGE_WAIT:
        yield Message(
            text=f"The network waited for half-maps in {100 * waiting:.0f} % of the time: use more workers.",
            level="warning",
        )


JOB = Job(
    name="train",
    parameters=TrainParameters,
    run=train,
    is_shared=True,
    live_changes=frozenset(
        {"steps", "time_budget", "learning_rate", "last_learning_rate", "report_every", "checkpoint_every"}
    ),
)
