"""A network of a few hundred parameters with the denoiser's face: training's own logic does not need more."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from blushcore.denoiser.network import Denoised


class TinyNetwork(nn.Module):
    """Two convolutions with a dropout between them."""

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
