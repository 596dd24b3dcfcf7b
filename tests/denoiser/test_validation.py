"""Tests of denoisers, held against ones that are perfect, idle, dull, inventive, or plain filters."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from blushcore.denoiser.validation import agreement_by_chance, cross_validation, measured_transfer
from blushcore.shells import filter_by_shell, fsc
from blushcore.volumes import gaussian_lowpass, soft_sphere

BOX = 32


@pytest.fixture(scope="module")
def truth() -> torch.Tensor:
    noise = torch.randn((BOX,) * 3, generator=torch.Generator().manual_seed(0))
    return 3 * gaussian_lowpass(noise, 0.6, 1.0)


@pytest.fixture(scope="module")
def raw(truth) -> tuple[torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(1)
    first, second = (truth + torch.randn(truth.shape, generator=rng) for _ in range(2))
    return first, second


@pytest.fixture(scope="module")
def detail() -> torch.Tensor:
    return 2 * torch.randn((BOX,) * 3, generator=torch.Generator().manual_seed(2))


def test_what_does_nothing_or_filters_shells_neither_gains_nor_loses(raw):
    same = cross_validation(raw, raw)
    np.testing.assert_allclose(same.cross, fsc(*raw), atol=1e-6)
    assert same.gain(10) == pytest.approx(0, abs=1e-6)
    curve = np.linspace(1.0, 0.2, BOX // 2 + 1)
    filtered = tuple(filter_by_shell(half, curve, interpolation="step") for half in raw)
    np.testing.assert_allclose(cross_validation(raw, filtered).cross, same.raw, atol=1e-5)


def test_the_truth_gains_and_inventions_lose(raw, truth, detail):
    perfect = cross_validation(raw, (truth, truth))
    shells = slice(3, 14)
    assert np.abs(perfect.cross - np.sqrt(perfect.raw.clip(0)))[shells].max() < 0.06
    assert perfect.gain(12) > 0.04
    inventive = cross_validation(raw, (raw[0] + detail, raw[1] + detail))
    assert inventive.gain(12) < -0.05
    # It is just the one that looks best if denoised halves are held against each other.
    assert (fsc(raw[0] + detail, raw[1] + detail) - inventive.raw)[shells].mean() > 0.1
    dull = cross_validation(raw, (torch.ones_like(truth), torch.ones_like(truth)))
    assert (dull.cross[1:] == 0).all()


def test_a_mask_is_put_onto_all_alike(raw):
    mask = soft_sphere((BOX,) * 3, 8.0, 4.0)
    outside_changed = tuple(half * (0.3 + 0.7 * (mask > 0)) for half in raw)
    result = cross_validation(raw, outside_changed, mask)
    np.testing.assert_allclose(result.cross, result.raw, atol=1e-6)


def test_the_transfer_of_a_filter_is_the_filter_for_signal_and_noise(raw):
    curve = np.linspace(1.5, 0.3, BOX // 2 + 1)
    for unit in (1.0, 1e-20):
        scaled = tuple(half * unit for half in raw)
        filtered = tuple(filter_by_shell(half, curve, interpolation="step") for half in scaled)
        transfer = measured_transfer(scaled, filtered)
        np.testing.assert_allclose(transfer.signal[1:15], curve[1:15], rtol=1e-3)
        np.testing.assert_allclose(transfer.noise[1:15], curve[1:15], rtol=1e-3)


def test_the_transfer_tells_noise_from_signal(raw, truth):
    halved = tuple(truth + (half - truth) / 2 for half in raw)
    transfer = measured_transfer(raw, halved)
    assert np.abs(transfer.signal[3:10] - 1).max() < 0.05
    assert np.abs(transfer.noise[3:14] - 0.5).max() < 0.1
    same = measured_transfer((truth, truth), (truth, truth))
    assert np.isnan(same.noise[1:]).all()


def test_random_phases_show_what_a_denoiser_makes_up(raw, detail):
    beyond = slice(9, 16)
    assert np.abs(agreement_by_chance(lambda volume: volume, raw, 8)[beyond]).max() < 0.15
    assert agreement_by_chance(lambda volume: volume, raw, 8)[2:5].min() > 0.8
    assert agreement_by_chance(lambda volume: volume + detail, raw, 8)[beyond].min() > 0.4
    one, other = (agreement_by_chance(lambda volume: volume, raw, 8, seed=seed) for seed in (0, 1))
    assert not np.array_equal(one, other)


def test_what_a_signal_is_multiplied_by_is_not_told_where_there_is_none(truth):
    rng = torch.Generator().manual_seed(4)
    first, second = (truth + 4 * torch.randn(truth.shape, generator=rng) for _ in range(2))
    transfer = measured_transfer((first, second), (first, second))
    noise = fsc(first, second)[1:] < 0.143
    assert 2 < noise.sum() < BOX // 2 - 2
    np.testing.assert_array_equal(np.isnan(transfer.signal[1:]), noise)
    assert np.isfinite(transfer.noise[1:]).all()
