"""What a training hands out to be kept: the weights so far, and slices of what they make of a few blocks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from blushcore.jobs.train.example_files import PARTS, ExamplesFile
from blushcore.training.samples import Example
from blushcore.training.trainer import Trainer


@dataclass(frozen=True)
class WeightsFile:
    """The averaged weights as an artefact."""

    content: bytes
    name: str
    role: str = "weights"

    def write(self, path: Path) -> None:
        """Write the weights to `path`."""
        path.write_bytes(self.content)


def example_slices(trainer: Trainer, batch: Example, step: int) -> ExamplesFile:
    """Return the middle slices of a batch and of what the averaged weights make of it."""
    denoised = trainer.denoised(batch)
    volumes: tuple[Tensor, ...] = (
        batch[0],
        denoised.blocks,
        batch[2],
        batch[3],
        torch.sigmoid(denoised.mask_logits.float()),
    )
    slices = {
        name: volume[:, volume.shape[1] // 2].detach().cpu().to(torch.float16).numpy()
        for name, volume in zip(PARTS, volumes, strict=True)
    }
    return ExamplesFile(slices, f"examples_step{step:06d}.npz")
