"""The loss: least for the right answer, shell by shell, whatever the scale."""

from __future__ import annotations

import pytest
import torch

from blushcore.denoiser.network import Denoised
from blushcore.training.loss import Loss, noise2noise_loss

N = 48
SHAPE = (4, N, N, N)
RESOLUTIONS = torch.full((4,), 6.0)
LOGITS = torch.zeros(SHAPE, dtype=torch.float64)


def random(seed: int, shape=SHAPE) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def band(volume: torch.Tensor, low: float, high: float) -> torch.Tensor:
    """What lies between two shells."""
    k = torch.fft.fftfreq(N, 1 / N)
    radius = torch.sqrt(k[:, None, None] ** 2 + k[:, None] ** 2 + k[: N // 2 + 1].abs() ** 2)
    spectrum = torch.fft.rfftn(volume, dim=(1, 2, 3))
    return torch.fft.irfftn(spectrum * ((radius >= low) & (radius < high)), s=(N, N, N), dim=(1, 2, 3))


MASKS = torch.ones(SHAPE, dtype=torch.float64)
COARSE, FINE = 10 * band(random(0), 0, 3), 0.1 * band(random(10), 5, 13)
SIGNAL = COARSE + FINE  # nearly all of the power is in the coarse shells, as in maps


def loss(answer, blocks, targets, masks=MASKS, resolutions=RESOLUTIONS) -> Loss:
    logits = torch.zeros_like(answer)
    return noise2noise_loss(Denoised(answer, logits), blocks, targets, masks, resolutions)


def test_the_target_itself_has_no_loss():
    found = loss(SIGNAL, SIGNAL + FINE.std() * random(1), SIGNAL)
    assert float(found.density) == 0
    assert float(found.agreement) == pytest.approx(1, abs=1e-4)
    assert float(found.agreement_before) < 0.99


def test_the_signal_is_the_best_answer_to_noisy_targets():
    """Against many noisy targets nothing does better on average than what they share."""
    shape = (8, N, N, N)
    signal = SIGNAL[:1].expand(shape)
    size = float(FINE.std())
    inputs, targets = signal + size * random(2, shape), signal + size * random(3, shape)
    masks, resolutions = torch.ones(shape, dtype=torch.float64), torch.full((8,), 6.0)

    def total(answer):
        return float(loss(answer, inputs, targets, masks, resolutions).total)

    best = total(signal)
    smoother = signal - 0.2 * FINE[:1]
    for other in (0.9 * signal, 1.1 * signal, smoother, inputs, signal + 0.3 * size * random(4, shape)):
        assert total(other) > best


def test_detail_that_is_lost_costs_much_although_it_has_little_power():
    blocks = SIGNAL + 0.1 * FINE.std() * random(1)
    without_fine = loss(COARSE, blocks, SIGNAL)
    assert float(FINE.square().mean() / SIGNAL.square().mean()) < 0.01
    assert float(without_fine.density) > 0.3
    assert float(without_fine.agreement) < 0.7


def test_damping_whole_shells_costs_error_but_no_agreement():
    blocks = SIGNAL + FINE.std() * random(1)
    kept = loss(blocks, blocks, SIGNAL)
    offset = blocks.mean((1, 2, 3), keepdim=True)
    damped = loss(0.3 * (blocks - offset) + offset, blocks, SIGNAL)
    assert float(damped.agreement) == pytest.approx(float(kept.agreement), abs=1e-5)
    assert float(kept.agreement) == pytest.approx(float(kept.agreement_before), abs=1e-9)
    assert float(damped.density) != pytest.approx(float(kept.density), rel=0.1)


def test_noise_beyond_the_resolution_cannot_outweigh_the_signal():
    noise = 20 * FINE.std() * band(random(5), 17, 99)
    left_in = loss(SIGNAL + noise, SIGNAL + noise, SIGNAL)
    assert float(left_in.density) < 0.8
    assert float(left_in.agreement) > 0.95
    # Whatever it is made of, an empty answer to pure noise costs nothing.
    nothing = torch.zeros_like(noise)
    assert float(loss(nothing, noise, nothing).density) < 1e-3


def test_each_block_counts_whatever_its_scale():
    blocks, targets, answer = (SIGNAL + size * random(seed) for size, seed in ((0.05, 1), (0.05, 2), (0.01, 3)))
    expected = loss(answer, blocks, targets)
    scale = torch.tensor([1.0, 10.0, 0.3, 3.0], dtype=torch.float64).view(4, 1, 1, 1)
    found = loss(scale * answer, scale * blocks, scale * targets)
    assert float(found.total) == pytest.approx(float(expected.total), rel=1e-3)


def test_blocks_without_a_particle_have_no_say_in_the_agreement():
    blocks = SIGNAL + FINE.std() * random(1)
    masks = MASKS.clone()
    masks[2:] = 0
    spoilt = blocks.clone()
    spoilt[2:] = random(7)[2:]
    one, other = (loss(b, b, SIGNAL, masks) for b in (blocks, spoilt))
    assert float(one.agreement) == pytest.approx(float(other.agreement), abs=1e-9)


def test_gradients_are_numbers_for_blocks_of_zeros():
    nothing = torch.zeros(SHAPE, requires_grad=True)
    zeros = torch.zeros(SHAPE)
    found = noise2noise_loss(Denoised(nothing, zeros), zeros, zeros, zeros, RESOLUTIONS)
    found.total.backward()
    assert bool(torch.isfinite(nothing.grad).all())


def test_the_mask_channel_learns_the_mask():
    masks = (SIGNAL > 0).double()

    def mask_loss(logits):
        return noise2noise_loss(Denoised(SIGNAL, logits), SIGNAL, SIGNAL, masks, RESOLUTIONS)

    sure, unsure = mask_loss(20 * (2 * masks - 1)), mask_loss(LOGITS)
    assert float(sure.mask) < 1e-6 < float(unsure.mask)
    assert float(unsure.total - sure.total) == pytest.approx(0.1 * float(unsure.mask - sure.mask))


def test_what_is_left_where_the_input_was_cut_off_cannot_outweigh_the_rest():
    blocks = SIGNAL + band(FINE.std() * random(1), 0, 16)
    remains = 0.05 * FINE.std() * band(random(6), 17, 99)
    assert float(loss(SIGNAL + remains, blocks, SIGNAL).density) < 0.3
