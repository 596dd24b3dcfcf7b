"""The noise of particle images: its spectrum, its variance, and that batches do not matter."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from blushcore.simulation.image_noise import coloured_noise, noise_power


@pytest.mark.parametrize("box", [32, 45])
def test_the_power_is_what_it_is_said_to_be(box):
    noise = coloured_noise(box, range(1500), seed=3)
    assert noise.shape == (1500, box, box)
    assert float(noise.var()) == pytest.approx(1, abs=0.01)
    power = (torch.fft.rfft2(noise).abs() ** 2).mean(0) / box**2
    ratio = power / noise_power(box)
    assert float((ratio - 1).abs().max()) < 0.25  # 1,500 draws: ± 3 % (6 % where the component is real)
    assert float(ratio.mean()) == pytest.approx(1, abs=0.005)


def test_low_frequencies_are_noisier_as_in_ice():
    box = 64
    power = noise_power(box)
    far = power[0, box // 2]
    assert float(power[0, 0] / far) == pytest.approx(2.6 / 0.6, rel=1e-4)
    at = round(0.125 * box)
    expected = (0.6 + 2 * np.exp(-((0.125 / 0.08) ** 2))) / 0.6
    assert float(power[at, 0] / far) == pytest.approx(expected, rel=1e-4)


def test_an_image_has_the_same_noise_in_every_batch():
    whole = coloured_noise(16, range(10), seed=7)
    parts = torch.cat([coloured_noise(16, range(3), 7), coloured_noise(16, range(3, 10), 7)])
    assert torch.equal(whole, parts)
    assert not torch.equal(whole, coloured_noise(16, range(10), seed=8))
    assert not torch.equal(whole[0], whole[1])
