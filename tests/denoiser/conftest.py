"""A randomly initialised network, and maps to denoise."""

from __future__ import annotations

import pytest
import torch

from blushcore.denoiser import BlushNetwork, load_network


@pytest.fixture(scope="session")
def network(random_weights) -> BlushNetwork:
    return load_network(random_weights)[0]


@pytest.fixture(scope="session")
def blob() -> torch.Tensor:
    """A smoothed random blob with noise, 64³, of variance 1: what a block looks like."""
    generator = torch.Generator().manual_seed(3)
    noise = torch.randn((1, 1, 64, 64, 64), generator=generator)
    offset = torch.arange(64.0) - 32
    distance = (offset[:, None, None] ** 2 + offset[:, None] ** 2 + offset**2).sqrt()
    smooth = torch.nn.functional.avg_pool3d(noise, 7, 1, 3)[0, 0]
    blob = (smooth / smooth.std() + 1) * torch.sigmoid((20 - distance) / 2) + 0.3 * noise[0, 0]
    return (blob - blob.mean()) / blob.std()
