"""A training in progress: what its events are made of."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import default_collate

from blushcore.denoiser.finetuned import RECORD, data_sets_of
from blushcore.denoiser.weights import WeightsInfo, find_weights, load_network, weights_bytes
from blushcore.devices import resolve_device, use_reduced_precision
from blushcore.jobs.communicator import Communicator
from blushcore.jobs.train.examples import WeightsFile, example_slices
from blushcore.jobs.train.parameters import TrainParameters
from blushcore.jobs.train.processes import gradient_averaging, mean_over, own_share
from blushcore.jobs.train.sources import makes_on_device, models_of, pair_source
from blushcore.jobs.train.steps import StepTime, fraction_done, seconds_left
from blushcore.protocol import Artefact, Control, Event, IterationDone, JobState, Progress
from blushcore.training.loss import Loss
from blushcore.training.samples import BLOCKS_PER_VOLUME, Example, TrainingBlocks
from blushcore.training.trainer import Schedule, Trainer, draw_recycles, new_network

_VALIDATION_SEED = 7
_VALIDATION_BATCH = 4


class Training:
    """A training in progress.

    Parameters
    ----------
    params
        What was asked for.
    processes
        Those that it runs in; each has its part of every batch.
    """

    def __init__(self, params: TrainParameters, processes: Communicator) -> None:
        self.params = params
        self._processes = processes
        self.share = own_share(params.batch_size, processes)
        device = resolve_device(params.device)
        self.trainer = Trainer(
            new_network(params.seed, params.dropout),
            device,
            reduced_precision=use_reduced_precision(device, params.precision),
            ema_decay=params.ema_decay,
            seed=params.seed,
            compiled=is_compiled(params, device),
            rank=processes.rank,
            average_gradients=gradient_averaging(processes),
        )
        self._finetuned_on: list[dict[str, Any]] = []
        self.steps_before = 0
        """Steps in earlier trainings, of the weights that it began with."""
        self.seconds = 0.0
        """Time that went into training, attempts before this one included."""
        self._step_time = StepTime()
        self._rate = 0.0
        self._validation: list[Example] = []
        self._recent: list[Tensor] = []
        self._pace = _Pace()

    # --- beginning --------------------------------------------------------------------------------------------

    def begin(self, state: JobState | None) -> None:
        """Begin with a state, with the initial weights, or with random ones."""
        if state is not None:
            self.trainer.restore(state)
            self.seconds = float(state.values["seconds"])
            self.steps_before = int(state.values.get("steps_before", 0))
            self._finetuned_on = list(state.values.get(RECORD, ()))
        elif self.params.initial_weights is not None:
            network, info = load_network(find_weights(self.params.initial_weights))
            self._begin_with(network.state_dict(), info)

    def _begin_with(self, weights: dict[str, Tensor], info: WeightsInfo) -> None:
        self._finetuned_on = data_sets_of(info.training)
        steps, before = (int(info.training.get(name, 0)) for name in ("steps", "steps_before"))
        if self.params.carry_on:
            self.trainer.start_from(weights, step=steps)
            self.seconds = float(info.training.get("seconds", 0.0))
            self.steps_before = before
        else:
            self.trainer.start_from(weights)
            self.steps_before = steps + before

    def blocks(self) -> tuple[TrainingBlocks, str]:
        """Return this process's examples, and in words what they are made of."""
        params, device = self.params, self.trainer.device
        on_device = device if makes_on_device(params, device) else None
        source, text = pair_source(params, "train", on_device)
        blocks = TrainingBlocks(
            source,
            params.seed,
            params.clean_steps * self.share,
            lane=self._processes.rank,
            lanes=self._processes.size,
            device=on_device,
        )
        return blocks, text

    def prepare_validation(self, control: Control) -> Iterator[Event]:
        """Make a fixed set of blocks of validation models with noise-free targets."""
        total = self.params.validation_blocks if self._processes.rank == 0 else 0
        if total == 0:
            return
        source, _ = pair_source(self.params, "validation")
        blocks = TrainingBlocks(source, _VALIDATION_SEED, first_noisy=2**62)
        examples = []
        for number in range(total):
            yield from control.obey()
            examples.append(blocks[number * BLOCKS_PER_VOLUME])
            yield Progress(stage="preparing validation", done=number + 1, total=total, unit="blocks")
        self._validation = [
            default_collate(examples[i : i + _VALIDATION_BATCH]) for i in range(0, total, _VALIDATION_BATCH)
        ]

    # --- steps ------------------------------------------------------------------------------------------------

    def step(self, batch: Example) -> None:
        """Do one step."""
        params, step = self.params, self.trainer.step
        recycles = draw_recycles(params.seed, step, params.recycles, params.recycle_probability)
        schedule = Schedule(params.learning_rate, params.last_learning_rate, params.warmup_steps)
        self._rate = schedule.rate(step, self._fraction_done(), self.trainer.first_step)
        loss = self.trainer.train_step(batch, self._rate, recycles)
        self._recent.append(torch.stack(list(loss)))  # no number is asked for before the report: no waiting

    def spend(self, seconds: float, waited: float) -> None:
        """Count the time that a step took, the wait for its batch included."""
        self.seconds += seconds
        self._pace.add(self.params.batch_size, seconds, waited)
        self._step_time.add(seconds)

    def agree(self, changes: dict[str, Any], stop: bool) -> bool:
        """Take parameters that were changed while it runs, and the time, as process 0 has them.

        Returns
        -------
        bool
            Whether it was asked to stop.
        """
        changes, self.seconds, stop = self._processes.share((changes, self.seconds, stop))
        if changes:
            self.params = self.params.replace(**changes)
        return stop

    def is_done(self) -> bool:
        """Whether no steps or no time are left."""
        return self._fraction_done() >= 1

    def _fraction_done(self) -> float:
        params = self.params
        return fraction_done(self.trainer.step, params.steps, self.seconds, params.time_budget)

    # --- what is told -----------------------------------------------------------------------------------------

    def progress(self) -> Progress:
        """Return how far it is."""
        step, params = self.trainer.step, self.params
        left = seconds_left(step, params.steps, self._step_time.mean, self.seconds, params.time_budget)
        return Progress(stage="training", done=step, total=params.steps, unit="steps", eta_seconds=left)

    def report(self, *, alone: bool = False) -> dict[str, Any]:
        """Return the figures since the last report, with the validation loss of the averaged weights.

        Parameters
        ----------
        alone
            The other processes do not report now, and there is no time: leave out what takes either.
        """
        # The loss of a skipped step is no number.
        losses = [values for values in (loss.tolist() for loss in self._recent) if np.isfinite(values).all()]
        self._recent = []
        means = np.mean(losses, axis=0).tolist() if losses else [math.nan] * len(Loss._fields)
        if not alone:
            means = mean_over(self._processes, means)
        figures: dict[str, Any] = named_losses(means, "") if np.isfinite(means).all() else {}
        if self._validation and not alone:
            began = time.monotonic()
            scores = [self.trainer.validation_loss(batch) for batch in self._validation]
            self.seconds += time.monotonic() - began
            sizes = [len(batch[0]) for batch in self._validation]
            values = [[float(part) for part in score] for score in scores]
            figures |= named_losses(np.average(values, axis=0, weights=sizes).tolist(), "validation_")
        return {
            **figures,
            "learning_rate": self._rate,
            "targets": "signal" if self.trainer.step <= self.params.clean_steps else "other half",
            "skipped_steps": self.trainer.skipped,
            **self._pace.take(),
            "seconds": round(self.seconds, 1),
        }

    def iteration_done(self, figures: dict[str, Any], *, keep: bool, examples: bool = True) -> IterationDone:
        """Return the event of a report; with `keep` it carries the state and the weights so far."""
        if self._processes.rank > 0:  # process 0 keeps what there is to keep
            return IterationDone(iteration=self.trainer.step, figures=figures)
        artefacts: list[Artefact] = []
        if examples and self._validation and (count := self.params.example_blocks):
            shown = default_collate(_first(self._validation, count))
            artefacts.append(example_slices(self.trainer, shown, self.trainer.step))
        if not keep:
            return IterationDone(iteration=self.trainer.step, figures=figures, artefacts=tuple(artefacts))
        state = self.trainer.state()
        return IterationDone(
            iteration=self.trainer.step,
            figures=figures,
            artefacts=(self.weights(figures), *artefacts),
            state=JobState(
                arrays=state.arrays,
                values={
                    **state.values,
                    "seconds": self.seconds,
                    "steps_before": self.steps_before,
                    RECORD: self._finetuned_on,
                },
            ),
        )

    def weights(self, figures: dict[str, Any]) -> WeightsFile:
        """Return the averaged weights with the record of how they came about."""
        params = self.params
        record = {
            "parameters": params.model_dump(mode="json", exclude={"models", "pairs", "initial_weights"}),
            "steps": self.trainer.step,
            "steps_before": self.steps_before,
            "seconds": round(self.seconds),
            "models": len(models_of(params, "train")) if params.models else 0,
            "processes": self._processes.size,
            "started_from": Path(params.initial_weights).name if params.initial_weights else None,
            "final_figures": figures,
        }
        if self._finetuned_on:  # what knew a data set goes on knowing it
            record[RECORD] = self._finetuned_on
        tensors = self.trainer.average.state_dict()
        content = weights_bytes(tensors, name=params.name, version="1", training=record)
        return WeightsFile(content, f"{params.name}.safetensors")


class _Pace:
    """Time and blocks since the last report."""

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self._blocks, self._seconds, self._waited = 0, 0.0, 0.0

    def add(self, blocks: int, seconds: float, waited: float) -> None:
        self._blocks += blocks
        self._seconds += seconds
        self._waited += waited

    def take(self) -> dict[str, float]:
        """Return the figures, and begin anew; nothing where nothing was done."""
        if self._seconds == 0:
            return {}
        found = {
            "blocks_per_second": round(self._blocks / self._seconds, 3),
            "waiting_share": round(self._waited / self._seconds, 4),
        }
        self._forget()
        return found


def is_compiled(params: TrainParameters, device: torch.device) -> bool:
    """Whether the network's kernels are compiled: where asked for, or by themselves on CUDA devices."""
    return params.compile == "on" or (params.compile == "auto" and device.type == "cuda")


def named_losses(means: Sequence[float], prefix: str) -> dict[str, float]:
    """Return mean parts of a `Loss` by name: what is minimised, and what the FSC gains by the network."""
    mean = dict(zip(Loss._fields, means, strict=True))
    return {
        f"{prefix}density_loss": mean["density"],
        f"{prefix}mask_loss": mean["mask"],
        f"{prefix}fsc": mean["agreement"],
        f"{prefix}fsc_gain": mean["agreement"] - mean["agreement_before"],
    }


def _first(batches: Sequence[Example], count: int) -> list[Example]:
    """Return the first examples of some batches, one by one."""
    examples: list[Example] = []
    for batch in batches:
        blocks, stds, targets, masks, resolutions = (part.unbind() for part in batch)
        examples += zip(blocks, stds, targets, masks, resolutions, strict=True)
    return examples[:count]
