"""A network and examples so small that a step costs nothing: training's own logic does not need more."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from blushcore.denoiser.network import Denoised
from blushcore.training.augmentation import PreparedVolume
from blushcore.training.samples import Example, TrainingBlocks, VolumeKey

EDGE = 12


class TinyNetwork(nn.Module):
    """Two convolutions with a dropout between them, a few hundred parameters, and the denoiser's face."""

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        self.first = nn.Conv3d(2, 4, 3, padding=1)
        self.second = nn.Conv3d(4, 2, 1)
        self.dropout = nn.Dropout3d(dropout)

    def forward(self, blocks: Tensor, local_std: Tensor) -> Denoised:
        hidden = self.dropout(torch.tanh(self.first(torch.stack([blocks, local_std], dim=1))))
        out = self.second(hidden).to(blocks.dtype)
        return Denoised(blocks - out[:, 0], out[:, 1])


def tiny_network(seed: int, dropout: float) -> TinyNetwork:
    """Stand in for `new_network`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return TinyNetwork(dropout)


class TinyBlocks(TrainingBlocks):
    """Stand in for `TrainingBlocks`: noise of the seed in place of half-maps."""

    def volume(self, key: VolumeKey) -> PreparedVolume:
        generator = torch.Generator().manual_seed(1000 * self.seed + self._among_all(key[0]))
        signal, *noise = (torch.randn((EDGE,) * 3, generator=generator) for _ in range(3))
        target = signal if key[1] else signal + noise[1]
        mask = (signal > 0).float()
        ones, resolution = torch.ones_like(signal), torch.tensor(6.0)
        return PreparedVolume(signal + noise[0], ones, target, mask, ones, resolution)

    def cut(self, index: int, volume: PreparedVolume) -> Example:
        shift = int(np.random.default_rng([self.seed, self._among_all(index)]).integers(EDGE))
        block, local_std, target, mask = (part.roll(shift, 0) for part in volume.parts()[:4])
        return block, local_std, target, mask, volume.resolution
