"""Whether fine-tuning helps: the held-out blocks' losses, before and after, block by block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from blushcore.protocol import JobState
from blushcore.training.loss import Loss
from blushcore.training.samples import Example
from blushcore.training.trainer import Trainer

_ARRAYS = "best."


@dataclass
class Judge:
    """The best weights so far, by the loss of held-out blocks.

    Attributes
    ----------
    blocks
        The held-out blocks, each a batch of one.
    start
        Loss of each block with the start weights.
    best
        Loss of each block with the best weights.
    best_step
        Of the best weights; 0 for the start weights.
    stale
        Looks since then.
    """

    blocks: Sequence[Example]
    start: list[float] = field(default_factory=list)
    best: list[float] = field(default_factory=list)
    best_step: int = 0
    stale: int = 0
    _weights: dict[str, Tensor] = field(default_factory=dict)

    def begin(self, trainer: Trainer) -> dict[str, float]:
        """Look at the start weights; return the figures."""
        losses = self._losses(trainer)
        self.start = self.best = [float(loss.total) for loss in losses]
        return self._figures(losses)

    def look(self, trainer: Trainer) -> dict[str, float]:
        """Look at the averaged weights, and keep them if they are the best; return the figures."""
        losses = self._losses(trainer)
        totals = [float(loss.total) for loss in losses]
        if np.isfinite(totals).all() and np.mean(totals) < np.mean(self.best):
            self.best, self.best_step, self.stale = totals, trainer.step, 0
            self._weights = {name: value.detach().cpu().clone() for name, value in weights_of(trainer).items()}
        else:
            self.stale += 1
        return self._figures(losses)

    @property
    def gain(self) -> float:
        """By how much the loss of held-out blocks fell, mean over blocks."""
        return float(np.mean(self.start) - np.mean(self.best))

    @property
    def uncertainty(self) -> float:
        """Standard error of `gain`, from its spread over the blocks."""
        differences = np.subtract(self.start, self.best)
        return float(differences.std(ddof=1) / np.sqrt(len(differences))) if len(differences) > 1 else 0.0

    @property
    def helped(self) -> bool:
        """Whether the best weights are better than the start by more than chance moves the mean.

        Two standard errors: the blocks overlap, and the best of many looks was chosen by them.
        """
        return self.best_step > 0 and self.gain > 2 * self.uncertainty

    def weights(self) -> Mapping[str, Tensor]:
        """Return the best weights."""
        return self._weights

    # --- checkpoints ------------------------------------------------------------------------------------------

    def add_to(self, state: JobState, **values: Any) -> JobState:
        """Return a trainer's state with what is kept here, and further values."""
        own = {"start": self.start, "best": self.best, "best_step": self.best_step, "stale": self.stale}
        arrays = {f"{_ARRAYS}{name}": value.numpy() for name, value in self._weights.items()}
        return JobState(arrays={**state.arrays, **arrays}, values={**state.values, **own, **values})

    def restore(self, state: JobState) -> None:
        """Go on from what `add_to` returned."""
        self.start, self.best = ([float(loss) for loss in state.values[name]] for name in ("start", "best"))
        self.best_step, self.stale = int(state.values["best_step"]), int(state.values["stale"])
        self._weights = {
            name.removeprefix(_ARRAYS): torch.as_tensor(np.array(array))
            for name, array in state.arrays.items()
            if name.startswith(_ARRAYS)
        }

    # --- within -----------------------------------------------------------------------------------------------

    def _losses(self, trainer: Trainer) -> list[Loss]:
        return [trainer.validation_loss(block) for block in self.blocks]

    def _figures(self, losses: Sequence[Loss]) -> dict[str, float]:
        means = {name: float(np.mean([float(getattr(loss, name)) for loss in losses])) for name in Loss._fields}
        return {
            "held_out_loss": means["total"],
            "held_out_loss_at_start": float(np.mean(self.start)),
            "held_out_fsc": means["agreement"],
            "held_out_fsc_gain": means["agreement"] - means["agreement_before"],
            "best_step": self.best_step,
        }


def weights_of(trainer: Trainer) -> dict[str, Tensor]:
    """Return the averaged weights by name."""
    weights: dict[str, Tensor] = trainer.average.state_dict()
    return weights
