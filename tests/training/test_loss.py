"""The loss is least for the right answer, and each block counts alike."""

from __future__ import annotations

import pytest
import torch

from blushcore.denoiser.network import Denoised
from blushcore.training.loss import noise2noise_loss

SHAPE = (4, 16, 16, 16)


def random(seed: int, shape=SHAPE) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def smooth(volume: torch.Tensor) -> torch.Tensor:
    return sum(volume.roll((i, j, k), (1, 2, 3)) for i in range(3) for j in range(3) for k in range(3)) / 5


SIGNAL = smooth(random(0))
MASKS = (SIGNAL > 0).double()
GRADIENT = (2 * torch.pi * 1.5 * 0.03) ** -2
CURVATURE = (2 * torch.pi * 1.5 * 0.05) ** -4
LOGITS = torch.zeros(SHAPE, dtype=torch.float64)


def density_loss(answer: torch.Tensor, blocks: torch.Tensor, targets: torch.Tensor) -> float:
    return float(noise2noise_loss(Denoised(answer, LOGITS), blocks, targets, MASKS).density)


def test_the_target_itself_has_no_loss():
    assert density_loss(SIGNAL, SIGNAL + random(1), SIGNAL) == 0


@pytest.mark.parametrize("noise", [0.3, 1.0])
def test_the_signal_is_the_best_answer_to_noisy_targets(noise):
    """Against many noisy targets nothing does better on average than what they share."""
    shape = (32, *SHAPE[1:])
    signal = smooth(random(0)[:1]).expand(shape)
    inputs, targets = signal + noise * random(2, shape), signal + noise * random(3, shape)
    nothing = torch.zeros(shape, dtype=torch.float64)

    def loss(answer):
        return float(noise2noise_loss(Denoised(answer, nothing), inputs, targets, nothing).density)

    best = loss(signal)
    for other in (0.9 * signal, 1.1 * signal, 0.2 * smooth(signal) + 0.8 * signal, inputs, signal + 0.05):
        assert loss(other) > best


def test_fine_errors_weigh_more_than_coarse_ones():
    coarse = torch.full(SHAPE, 0.1, dtype=torch.float64)
    fine = 0.1 * ((-1.0) ** torch.arange(16, dtype=torch.float64)).expand(SHAPE)
    blocks = SIGNAL + random(1)
    ratio = density_loss(SIGNAL + fine, blocks, SIGNAL) / density_loss(SIGNAL + coarse, blocks, SIGNAL)
    # One axis alternates: |∇d|² = 4 d² and |Δd|² = 16 d².
    assert ratio == pytest.approx(1 + 4 * GRADIENT + 16 * CURVATURE, rel=1e-6)


def test_each_block_counts_by_its_own_signal():
    blocks, targets, answer = SIGNAL + random(1), SIGNAL + random(2), SIGNAL + 0.1 * random(3)
    expected = density_loss(answer, blocks, targets)
    scale = torch.tensor([1.0, 10.0, 0.1, 3.0], dtype=torch.float64).view(4, 1, 1, 1)
    assert density_loss(scale * answer, scale * blocks, scale * targets) == pytest.approx(expected, rel=1e-9)


def test_a_block_without_signal_is_weighted_by_a_share_of_its_power():
    blocks, targets = random(5), random(6)
    nothing = torch.zeros(SHAPE, dtype=torch.float64)
    # Input and target have nothing in common: a fifth of the target's power counts as signal.
    assert density_loss(nothing, blocks, targets - targets.mean((1, 2, 3), keepdim=True)) == pytest.approx(
        5, rel=0.01
    )
    assert density_loss(nothing, nothing, nothing) == 0


def test_the_mask_channel_learns_the_mask():
    def loss(logits):
        return noise2noise_loss(Denoised(SIGNAL, logits), SIGNAL, SIGNAL, MASKS)

    right, unsure, wrong = (loss(factor * (2 * MASKS - 1)) for factor in (10, 0, -10))
    assert float(right.mask) < 0.01 < float(unsure.mask) < float(wrong.mask)
    assert float(unsure.total - unsure.density) == pytest.approx(0.05 * float(unsure.mask))
