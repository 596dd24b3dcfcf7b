"""Train the denoiser on simulated half-maps of atomic models."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor
from torch.utils.data import DataLoader, Subset, default_collate

from blushcore.denoiser.weights import find_weights, load_network, weights_bytes
from blushcore.devices import fast_reduced_precision, resolve_device
from blushcore.protocol import (
    BlushError,
    Control,
    Event,
    Finished,
    IterationDone,
    Job,
    JobState,
    Message,
    Parameters,
    Progress,
    Started,
)
from blushcore.simulation import read_model_table
from blushcore.training.samples import SimulatedBlocks
from blushcore.training.trainer import Schedule, Trainer

if TYPE_CHECKING:
    from blushcore.simulation import ModelEntry

_VALIDATION_BLOCKS = 16


class TrainParameters(Parameters):
    """Parameters of a (chunk of) training."""

    models: Path = Field(description="Table of atomic models (tab-separated: pdb, file, split, extent_A)")
    name: str = Field("my-weights", description="Name of the resulting weights", pattern=r"^[\w.-]+$")
    steps: PositiveInt = Field(100_000, description="Steps of this chunk")
    time_budget: PositiveFloat | None = Field(None, description="End the chunk after this time (minutes)")
    batch_size: PositiveInt = Field(8, description="Blocks a step")
    learning_rate: PositiveFloat = Field(5e-4, description="Peak learning rate")
    last_learning_rate: PositiveFloat = Field(1e-5, description="Learning rate at the end of the chunk")
    warmup_steps: NonNegativeInt = Field(200, description="Steps of linear warm-up")
    clean_steps: NonNegativeInt = Field(
        0, description="Steps of pre-training on noise-free targets before noise2noise begins"
    )
    recycles: NonNegativeInt = Field(
        5, description="Up to how often the network is applied to its own output first"
    )
    recycle_probability: float = Field(0.5, ge=0, le=1, description="Share of the steps with recycling")
    dropout: float = Field(0.5, ge=0, lt=1, description="Dropout of the deepest level")
    ema_decay: float = Field(0.999, ge=0, lt=1, description="Decay of the moving average of the weights")
    largest_extent: PositiveFloat = Field(190.0, description="Leave out larger models (Å)")
    initial_weights: str | None = Field(None, description="Weights to begin with: a name or a file")
    seed: NonNegativeInt = Field(0, description="Seed of everything random")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:1, mps")
    precision: Literal["auto", "float32", "bfloat16"] = Field("auto", description="Of the convolutions")
    workers: NonNegativeInt = Field(1, description="Processes that make examples")
    report_every: PositiveInt = Field(100, description="Steps between reports")
    checkpoint_every: PositiveFloat = Field(5.0, description="Time between checkpoints (minutes)")


@dataclass(frozen=True)
class _WeightsFile:
    """The averaged weights as an artefact."""

    content: bytes
    name: str
    role: str = "weights"

    def write(self, path: Path) -> None:
        path.write_bytes(self.content)


def train(params: TrainParameters, control: Control, state: JobState | None = None) -> Iterator[Event]:
    """Train, or go on training; see METHOD (Kimanius et al. 2024, Methods, "Training").

    Examples depend on the seed and their number alone, so a resumed training sees what it would have seen.
    An `IterationDone` comes every `report_every` steps; some of them carry the state to resume from.

    Raises
    ------
    BlushError
        When there are no models, or the loss is no number any more.
    """
    device = resolve_device(params.device)
    reduced = params.precision == "bfloat16" or (
        params.precision == "auto" and fast_reduced_precision(device) is torch.bfloat16
    )
    trainer = Trainer(
        device, reduced_precision=reduced, dropout=params.dropout, ema_decay=params.ema_decay, seed=params.seed
    )
    spent = 0.0
    if state is not None:
        trainer.restore(state)
        spent = float(state.values["seconds"])
    elif params.initial_weights is not None:
        trainer.start_from(load_network(find_weights(params.initial_weights))[0].state_dict())
    yield Started(
        job="train",
        parameters=params.model_dump(mode="json"),
        device=str(device),
        resumed_from_iteration=trainer.step if state is not None else None,
    )
    models = _models(params, "train")
    validation = _validation_batches(params)
    yield Message(
        text=f"Training on {len(models)} models from step {trainer.step} on, in "
        f"{'bfloat16' if reduced else 'float32'} on {device}."
    )

    yield from control.obey()
    schedule = Schedule(params.learning_rate, params.last_learning_rate, params.warmup_steps)
    recycling = np.random.default_rng([params.seed, 2, trainer.step])
    started, last_checkpoint = time.monotonic() - spent, time.monotonic()
    first_step, recent = trainer.step, _Average()
    for batch in _batches(params, models, first_step):
        yield from control.obey()
        elapsed = time.monotonic() - started
        fraction = _fraction_done(params, trainer.step, elapsed)
        recycles = 0
        if params.recycles and recycling.random() < params.recycle_probability:
            recycles = int(recycling.integers(1, params.recycles + 1))
        rate = schedule.rate(trainer.step, fraction)
        loss = trainer.train_step(batch, rate, recycles)
        recent.add(float(loss.density), float(loss.mask))

        elapsed = time.monotonic() - started
        done = _fraction_done(params, trainer.step, elapsed) >= 1 or control.stop_after_iteration
        if trainer.step % 10 == 0:
            pace = (time.monotonic() - started - spent) / (trainer.step - first_step)
            left = (params.steps - trainer.step) * pace
            if params.time_budget is not None:
                left = min(left, 60 * params.time_budget - elapsed)
            yield Progress(
                stage="training", done=trainer.step, total=params.steps, unit="steps", eta_seconds=left
            )
        if trainer.step % params.report_every == 0 or done:
            figures = {
                "density_loss": recent.means()[0],
                "mask_loss": recent.means()[1],
                **_validate(trainer, validation),
                "learning_rate": rate,
                "targets": "signal" if trainer.step <= params.clean_steps else "other half",
                "skipped_steps": trainer.skipped,
                "seconds": round(elapsed, 1),
            }
            recent = _Average()
            keep = done or time.monotonic() - last_checkpoint > 60 * params.checkpoint_every
            if keep:
                last_checkpoint = time.monotonic()
            yield IterationDone(
                iteration=trainer.step, figures=figures, state=_state(trainer, elapsed) if keep else None
            )
        if done:
            break

    record = {
        "parameters": params.model_dump(mode="json", exclude={"models", "initial_weights"}),
        "steps": trainer.step,
        "seconds": round(time.monotonic() - started),
        "models": len(models),
        "started_from": Path(params.initial_weights).name if params.initial_weights else None,
        "final_figures": figures,
    }
    weights = weights_bytes(trainer.average.state_dict(), name=params.name, version="1", training=record)
    yield Finished(figures=figures, artefacts=(_WeightsFile(weights, f"{params.name}.safetensors"),))


class _Average:
    """Running means of a few figures."""

    def __init__(self) -> None:
        self._sums: list[float] = []
        self._count = 0

    def add(self, *values: float) -> None:
        self._sums = [a + b for a, b in zip(self._sums or [0.0] * len(values), values, strict=True)]
        self._count += 1

    def means(self) -> list[float]:
        return [value / self._count for value in self._sums]


def _models(params: TrainParameters, split: Literal["train", "validation"]) -> list[ModelEntry]:
    entries = read_model_table(params.models, split)
    fitting = [
        entry for entry in entries if entry.extent_angstrom <= params.largest_extent and entry.path.is_file()
    ]
    if not fitting:
        raise BlushError(
            f"{params.models} lists no {split} model up to {params.largest_extent:g} Å whose file is there."
        )
    return fitting


def _batches(
    params: TrainParameters, models: list[ModelEntry], first_step: int
) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
    examples = SimulatedBlocks(models, params.seed, params.clean_steps * params.batch_size)
    indices = range(first_step * params.batch_size, params.steps * params.batch_size)
    loader = DataLoader(
        Subset(examples, indices),
        batch_size=params.batch_size,
        num_workers=params.workers,
        prefetch_factor=8 if params.workers else None,
        worker_init_fn=_one_thread,
        persistent_workers=params.workers > 0,
    )
    yield from loader


def _one_thread(_worker: int) -> None:
    torch.set_num_threads(1)


def _validation_batches(params: TrainParameters) -> list[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Return a fixed set of blocks of validation models with noise-free targets, four at a time."""
    models = _models(params, "validation")
    examples = SimulatedBlocks(models, 7, first_noisy=2**62)
    indices = [12 * i for i in range(_VALIDATION_BLOCKS)]
    return [default_collate([examples[j] for j in indices[i : i + 4]]) for i in range(0, len(indices), 4)]


def _validate(trainer: Trainer, batches: list[tuple[Tensor, Tensor, Tensor, Tensor]]) -> dict[str, float]:
    losses = [trainer.validation_loss(batch) for batch in batches]
    return {
        "validation_density_loss": float(np.mean([float(loss.density) for loss in losses])),
        "validation_mask_loss": float(np.mean([float(loss.mask) for loss in losses])),
    }


def _fraction_done(params: TrainParameters, step: int, elapsed: float) -> float:
    by_steps = step / params.steps
    return by_steps if params.time_budget is None else max(by_steps, elapsed / (60 * params.time_budget))


def _state(trainer: Trainer, elapsed: float) -> JobState:
    state = trainer.state()
    return JobState(arrays=state.arrays, values={**state.values, "seconds": elapsed})


JOB = Job(name="train", parameters=TrainParameters, run=train)
