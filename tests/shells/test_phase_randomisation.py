from __future__ import annotations

import numpy as np
import pytest
import torch

from blushcore.shells import fsc, randomise_phases

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)]


def noise(n: int) -> np.ndarray:
    return np.random.default_rng(n).normal(0.3, 1, (n, n, n))


def radius(n: int) -> np.ndarray:
    k = np.fft.fftfreq(n, 1 / n)
    return np.sqrt(k[:, None, None] ** 2 + k[None, :, None] ** 2 + k[None, None, :] ** 2)


@pytest.mark.parametrize("n", [8, 9, 24])
@pytest.mark.parametrize("start", [1, 3, 4])
def test_amplitudes_stay_and_phases_below_the_start_too(n, start):
    before = np.fft.fftn(noise(n))
    randomised = randomise_phases(noise(n), start, seed=0)
    assert randomised.dtype == torch.float64
    after = np.fft.fftn(randomised.numpy())
    # Had the phases not been Hermitian, the inverse transform would have changed amplitudes.
    assert np.abs(after) == pytest.approx(np.abs(before), rel=2e-5)
    kept = radius(n) < start
    assert after[kept] == pytest.approx(before[kept], rel=1e-9)
    assert np.median(np.abs(np.angle(after[~kept] / before[~kept]))) > 0.5


@pytest.mark.parametrize("n", [24, 25])
def test_turns_are_uniform_everywhere_the_planes_of_friedel_mates_too(n):
    before, after = np.fft.fftn(noise(n)), np.fft.fftn(randomise_phases(noise(n), 1, seed=5).numpy())
    turns = np.angle(after / before)
    for where in (turns, turns[:, :, 0], turns[:, :, n // 2], turns[:, 0], turns[0]):
        for harmonic in (1, 2):
            resultant = np.abs(np.exp(1j * harmonic * where).sum()) / np.sqrt(where.size)
            assert resultant < 3.5  # Rayleigh: exceeded with probability below 1e-5


def test_components_that_are_their_own_mates_change_sign_in_half_of_the_cases():
    n = 8
    own_mates = np.ix_([0, 4], [0, 4], [0, 4])
    signs = []
    for seed in range(60):
        ratio = np.fft.fftn(randomise_phases(noise(n), 1, seed=seed).numpy()) / np.fft.fftn(noise(n))
        assert np.abs(ratio[own_mates].imag).max() < 1e-5
        signs.append(ratio[own_mates].real.ravel()[1:])
    assert 0.4 < (np.array(signs) < 0).mean() < 0.6


def test_the_mean_stays():
    assert float(randomise_phases(noise(10), 1, seed=0).mean()) == pytest.approx(noise(10).mean())


@pytest.mark.parametrize("device", DEVICES)
def test_a_seed_gives_the_same_map_on_every_device(device):
    volume = noise(16).astype(np.float32)
    here = randomise_phases(volume, 4, seed=3)
    there = randomise_phases(torch.from_numpy(volume).to(device), 4, seed=3)
    assert torch.allclose(here, there.cpu(), atol=1e-5)
    if device == "cpu":
        assert torch.equal(here, there)
    assert not torch.allclose(here, randomise_phases(volume, 4, seed=4), atol=0.1)


def test_nothing_agrees_any_more():
    volume = noise(32)
    curve = fsc(volume, randomise_phases(volume, 5, seed=1))
    assert curve[:5] == pytest.approx(1.0, abs=0.1)
    assert np.abs(curve[6:]).max() < 0.2


def test_the_mean_has_no_phase():
    with pytest.raises(ValueError, match="at least 1"):
        randomise_phases(noise(8), 0, seed=0)
