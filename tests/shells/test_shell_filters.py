from __future__ import annotations

import numpy as np
import pytest
import torch

from blushcore.protocol import BlushError
from blushcore.shells import filter_by_shell, multiply_by_shell, power_spectrum

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)]


def noise(n: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(n).normal(size=(n, n, n)))


def radius(n: int) -> np.ndarray:
    k = np.fft.fftfreq(n, 1 / n)
    return np.sqrt(k[:, None, None] ** 2 + k[None, :, None] ** 2 + k[None, None, :] ** 2)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("interpolation", ["linear", "step"])
@pytest.mark.parametrize("n", [8, 9, 20])
def test_ones_give_the_map_back(n, interpolation, device):
    volume = noise(n).float().to(device)
    filtered = filter_by_shell(volume, np.ones(n // 2 + 1), interpolation=interpolation)
    assert filtered.dtype == torch.float32
    assert filtered.device == volume.device
    assert torch.allclose(filtered, volume, atol=1e-5)


@pytest.mark.parametrize("n", [12, 13])
def test_linear_interpolates_at_the_exact_radius(n):
    curve = np.random.default_rng(0).random(n // 2 + 1)
    expected = np.fft.ifftn(np.fft.fftn(noise(n)) * np.interp(radius(n), np.arange(n // 2 + 1), curve))
    assert filter_by_shell(noise(n), curve).numpy() == pytest.approx(expected.real, abs=1e-12)
    assert np.abs(expected.imag).max() < 1e-12


@pytest.mark.parametrize("n", [12, 13])
def test_step_gives_a_whole_shell_one_factor(n):
    curve = np.random.default_rng(0).random(n // 2 + 1)
    before = power_spectrum(noise(n))
    after = power_spectrum(filter_by_shell(noise(n), curve, interpolation="step"))
    assert after / before == pytest.approx(curve**2, rel=1e-9)


@pytest.mark.parametrize("interpolation", ["linear", "step"])
def test_beyond_zero_empties_the_corners_and_hold_keeps_them(interpolation):
    n = 12
    ones = np.ones(n // 2 + 1)
    kept = np.fft.fftn(filter_by_shell(noise(n), ones, interpolation=interpolation))
    emptied = np.fft.fftn(filter_by_shell(noise(n), ones, interpolation=interpolation, beyond="zero"))
    corners, inside = radius(n) >= n // 2 + 1, radius(n) <= n // 2
    assert np.abs(emptied[corners]).max() < 1e-10
    assert np.abs(kept[corners]).max() > 1
    assert emptied[inside] == pytest.approx(kept[inside])


def test_multiplying_in_place_is_the_same_filter():
    n = 10
    curve = np.linspace(1, 0, n // 2 + 1)
    transform = torch.fft.rfftn(noise(n))
    multiply_by_shell(transform, curve)
    assert torch.allclose(torch.fft.irfftn(transform, s=(n, n, n)), filter_by_shell(noise(n), curve))


def test_a_curve_of_another_box_is_a_programming_error():
    with pytest.raises(ValueError, match="has 6 shells"):
        filter_by_shell(noise(10), np.ones(5))


def test_a_map_that_is_no_cube_is_refused():
    with pytest.raises(BlushError, match="cube"):
        filter_by_shell(np.zeros((8, 8, 10), np.float32), np.ones(5))
