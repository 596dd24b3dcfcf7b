"""What can be chosen about a training."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from blushcore.jobs.parameter_types import Device, Seed
from blushcore.protocol import Parameters


class TrainParameters(Parameters):
    """Parameters of a training."""

    models: Path | None = Field(
        None,
        description="Table of atomic models (tab-separated: pdb, file, split, extent_A), or a pack of them",
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
    few_particles_share: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Share of the simulated half-maps as of few particles: streaks, gaps between views",
    )
    compose: bool = Field(
        False,
        description="Let things happen to models first: partners, missing and moving parts, micelles",
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
    carry_on: bool = Field(
        False,
        description="Count the steps of the initial weights as done: schedule and examples go on after them, "
        "and the optimiser is warmed up again",
    )
    seed: Seed = 0
    device: Device = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = Field("auto", description="Of the convolutions")
    compile: Literal["auto", "on", "off"] = Field(
        "auto", description="Compile the network's kernels; auto does so on CUDA devices"
    )
    half_maps_on: Literal["auto", "workers", "device"] = Field(
        "auto", description="Where half-maps are made: auto takes a CUDA device itself, and workers elsewhere"
    )
    workers: NonNegativeInt = Field(1, description="Processes that simulate half-maps")
    validation_blocks: NonNegativeInt = Field(16, description="Blocks that the validation loss is taken over")
    example_blocks: NonNegativeInt = Field(
        4, description="Validation blocks of which slices are kept with every report"
    )
    report_every: PositiveInt = Field(100, description="Steps between reports")
    checkpoint_every: PositiveFloat = Field(5.0, description="Time between checkpoints (minutes)")
