"""Stand-ins for the network: quick, and with results that can be written down."""

from __future__ import annotations

import torch
from torch import Tensor

from blushcore.denoiser import Denoised


class Scaling:
    """Multiplies blocks by a factor; says 'particle' everywhere with the given logit."""

    def __init__(self, factor: float = 1.0, batch_size: int = 4, logit: float = 0.0) -> None:
        self.device = torch.device("cpu")
        self.batch_size = batch_size
        self.factor, self.logit = factor, logit
        self.batches: list[int] = []

    def __call__(self, blocks: Tensor, local_std: Tensor) -> Denoised:  # noqa: ARG002 - linear in the blocks
        self.batches.append(len(blocks))
        return Denoised(self.factor * blocks, torch.full_like(blocks, self.logit))


class Mixing(Scaling):
    """Each voxel depends on its neighbours and on both channels, as in a network, and not linearly."""

    def __call__(self, blocks: Tensor, local_std: Tensor) -> Denoised:
        self.batches.append(len(blocks))
        blurred = torch.nn.functional.avg_pool3d(blocks[:, None], 3, 1, 1)[:, 0]
        return Denoised(torch.tanh(blurred) * local_std, blurred)


class Small(Scaling):
    """Has memory for a few blocks at a time only, and complains as told."""

    def __init__(self, fitting: int, error: BaseException, batch_size: int = 4) -> None:
        super().__init__(0.5, batch_size)
        self.fitting, self.error = fitting, error

    def __call__(self, blocks: Tensor, local_std: Tensor) -> Denoised:
        if len(blocks) > self.fitting:
            self.batches.append(-len(blocks))
            raise self.error
        return super().__call__(blocks, local_std)
