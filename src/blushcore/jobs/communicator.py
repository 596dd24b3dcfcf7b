"""Several processes that share the particles: torch.distributed, started by torchrun.

Each process has every ``size``-th particle of a half. Sums over particles are added up, what is found out about
each is put together, and what only one computes (maps, decisions) is handed to all, so that all stay in step.
Process 0 alone hears commands and records.
"""

from __future__ import annotations

import datetime
import os
from typing import Protocol, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor

from blushcore.devices.processes import started_by_torchrun
from blushcore.inference import ExpectationSums, ImageResults

T = TypeVar("T")

_PATIENCE = datetime.timedelta(days=30)
"""A pause may be long; a process that dies is noticed by torchrun, which ends the others."""


class Communicator(Protocol):
    """What a refinement asks of the processes it runs in.

    Attributes
    ----------
    rank, size
        Which process this is, from 0, and how many there are.
    """

    @property
    def rank(self) -> int:
        """Which process this is."""
        ...

    @property
    def size(self) -> int:
        """How many there are."""
        ...

    def share(self, value: T) -> T:
        """Return the value that process 0 gave."""
        ...

    def add_sums(self, sums: ExpectationSums) -> ExpectationSums:
        """Return the sums over all processes, the same in each; may change `sums`."""
        ...

    def gather(self, results: ImageResults, count: int) -> ImageResults:
        """Return the results of all `count` particles, in order, the same in each process."""
        ...

    def device_name(self, name: str) -> str:
        """Return the device of this process where the user named `name`."""
        ...


class SingleProcess:
    """One process has everything."""

    rank = 0
    size = 1

    def share(self, value: T) -> T:
        """Return `value`."""
        return value

    def add_sums(self, sums: ExpectationSums) -> ExpectationSums:
        """Return `sums`."""
        return sums

    def gather(self, results: ImageResults, count: int) -> ImageResults:  # noqa: ARG002 - the protocol's form
        """Return `results`."""
        return results

    def device_name(self, name: str) -> str:
        """Return `name`."""
        return name


class TorchProcesses:
    """The processes that torchrun started: gloo between processors, NCCL between CUDA devices."""

    def __init__(self) -> None:
        if not dist.is_initialized():
            backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() and dist.is_nccl_available() else "gloo"
            dist.init_process_group(backend, timeout=_PATIENCE)
        self.rank, self.size = dist.get_rank(), dist.get_world_size()

    def share(self, value: T) -> T:
        """Return the value that process 0 gave."""
        box = [value]
        dist.broadcast_object_list(box, src=0)
        return box[0]

    def add_sums(self, sums: ExpectationSums) -> ExpectationSums:
        """Return the sums over all processes, the same in each."""
        slices = [(torch.view_as_real(own.data), own.weight) for own in sums.of_classes]
        for values in (
            *(values for both in slices for values in both),
            *sums.noise_power,
            *sums.noise_weight,
            sums.scale_cross,
            sums.scale_power,
            sums.direction_weight,
            sums.class_weight,
        ):
            dist.all_reduce(values)
        both = torch.tensor([sums.offset_square, sums.weight], dtype=torch.float64)
        dist.all_reduce(both)
        sums.offset_square, sums.weight = both.tolist()
        return sums

    def gather(self, results: ImageResults, count: int) -> ImageResults:
        """Return the results of all `count` particles, in order, the same in each process."""
        whole = ImageResults.empty(count, results.classes)
        for name in ImageResults.__dataclass_fields__:
            values = cast("Tensor", getattr(whole, name))
            values[self.rank :: self.size] = getattr(results, name)
            dist.all_reduce(values)
        return whole

    def device_name(self, name: str) -> str:
        """Return the CUDA device of this process's own number where CUDA was asked for, or is there."""
        if name == "cuda" or (name == "auto" and torch.cuda.is_available()):
            return f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
        return name


def communicator() -> Communicator:
    """Return the processes that this one belongs to."""
    return TorchProcesses() if started_by_torchrun() else SingleProcess()
