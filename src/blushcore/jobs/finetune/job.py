"""Adapt weights to one data set: noise2noise on its two half-maps, judged by a part that is not trained on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch.utils.data import default_collate

from blushcore.denoiser.finetuned import RECORD, data_sets_of
from blushcore.denoiser.weights import WeightsInfo, find_weights, load_network, weights_bytes
from blushcore.devices import resolve_device, use_reduced_precision
from blushcore.jobs.finetune.judging import Judge
from blushcore.jobs.finetune.parameters import FinetuneParameters
from blushcore.jobs.finetune.preflight import Inputs, check_inputs
from blushcore.jobs.train.examples import WeightsFile, example_slices
from blushcore.jobs.train.session import named_losses
from blushcore.jobs.train.steps import StepTime, fraction_done, next_batch, seconds_left
from blushcore.protocol import (
    BlushError,
    Control,
    Event,
    Finished,
    IterationDone,
    Job,
    JobState,
    Message,
    Progress,
    Started,
    Stopped,
)
from blushcore.training.batches import BatchStream
from blushcore.training.held_out import OnePair, Parts, TrainedPart, held_out_blocks, split_in_parts
from blushcore.training.samples import Example
from blushcore.training.trainer import Schedule, Trainer, draw_recycles, new_network

_EXAMPLES = 4
NOT_INDEPENDENT = (
    "What comes out knows both halves of this data set. It may show this map better; it must not be used to "
    "refine these particles, nor does what its two denoised halves agree on prove anything."
)


def finetune(params: FinetuneParameters, control: Control, state: JobState | None = None) -> Iterator[Event]:
    """Fine-tune, or go on with it.

    Both halves are input and target in turn (noise2noise). A part of the particle, apart from the rest, is
    never trained on: by its blocks' loss the best weights are chosen, and whether they are better than those
    that it began with. If not, no weights are handed out, and that is said.

    Raises
    ------
    BlushError
        When `check_inputs` does, weights or half-maps are not those that it goes on with, or the training
        diverges.
    """
    inputs = check_inputs(params)
    network, info = load_network(find_weights(params.weights))
    device = resolve_device(params.device)
    session = _Session(params, inputs, info, device)
    session.trainer.start_from(network.state_dict())
    if state is not None:
        session.restore(state)
    yield Started(
        job=JOB.name,
        parameters=params.model_dump(mode="json"),
        device=str(device),
        resumed_from_iteration=None if state is None else session.trainer.step,
    )
    for text in inputs.warnings:
        yield Message(text=text, level="warning")
    pair = inputs.pair
    yield Message(
        text=f"Fine-tuning {info.name} (sha256 {info.sha256[:12]}) on half-maps of {pair.resolution:.1f} Å, "
        f"the particle {pair.diameter:.0f} Å across; {100 * params.held_out_share:.0f} % of it are held out."
    )
    yield Message(text=NOT_INDEPENDENT, level="warning")
    if state is None:
        figures = session.judge.begin(session.trainer)
        yield session.iteration_done(figures, keep=True)
    yield from session.train(control)
    if control.stop_after_iteration:
        yield Finished(outcome="stopped")
        return
    yield from session.verdict()


class _Session:
    """A fine-tuning in progress."""

    def __init__(
        self, params: FinetuneParameters, inputs: Inputs, info: WeightsInfo, device: torch.device
    ) -> None:
        self._params, self._inputs, self._info = params, inputs, info
        self.trainer = Trainer(
            new_network(params.seed, params.dropout),
            device,
            reduced_precision=use_reduced_precision(device, params.precision),
            ema_decay=params.ema_decay,
            seed=params.seed,
        )
        pair = inputs.pair
        self._parts: Parts = split_in_parts(pair.mask, params.held_out_share)
        held_out = held_out_blocks(pair, self._parts, params.held_out_blocks)
        self._shown: Example = default_collate(held_out[:_EXAMPLES])
        self.judge = Judge([default_collate([block]) for block in held_out])
        self._seconds = 0.0
        self._step_time = StepTime()
        self._recent: list[list[float]] = []

    def restore(self, state: JobState) -> None:
        """Go on from a checkpoint.

        Raises
        ------
        BlushError
            If weights or half-maps are not those that the run began with: its record would name others.
        """
        began_with = {**self._began_with(), **state.values}  # what an older checkpoint does not say is taken
        changed = [name for name, now in self._began_with().items() if began_with[name] != now]
        if changed:
            files = (
                [self._info.path] if "weights_sha256" in changed else [self._params.half1, self._params.half2]
            )
            raise BlushError(
                f"{' or '.join(map(str, files))} is not what it was when the run began.",
                "Put it back as it was, or start a new run.",
            )
        self.trainer.restore(state)
        self.judge.restore(state)
        self._seconds = float(state.values["seconds"])

    def is_done(self) -> bool:
        """Whether steps, time or patience have run out."""
        return self._progress() >= 1 or self.judge.stale >= self._params.patience

    def _progress(self) -> float:
        params = self._params
        return fraction_done(self.trainer.step, params.steps, self._seconds, params.time_budget)

    def train(self, control: Control) -> Iterator[Event]:
        """Do the steps, and look at the held-out blocks every so often."""
        params, trainer = self._params, self.trainer
        on_device = trainer.device if trainer.device.type == "cuda" else None
        blocks = TrainedPart(OnePair(self._inputs.pair), params.seed, 0, device=on_device, parts=self._parts)
        first, kept_time = trainer.step * params.batch_size, time.monotonic()
        kept_step = trainer.step
        try:
            with BatchStream(blocks, first, params.batch_size, params.workers) as stream:
                while not self.is_done() and not control.stop_after_iteration:
                    batch, waited = yield from next_batch(stream, control)
                    began = time.monotonic()
                    self._step(batch)
                    self._spend(waited + time.monotonic() - began)
                    yield self.progress()
                    yield from control.obey()
                    ends = self._progress() >= 1 or control.stop_after_iteration
                    if ends or trainer.step % params.evaluate_every == 0:
                        figures = self.judge.look(trainer)
                        old = time.monotonic() - kept_time > 60 * params.checkpoint_every
                        keep = old or self.is_done() or control.stop_after_iteration
                        yield self.iteration_done(figures, keep=keep)
                        if keep:
                            kept_step, kept_time = trainer.step, time.monotonic()
        except Stopped:
            if trainer.step > kept_step:
                yield IterationDone(iteration=trainer.step, state=self._state())
            raise

    def progress(self) -> Progress:
        """Return how far it is at most: it ends earlier when nothing gets better."""
        step, params = self.trainer.step, self._params
        left = seconds_left(step, params.steps, self._step_time.mean, self._seconds, params.time_budget)
        return Progress(stage="fine-tuning", done=step, total=params.steps, unit="steps", eta_seconds=left)

    def _spend(self, seconds: float) -> None:
        self._seconds += seconds
        self._step_time.add(seconds)

    def _step(self, batch: Example) -> None:
        params, step = self._params, self.trainer.step
        recycles = draw_recycles(params.seed, step, params.recycles, params.recycle_probability)
        schedule = Schedule(params.learning_rate, params.learning_rate / 20, params.warmup_steps)
        loss = self.trainer.train_step(batch, schedule.rate(step, self._progress()), recycles)
        self._recent.append([float(part) for part in loss])

    def _state(self) -> JobState:
        return self.judge.add_to(self.trainer.state(), seconds=self._seconds, **self._began_with())

    def _began_with(self) -> dict[str, Any]:
        """Return by which values a checkpoint knows the weights and the half-maps again."""
        return {"weights_sha256": self._info.sha256, "data_set": self._inputs.data_set}

    def iteration_done(self, figures: dict[str, Any], *, keep: bool) -> IterationDone:
        """Return the event of a look at the held-out blocks."""
        losses = [values for values in self._recent if np.isfinite(values).all()]
        self._recent = []
        trained = named_losses(np.mean(losses, axis=0).tolist(), "") if losses else {}
        return IterationDone(
            iteration=self.trainer.step,
            figures={**trained, **figures, "seconds": round(self._seconds, 1)},
            artefacts=(example_slices(self.trainer, self._shown, self.trainer.step),),
            state=self._state() if keep else None,
        )

    def verdict(self) -> Iterator[Event]:
        """Tell whether it helped, and hand out the weights if it did."""
        judge, params = self.judge, self._params
        figures = {
            "helped": judge.helped,
            "best_step": judge.best_step,
            "held_out_loss_at_start": float(np.mean(judge.start)),
            "held_out_loss": float(np.mean(judge.best if judge.helped else judge.start)),
            "held_out_gain": judge.gain,
            "held_out_gain_error": judge.uncertainty,
            "steps": self.trainer.step,
            "seconds": round(self._seconds, 1),
        }
        if not judge.helped:
            yield Message(
                text=f"Fine-tuning did not help: on the held-out part nothing was better than "
                f"{self._info.name} by more than chance would make it. Keep {self._info.name}; no other "
                "weights were written.",
                level="warning",
            )
            yield Finished(figures={**figures, "weights": self._info.name})
            return
        yield Message(
            text=f"On the held-out part the loss fell from {figures['held_out_loss_at_start']:.4f} to "
            f"{figures['held_out_loss']:.4f} (± {judge.uncertainty:.4f}) by step {judge.best_step}."
        )
        record = {
            RECORD: [*data_sets_of(self._info.training), self._inputs.data_set],
            "started_from": self._info.name,
            "started_from_sha256": self._info.sha256,
            "parameters": params.model_dump(mode="json", exclude={"half1", "half2", "mask", "weights"}),
            "steps": judge.best_step,
            "steps_before": sum(int(self._info.training.get(name, 0)) for name in ("steps", "steps_before")),
            "final_figures": figures,
            "note": NOT_INDEPENDENT,
        }
        content = weights_bytes(judge.weights(), name=params.name, version="1", training=record)
        file = WeightsFile(content, f"{params.name}.safetensors")
        yield Finished(figures={**figures, "weights": params.name}, artefacts=(file,))


JOB = Job(name="finetune", parameters=FinetuneParameters, run=finetune)
