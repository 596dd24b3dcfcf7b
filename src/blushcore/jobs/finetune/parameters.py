"""What can be chosen about a fine-tuning."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from blushcore.jobs.parameter_types import Device, Seed, absolute_weights
from blushcore.protocol import Parameters


class FinetuneParameters(Parameters):
    """Parameters of a fine-tuning."""

    positional: ClassVar[tuple[str, ...]] = ("half1", "half2")

    half1: Path = Field(description="First half-map: unfiltered, unmasked (.mrc, .map; also compressed)")
    half2: Path = Field(description="Second half-map of the same reconstruction")
    mask: Path | None = Field(
        None, description="Where the particle is, 0 to 1; by default around what is dense at 15 Å"
    )
    weights: str | None = Field(
        None, description="Weights to begin with: a name ('blush weights list') or a .safetensors file"
    )
    name: str = Field("finetuned", description="Name of the resulting weights", pattern=r"^[\w.-]+$")
    steps: PositiveInt = Field(1000, description="Steps at most; it ends earlier when nothing gets better")
    time_budget: PositiveFloat | None = Field(
        None, description="End after this time at the latest (minutes; pauses do not count)"
    )
    learning_rate: PositiveFloat = Field(3e-5, description="Peak learning rate")
    warmup_steps: NonNegativeInt = Field(20, description="Steps of linear warm-up")
    batch_size: PositiveInt = Field(2, description="Blocks a step")
    held_out_share: float = Field(
        0.25, gt=0, lt=0.6, description="Share of the particle that is judged by and never trained on"
    )
    held_out_blocks: PositiveInt = Field(16, description="Blocks that it is judged by")
    evaluate_every: PositiveInt = Field(25, description="Steps between two looks at the held-out blocks")
    patience: PositiveInt = Field(6, description="Looks without anything better after which it ends")
    recycles: NonNegativeInt = Field(
        1, description="Up to how often the network is applied to its own output first"
    )
    recycle_probability: float = Field(0.1, ge=0, le=1, description="Share of the steps with recycling")
    dropout: float = Field(0.1, ge=0, lt=1, description="Dropout of the deepest level")
    ema_decay: float = Field(0.99, ge=0, lt=1, description="Decay of the moving average of the weights")
    resolution: PositiveFloat | None = Field(
        None, description="Of the half-maps (Å); by default where their FSC in the mask falls below 1/7"
    )
    voxel_size: PositiveFloat | None = Field(None, description="Voxel size (Å) instead of what the headers say")
    seed: Seed = 0
    device: Device = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = Field("auto", description="Of the convolutions")
    workers: NonNegativeInt = Field(1, description="Processes that filter the half-maps; none on CUDA devices")
    checkpoint_every: PositiveFloat = Field(5.0, description="Time between checkpoints (minutes)")

    def with_absolute_paths(self) -> Self:
        """Return a copy that does not depend on the working directory; a file of weights counts too."""
        return super().with_absolute_paths().replace(weights=absolute_weights(self.weights))
