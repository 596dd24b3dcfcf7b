"""Stand-ins for the network that are good, useless, harmful or too large, each in a way one can write down."""

from __future__ import annotations

import torch
from torch import Tensor

from blushcore.denoiser import Denoised


class Identity:
    """Changes nothing."""

    def __init__(self) -> None:
        self.device = torch.device("cpu")
        self.batch_size = 4
        self.calls = 0

    def blocks(self, blocks: Tensor) -> Tensor:
        return blocks.clone()

    def __call__(self, blocks: Tensor, local_std: Tensor) -> Denoised:  # noqa: ARG002
        self.calls += 1
        return Denoised(self.blocks(blocks), torch.zeros_like(blocks))


class Constant(Identity):
    """Finds nothing at all."""

    def blocks(self, blocks: Tensor) -> Tensor:
        return torch.zeros_like(blocks)


class Inventing(Identity):
    """Adds the same fine detail to whatever it is given."""

    def __init__(self, strength: float = 1.0) -> None:
        super().__init__()
        noise = torch.randn((64, 64, 64), generator=torch.Generator().manual_seed(5))
        self.detail = strength * noise

    def blocks(self, blocks: Tensor) -> Tensor:
        return blocks + self.detail


class TooLarge(Identity):
    """Fits so many blocks into memory and no more."""

    def __init__(self, fitting: int) -> None:
        super().__init__()
        self.fitting = fitting

    def blocks(self, blocks: Tensor) -> Tensor:
        if len(blocks) > self.fitting:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return super().blocks(blocks)
