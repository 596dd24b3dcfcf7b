"""A training's steps shared by the processes that torchrun started: each has a part of every batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.distributed as dist
from torch import Tensor

from blushcore.jobs.communicator import Communicator
from blushcore.protocol import BlushError


def gradient_averaging(processes: Communicator) -> Callable[[Sequence[Tensor]], None] | None:
    """Return what replaces gradients by their means over the processes; None where there is only one."""
    if processes.size == 1:
        return None

    def average(gradients: Sequence[Tensor]) -> None:
        joint = torch.cat([gradient.reshape(-1) for gradient in gradients])  # one message, not a hundred
        dist.all_reduce(joint)
        joint /= processes.size
        parts = torch.split(joint, [gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view(gradient.shape))

    return average


def mean_over(processes: Communicator, values: Sequence[float]) -> list[float]:
    """Return the means of some numbers over the processes, in each of them."""
    if processes.size == 1:
        return list(values)
    joint = torch.tensor(values, dtype=torch.float64)
    dist.all_reduce(joint)
    means: list[float] = (joint / processes.size).tolist()
    return means


def own_share(batch_size: int, processes: Communicator) -> int:
    """Return how many blocks of a batch are this process's.

    Raises
    ------
    BlushError
        When the batch cannot be shared evenly: the mean of the parts would not be that of the whole.
    """
    if batch_size % processes.size:
        raise BlushError(
            f"A batch of {batch_size} cannot be shared evenly by {processes.size} processes.",
            f"Give a batch_size that is a multiple of {processes.size}.",
        )
    return batch_size // processes.size
