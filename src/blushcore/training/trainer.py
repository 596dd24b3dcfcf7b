"""One training step at a time: network, optimiser, moving average, and all of it as a state to resume from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from blushcore.denoiser.network import BlushNetwork
from blushcore.protocol import BlushError, JobState
from blushcore.training.loss import Loss, noise2noise_loss

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

_LARGEST_GRADIENT = 1.0
_BETAS = (0.9, 0.99)
_TOO_MANY_SKIPPED = 10


@dataclass(frozen=True)
class Schedule:
    """Learning rate over a chunk of training: linear warm-up, then a cosine from `peak` to `last`.

    Every chunk warms up anew, since the optimiser's moments may be gone when training continues elsewhere.
    """

    peak: float
    last: float
    warmup_steps: int

    def rate(self, step: int, progress: float) -> float:
        """Return the learning rate at a step, `progress` being the fraction (0..1) of the chunk that is done."""
        warm = min(1.0, (step + 1) / max(1, self.warmup_steps))
        return warm * (self.last + (self.peak - self.last) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress))))


class Trainer:
    """Trains a `BlushNetwork`.

    Parameters
    ----------
    device
        Where to compute.
    reduced_precision
        Autocast forward and backward to bfloat16; parameters and optimiser stay float32.
    dropout
        See `BlushNetwork`.
    ema_decay
        Of the exponential moving average of the weights, which is what is used and shipped.
    """

    def __init__(
        self, device: torch.device, *, reduced_precision: bool, dropout: float, ema_decay: float, seed: int
    ) -> None:
        torch.manual_seed(seed)
        self.device = device
        self.reduced_precision = reduced_precision
        self.ema_decay = ema_decay
        self.step = 0
        self.skipped = 0
        """Steps whose gradient was no number and was not used."""
        self._skipped_in_a_row = 0
        self.network = BlushNetwork(dropout).to(device=device, memory_format=torch.channels_last_3d)
        self.average = BlushNetwork().to(device=device, memory_format=torch.channels_last_3d)
        self.average.load_state_dict(self.network.state_dict())
        self.average.requires_grad_(False).eval()
        self.optimiser = torch.optim.AdamW(self.network.parameters(), betas=_BETAS, weight_decay=1e-4)

    def start_from(self, weights: Mapping[str, Tensor]) -> None:
        """Begin with given weights and a fresh optimiser."""
        self.network.load_state_dict(dict(weights))
        self.average.load_state_dict(dict(weights))

    def train_step(self, batch: tuple[Tensor, Tensor, Tensor, Tensor], rate: float, recycles: int) -> Loss:
        """Do one step on (blocks, local std, targets, masks), each ``(b, z, y, x)``.

        Parameters
        ----------
        recycles
            r: how often the network is first applied to its own output, without gradient
            (``R_r[f, y]``). The second channel stays that of the raw volume.

        Raises
        ------
        BlushError
            When ten gradients in a row were no numbers.
        """
        blocks, local_std, targets, masks = (part.to(self.device, non_blocking=True) for part in batch)
        seen = blocks
        self.network.train()
        with self._autocast():
            with torch.no_grad():
                for _ in range(recycles):
                    seen = self.network(seen, local_std).blocks
            denoised = self.network(seen, local_std)
        loss = noise2noise_loss(denoised, blocks, targets, masks)
        self.optimiser.zero_grad(set_to_none=True)
        loss.total.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), _LARGEST_GRADIENT)
        if torch.isfinite(norm):
            for group in self.optimiser.param_groups:
                group["lr"] = rate
            self.optimiser.step()
            self._skipped_in_a_row = 0
        else:
            self._skip()
        self.step += 1
        self._update_average()
        return Loss(*(part.detach() for part in loss))

    @torch.no_grad()
    def validation_loss(self, batch: tuple[Tensor, Tensor, Tensor, Tensor]) -> Loss:
        """Loss of the averaged weights."""
        blocks, local_std, targets, masks = (part.to(self.device) for part in batch)
        with self._autocast():
            denoised = self.average(blocks, local_std)
        return noise2noise_loss(denoised, blocks, targets, masks)

    def state(self) -> JobState:
        """Return everything needed to go on: weights, moving average and the optimiser's moments."""
        arrays: dict[str, np.ndarray] = {}
        for name, parameter in self.network.named_parameters():
            arrays[f"network.{name}"] = parameter.detach().cpu().numpy()
            for moment in ("exp_avg", "exp_avg_sq"):
                if parameter in self.optimiser.state:
                    arrays[f"{moment}.{name}"] = self.optimiser.state[parameter][moment].cpu().numpy()
        for name, value in self.average.state_dict().items():
            arrays[f"average.{name}"] = value.cpu().numpy()
        return JobState(arrays=arrays, values={"step": self.step})

    def restore(self, state: JobState) -> None:
        """Go on from what `state` returned."""
        self.step = int(state.values["step"])
        parameters = dict(self.network.named_parameters())
        with torch.no_grad():
            for name, parameter in parameters.items():
                parameter.copy_(torch.as_tensor(state.arrays[f"network.{name}"]))
        self.average.load_state_dict(
            {name: torch.as_tensor(state.arrays[f"average.{name}"]) for name in self.average.state_dict()}
        )
        for name, parameter in parameters.items():
            if f"exp_avg.{name}" in state.arrays:
                self.optimiser.state[parameter] = {
                    "step": torch.tensor(float(self.step)),
                    **{
                        moment: torch.as_tensor(state.arrays[f"{moment}.{name}"])
                        .to(parameter)
                        .contiguous(memory_format=torch.preserve_format)
                        for moment in ("exp_avg", "exp_avg_sq")
                    },
                }

    def _skip(self) -> None:
        """Leave the weights alone: the gradient overflowed, which reduced precision does now and then."""
        self.skipped += 1
        self._skipped_in_a_row += 1
        if self._skipped_in_a_row >= _TOO_MANY_SKIPPED:
            raise BlushError(
                f"The training diverged: {self._skipped_in_a_row} gradients in a row, up to step {self.step}, are no "
                "numbers.",
                "Lower the learning rate or compute in float32, and resume from the last checkpoint.",
            )

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.reduced_precision)

    @torch.no_grad()
    def _update_average(self) -> None:
        decay = min(self.ema_decay, (1 + self.step) / (10 + self.step))
        averages, current = list(self.average.parameters()), list(self.network.parameters())
        torch._foreach_lerp_(averages, current, 1 - decay)
