"""Train the denoiser on simulated half-maps of atomic models."""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt
from torch.utils.data import default_collate

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
    Stopped,
)
from blushcore.simulation import ModelEntry, read_model_table
from blushcore.training.batches import BatchStream
from blushcore.training.loss import Loss
from blushcore.training.pair_files import StoredPairs, of_split, read_pairs
from blushcore.training.samples import (
    BLOCKS_PER_VOLUME,
    Example,
    MixedPairs,
    PairSource,
    SimulatedPairs,
    TrainingBlocks,
)
from blushcore.training.trainer import Schedule, Trainer, draw_recycles, new_network

_VALIDATION_SEED = 7
_VALIDATION_BATCH = 4
_POLL_SECONDS = 0.2


class TrainParameters(Parameters):
    """Parameters of a training."""

    models: Path | None = Field(
        None, description="Table of atomic models (tab-separated: pdb, file, split, extent_A)"
    )
    pairs: Path | None = Field(
        None, description="Table (half1, half2, mask …) or folder of half-map pairs, real or simulated"
    )
    pairs_share: float = Field(
        0.5, ge=0, le=1, description="Share of the volumes that are stored pairs, where models are given too"
    )
    images_share: float = Field(
        0.0, ge=0, le=1, description="Share of the simulated half-maps that are reconstructed from images"
    )
    name: str = Field("my-weights", description="Name of the resulting weights", pattern=r"^[\w.-]+$")
    steps: PositiveInt = Field(100_000, description="Steps in all")
    time_budget: PositiveFloat | None = Field(
        None, description="End after this time even if steps are left (minutes; pauses do not count)"
    )
    batch_size: PositiveInt = Field(8, description="Blocks a step")
    learning_rate: PositiveFloat = Field(5e-4, description="Peak learning rate")
    last_learning_rate: PositiveFloat = Field(1e-5, description="Learning rate at the end")
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
    workers: NonNegativeInt = Field(1, description="Processes that simulate half-maps")
    validation_blocks: NonNegativeInt = Field(16, description="Blocks that the validation loss is taken over")
    report_every: PositiveInt = Field(100, description="Steps between reports")
    checkpoint_every: PositiveFloat = Field(5.0, description="Time between checkpoints (minutes)")


@dataclass(frozen=True)
class WeightsFile:
    """The averaged weights as an artefact."""

    content: bytes
    name: str
    role: str = "weights"

    def write(self, path: Path) -> None:
        """Write the weights to `path`."""
        path.write_bytes(self.content)


def check_inputs(params: TrainParameters) -> None:
    """Find out early whether the training can begin: before a run directory is made for it.

    Raises
    ------
    BlushError
        When there are no models, a model's file is missing, or there are no such weights or device.
    """
    resolve_device(params.device)
    _source(params, "train")
    if params.validation_blocks:
        _source(params, "validation")
    if params.initial_weights is not None:
        find_weights(params.initial_weights)


def train(params: TrainParameters, control: Control, state: JobState | None = None) -> Iterator[Event]:
    """Train, or go on training; see METHOD (Kimanius et al. 2024, Methods, "Training").

    Examples, recycles and dropout depend on the seed and their number alone, so a resumed training does what it
    would have done (up to the learning rate where a time budget sets it, and to the rounding of a parallel
    device). An `IterationDone` comes every `report_every` steps; those that carry the state to resume from
    carry the weights so far too. A training that is told to stop keeps its state first.

    Raises
    ------
    BlushError
        When `check_inputs` does, or the training diverges.
    """
    check_inputs(params)
    training = _Training(params)
    if state is not None:
        training.trainer.restore(state)
        training.seconds = float(state.values["seconds"])
        training.steps_before = int(state.values.get("steps_before", 0))
    elif params.initial_weights is not None:
        network, info = load_network(find_weights(params.initial_weights))
        training.trainer.start_from(network.state_dict())
        training.steps_before = int(info.training.get("steps", 0)) + int(info.training.get("steps_before", 0))
    trainer, first_step = training.trainer, training.trainer.step
    yield Started(
        job="train",
        parameters=params.model_dump(mode="json"),
        device=str(trainer.device),
        resumed_from_iteration=first_step if state is not None else None,
    )
    source, text = _source(params, "train")
    yield Message(
        text=f"Training on {text} from step {first_step} on, in "
        f"{'bfloat16' if trainer.reduced_precision else 'float32'} on {trainer.device}."
    )
    yield from training.prepare_validation(control)

    examples = TrainingBlocks(source, params.seed, params.clean_steps * params.batch_size)
    figures, kept_step, kept_time = None, first_step, time.monotonic()
    try:
        with BatchStream(examples, first_step * params.batch_size, params.batch_size, params.workers) as stream:
            while not training.is_done() and not control.stop_after_iteration:
                began = time.monotonic()
                while (batch := (yield from _take(stream, control))) is None:
                    stopped = time.monotonic()
                    yield from control.obey()
                    began += time.monotonic() - stopped  # pauses do not count
                training.step(batch)
                training.spend(time.monotonic() - began)
                yield training.progress()
                yield from control.obey()
                training.change(control.take_changes())

                ends = training.is_done() or control.stop_after_iteration
                if ends or trainer.step % training.params.report_every == 0:
                    figures = training.report()
                    keep = ends or time.monotonic() - kept_time > 60 * training.params.checkpoint_every
                    yield training.iteration_done(figures, keep=keep)
                    if keep:
                        kept_step, kept_time = trainer.step, time.monotonic()
    except Stopped:
        if trainer.step > kept_step:
            yield training.iteration_done(training.report(validate=False), keep=True)
        raise
    if control.stop_after_iteration and not training.is_done():
        yield Finished(outcome="stopped")
        return
    if trainer.step - params.clean_steps < trainer.step / 5:
        yield Message(
            text=f"Fewer than a fifth of the {trainer.step} steps were noise2noise. Go on with more steps, or "
            "with fewer clean ones, if the weights are to know what the noise of other halves taught.",
            level="warning",
        )
    figures = training.report() if figures is None else figures
    yield Finished(figures=figures, artefacts=(training.weights(figures),))


def _take(stream: BatchStream, control: Control) -> Generator[Event, None, Example | None]:
    """Return a batch if one is ready; where a worker was killed, see first whether we were told to stop too."""
    try:
        return stream.take(_POLL_SECONDS)
    except BlushError:
        time.sleep(_POLL_SECONDS)
        yield from control.obey()
        raise


class _Training:
    """A training in progress: what its events are made of."""

    def __init__(self, params: TrainParameters) -> None:
        self.params = params
        device = resolve_device(params.device)
        reduced = params.precision == "bfloat16" or (
            params.precision == "auto" and fast_reduced_precision(device) is torch.bfloat16
        )
        self.trainer = Trainer(
            new_network(params.seed, params.dropout),
            device,
            reduced_precision=reduced,
            ema_decay=params.ema_decay,
            seed=params.seed,
        )
        self.steps_before = 0
        """Steps in earlier trainings, of the weights that it began with."""
        self.seconds = 0.0
        """Time that went into training, attempts before this one included."""
        self._seconds_a_step = math.nan
        self._rate = 0.0
        self._validation: list[Example] = []
        self._recent: list[list[float]] = []

    def prepare_validation(self, control: Control) -> Iterator[Event]:
        """Make a fixed set of blocks of validation models with noise-free targets."""
        total = self.params.validation_blocks
        if total == 0:
            return
        source, _ = _source(self.params, "validation")
        blocks = TrainingBlocks(source, _VALIDATION_SEED, first_noisy=2**62)
        examples = []
        for number in range(total):
            yield from control.obey()
            examples.append(blocks[number * BLOCKS_PER_VOLUME])
            yield Progress(stage="preparing validation", done=number + 1, total=total, unit="blocks")
        self._validation = [
            default_collate(examples[i : i + _VALIDATION_BATCH]) for i in range(0, total, _VALIDATION_BATCH)
        ]

    def step(self, batch: Example) -> None:
        """Do one step."""
        params, step = self.params, self.trainer.step
        recycles = draw_recycles(params.seed, step, params.recycles, params.recycle_probability)
        schedule = Schedule(params.learning_rate, params.last_learning_rate, params.warmup_steps)
        self._rate = schedule.rate(step, self._fraction_done())
        loss = self.trainer.train_step(batch, self._rate, recycles)
        self._recent.append([float(part) for part in loss])

    def spend(self, seconds: float) -> None:
        """Count the time that a step took, the wait for its batch included."""
        self.seconds += seconds
        pace = self._seconds_a_step
        self._seconds_a_step = seconds if math.isnan(pace) else 0.98 * pace + 0.02 * seconds

    def change(self, changes: dict[str, Any]) -> None:
        """Take parameters that were changed while it runs."""
        if changes:
            self.params = self.params.replace(**changes)

    def is_done(self) -> bool:
        """Whether no steps or no time are left."""
        return self._fraction_done() >= 1

    def progress(self) -> Progress:
        """Return how far it is."""
        left = (self.params.steps - self.trainer.step) * self._seconds_a_step
        if self.params.time_budget is not None:
            left = min(left, 60 * self.params.time_budget - self.seconds)
        return Progress(
            stage="training",
            done=self.trainer.step,
            total=self.params.steps,
            unit="steps",
            eta_seconds=max(left, 0.0),
        )

    def report(self, *, validate: bool = True) -> dict[str, Any]:
        """Return the figures since the last report, with the validation loss of the averaged weights."""
        # The loss of a skipped step is no number.
        losses = [values for values in self._recent if np.isfinite(values).all()]
        self._recent = []
        figures: dict[str, Any] = _figures(losses, "") if losses else {}
        if validate and self._validation:
            began = time.monotonic()
            scores = [self.trainer.validation_loss(batch) for batch in self._validation]
            self.seconds += time.monotonic() - began
            sizes = [len(batch[0]) for batch in self._validation]
            figures |= _figures([[float(part) for part in score] for score in scores], "validation_", sizes)
        return {
            **figures,
            "learning_rate": self._rate,
            "targets": "signal" if self.trainer.step <= self.params.clean_steps else "other half",
            "skipped_steps": self.trainer.skipped,
            "seconds": round(self.seconds, 1),
        }

    def iteration_done(self, figures: dict[str, Any], *, keep: bool) -> IterationDone:
        """Return the event of a report; with `keep` it carries the state and the weights so far."""
        if not keep:
            return IterationDone(iteration=self.trainer.step, figures=figures)
        state = self.trainer.state()
        return IterationDone(
            iteration=self.trainer.step,
            figures=figures,
            artefacts=(self.weights(figures),),
            state=JobState(
                arrays=state.arrays,
                values={**state.values, "seconds": self.seconds, "steps_before": self.steps_before},
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
            "models": len(_models(params, "train")) if params.models else 0,
            "started_from": Path(params.initial_weights).name if params.initial_weights else None,
            "final_figures": figures,
        }
        tensors = self.trainer.average.state_dict()
        content = weights_bytes(tensors, name=params.name, version="1", training=record)
        return WeightsFile(content, f"{params.name}.safetensors")

    def _fraction_done(self) -> float:
        by_steps = self.trainer.step / self.params.steps
        if self.params.time_budget is None:
            return by_steps
        return max(by_steps, self.seconds / (60 * self.params.time_budget))


def _figures(
    losses: Sequence[Sequence[float]], prefix: str, sizes: Sequence[int] | None = None
) -> dict[str, float]:
    """Return means over batches: of what is minimised, and of what the FSC gains by the network."""
    means = np.average(np.array(losses, dtype=float), axis=0, weights=sizes).tolist()
    mean = dict(zip(Loss._fields, means, strict=True))
    return {
        f"{prefix}density_loss": mean["density"],
        f"{prefix}mask_loss": mean["mask"],
        f"{prefix}fsc": mean["agreement"],
        f"{prefix}fsc_gain": mean["agreement"] - mean["agreement_before"],
    }


def _source(params: TrainParameters, split: Literal["train", "validation"]) -> tuple[PairSource, str]:
    """Return where pairs of a split come from, and what that is called.

    Raises
    ------
    BlushError
        When there are none, or a file is missing.
    """
    if params.models is None and params.pairs is None:
        raise BlushError(
            "There is nothing to train on.", "Give a table of models (models) or half-map pairs (pairs)."
        )
    simulated = stored = None
    names = []
    if params.models is not None:
        models = _models(params, split)
        simulated = SimulatedPairs(models, params.images_share)
        names.append(f"{len(models)} models")
    if params.pairs is not None:
        entries = of_split(read_pairs(params.pairs), split)
        if entries:
            stored = StoredPairs(entries)
            names.append(f"{len(entries)} pairs of half-maps")
        elif simulated is None or split == "train":
            raise BlushError(f"{params.pairs} names no pair of half-maps for {split}.")
    text = " and ".join(names)
    if simulated is not None and stored is not None:
        return MixedPairs(simulated, stored, params.pairs_share), text
    source = stored if stored is not None else simulated
    assert source is not None
    return source, text


def _models(params: TrainParameters, split: Literal["train", "validation"]) -> list[ModelEntry]:
    """Return the models of a split that are not too large.

    Raises
    ------
    BlushError
        When there are none, or one's file is missing: training on fewer would pass unnoticed.
    """
    assert params.models is not None
    entries = read_model_table(params.models, split)
    fitting = [entry for entry in entries if entry.extent_angstrom <= params.largest_extent]
    if not fitting:
        raise BlushError(f"{params.models} lists no {split} model of up to {params.largest_extent:g} Å.")
    missing = [entry for entry in fitting if not entry.path.is_file()]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise BlushError(
            f"The model {missing[0].path}{more}, listed in {params.models}, is not there.",
            "Files are named relative to the table's folder; remove the rows of those you do not have.",
        )
    return fitting


JOB = Job(
    name="train",
    parameters=TrainParameters,
    run=train,
    live_changes=frozenset(
        {"steps", "time_budget", "learning_rate", "last_learning_rate", "report_every", "checkpoint_every"}
    ),
)
