"""One training step at a time: network, optimiser, moving average, and all of it as a state to resume from."""

from __future__ import annotations

import contextlib
import copy
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from blushcore.denoiser.fused import FusedNetwork
from blushcore.denoiser.fused_gradients import TrainedNetwork
from blushcore.denoiser.network import BlushNetwork, Denoised
from blushcore.protocol import BlushError, JobState
from blushcore.training.loss import Loss, noise2noise_loss

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from blushcore.training.samples import Example

_LARGEST_GRADIENT = 1.0
_BETAS = (0.9, 0.99)
_TOO_MANY_SKIPPED = 10
_RECYCLE_STREAM, _DROPOUT_STREAM = 2, 3
"""Second word of the seeds, apart from those of the examples."""


def new_network(seed: int, dropout: float) -> BlushNetwork:
    """Return a network with random weights that depend on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return BlushNetwork(dropout)


def draw_recycles(seed: int, step: int, largest: int, probability: float) -> int:
    """Draw r, how often the network is first applied to its own output in a step.

    0 but for a share `probability` of the steps, and uniform from 1 to `largest` in those. It depends on
    (seed, step) alone, so that a resumed training draws what it would have drawn.
    """
    if largest == 0:
        return 0
    generator = np.random.default_rng([seed, _RECYCLE_STREAM, step])
    return int(generator.integers(1, largest + 1)) if generator.random() < probability else 0


@dataclass(frozen=True)
class Schedule:
    """Learning rate over a training: linear warm-up, then a cosine from `peak` to `last`.

    A resumed training has its optimiser's moments and does not warm up again; one that begins with given
    weights has none, and does.
    """

    peak: float
    last: float
    warmup_steps: int

    def rate(self, step: int, progress: float, first_step: int = 0) -> float:
        """Return the learning rate at a step; `progress` is the share (0..1) of the training that is done.

        The warm-up begins with `first_step`, where the optimiser did.
        """
        warm = min(1.0, (step - first_step + 1) / max(1, self.warmup_steps))
        return warm * (self.last + (self.peak - self.last) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress))))


class Trainer:
    """Trains a `BlushNetwork`, one step at a time.

    A step depends on the state before it, the batch and (seed, step): nothing random is left to the order of
    calls.

    Parameters
    ----------
    network
        What is trained; it moves to the device.
    device
        Where to compute.
    reduced_precision
        Autocast forward and backward to bfloat16; parameters and optimiser stay float32.
    ema_decay
        Of the exponential moving average of the weights, which is what is used and shipped.
    seed
        Of the dropout.
    compiled
        Let `torch.compile` make the network's kernels; the first steps then take a minute.
    rank
        Which process this is, where several share a step: each has a dropout of its own.
    average_gradients
        Replaces gradients by their means over all processes; by default there is only this one.
    """

    def __init__(
        self,
        network: BlushNetwork,
        device: torch.device,
        *,
        reduced_precision: bool,
        ema_decay: float,
        seed: int,
        compiled: bool = False,
        rank: int = 0,
        average_gradients: Callable[[Sequence[Tensor]], None] | None = None,
    ) -> None:
        self.device = device
        self.seed = seed
        self._rank = rank
        self._average_gradients = average_gradients
        self.reduced_precision = reduced_precision
        self.ema_decay = ema_decay
        self.step = 0
        self.first_step = 0
        """That the optimiser began with: it was carried on from weights where this is not 0."""
        self.skipped = 0
        """Steps whose gradient was no number and was not used."""
        self._skipped_in_a_row = 0
        self.network = network.to(device)
        self.network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.network).requires_grad_(False).eval()
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), betas=_BETAS, weight_decay=1e-4, fused=device.type in ("cpu", "cuda")
        )
        self._evaluated: FusedNetwork | None = None
        self._apply: Callable[..., Denoised] = self.network
        if compiled:
            self._apply = torch.compile(self.network)
        elif device.type == "cpu" and isinstance(network, BlushNetwork):  # faster than autograd
            self._apply = TrainedNetwork(self.network, torch.bfloat16 if reduced_precision else torch.float32)

    def start_from(self, weights: Mapping[str, Tensor], step: int = 0) -> None:
        """Begin with given weights and a fresh optimiser; `step` is the number of the first step."""
        self.network.load_state_dict(dict(weights))
        self.average.load_state_dict(dict(weights))
        self._evaluated = None
        self.step = self.first_step = step

    def train_step(self, batch: Example, rate: float, recycles: int) -> Loss:
        """Do one step on (blocks, local std, targets, masks), each ``(b, z, y, x)``.

        Parameters
        ----------
        batch
            See `blushcore.training.samples.Example`.
        rate
            Learning rate.
        recycles
            r: how often the network is first applied to its own output, without gradient
            (``R_r[f, y]``). The second channel stays that of the raw volume.

        Raises
        ------
        BlushError
            When ten gradients in a row were no numbers.
        """
        blocks, local_std, targets, masks, resolutions = (
            part.to(self.device, non_blocking=True) for part in batch
        )
        seen = blocks
        self.network.train()
        with self._own_randomness():
            with torch.no_grad(), self._autocast():
                for _ in range(recycles):
                    seen = self._apply(seen, local_std).blocks
            with self._autocast():
                denoised = self._apply(seen, local_std)
        loss = noise2noise_loss(denoised, blocks, targets, masks, resolutions)
        self.optimiser.zero_grad(set_to_none=True)
        loss.total.backward()  # type: ignore[no-untyped-call]
        if self._average_gradients is not None:
            self._average_gradients([p.grad for p in self.network.parameters() if p.grad is not None])
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
    def validation_loss(self, batch: Example) -> Loss:
        """Loss of the averaged weights."""
        blocks, _, targets, masks, resolutions = (part.to(self.device) for part in batch)
        return noise2noise_loss(self.denoised(batch), blocks, targets, masks, resolutions)

    @torch.no_grad()
    def denoised(self, batch: Example) -> Denoised:
        """Return what the averaged weights make of a batch."""
        with self._autocast():
            return self._averaged()(batch[0].to(self.device), batch[1].to(self.device))

    def _averaged(self) -> Callable[..., Denoised]:
        """Return the averaged network as it is evaluated: on the processor by kernels, until it changes."""
        if self.device.type != "cpu" or not isinstance(self.average, BlushNetwork):
            return self.average
        if self._evaluated is None:
            dtype = torch.bfloat16 if self.reduced_precision else torch.float32
            self._evaluated = FusedNetwork(self.average, dtype)
        return self._evaluated

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
        values = {"step": self.step, "first_step": self.first_step, "skipped": self.skipped}
        return JobState(arrays=arrays, values=values)

    def restore(self, state: JobState) -> None:
        """Go on from what `state` returned."""
        self.step = int(state.values["step"])
        self.first_step = int(state.values.get("first_step", 0))
        self.skipped = int(state.values.get("skipped", 0))
        parameters = dict(self.network.named_parameters())
        with torch.no_grad():
            for name, parameter in parameters.items():
                parameter.copy_(torch.as_tensor(state.arrays[f"network.{name}"]))
        self.average.load_state_dict(
            {name: torch.as_tensor(state.arrays[f"average.{name}"]) for name in self.average.state_dict()}
        )
        self._evaluated = None
        steps_taken = float(self.step - self.first_step - self.skipped)
        for name, parameter in parameters.items():
            if f"exp_avg.{name}" in state.arrays:
                self.optimiser.state[parameter] = {
                    # Where the fused optimiser wants it: with the parameter, also on a GPU.
                    "step": torch.tensor(steps_taken, device=parameter.device),
                    **{
                        # In the parameter's own memory format, as the optimiser makes them.
                        moment: torch.empty_like(parameter, requires_grad=False).copy_(
                            torch.as_tensor(state.arrays[f"{moment}.{name}"])
                        )
                        for moment in ("exp_avg", "exp_avg_sq")
                    },
                }

    def _skip(self) -> None:
        """Leave the weights alone: the gradient overflowed, which reduced precision does now and then."""
        self.skipped += 1
        self._skipped_in_a_row += 1
        if self._skipped_in_a_row >= _TOO_MANY_SKIPPED:
            raise BlushError(
                f"The training diverged: {self._skipped_in_a_row} gradients in a row, up to step {self.step}, "
                "are no numbers.",
                "Lower the learning rate or compute in float32, and resume from the last checkpoint.",
            )

    @contextlib.contextmanager
    def _own_randomness(self) -> Iterator[None]:
        """Let the dropout depend on (seed, step), and leave the rest of the process its own randomness."""
        own = [self._rank] if self._rank else []
        words = np.random.SeedSequence([self.seed, _DROPOUT_STREAM, self.step, *own])
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(int(words.generate_state(1, np.uint64)[0]))
            yield

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.reduced_precision)

    @torch.no_grad()
    def _update_average(self) -> None:
        decay = min(self.ema_decay, (1 + self.step) / (10 + self.step))
        averages: list[Tensor] = list(self.average.parameters())
        current: list[Tensor] = list(self.network.parameters())
        torch._foreach_lerp_(averages, current, 1 - decay)
        self._evaluated = None
