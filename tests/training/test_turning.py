"""Maps turned by any rotation: against Gaussians, quarter turns, and what interpolation loses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from blushcore.shells import filter_by_shell, fsc
from blushcore.training.augmentation import HalfMapPair
from blushcore.training.turning import turned_maps, turned_pair

N = 40
PLACES = np.array([[6.0, -3.0, 2.0], [-4.0, 5.0, -7.0], [0.0, -8.0, 4.0]])
WEIGHTS = (1.0, 2.0, 3.0)


def blobs(places: np.ndarray, sigma: float = 1.6) -> torch.Tensor:
    """Gaussians at places (x, y, z) about the centre."""
    z, y, x = np.mgrid[:N, :N, :N] - N // 2
    volume = sum(
        weight * np.exp(-((x - place[0]) ** 2 + (y - place[1]) ** 2 + (z - place[2]) ** 2) / (2 * sigma**2))
        for place, weight in zip(places, WEIGHTS, strict=True)
    )
    return torch.from_numpy(np.asarray(volume, np.float32))


@pytest.mark.parametrize("seed", [0, 1])
def test_gaussians_come_to_lie_where_the_rotation_takes_them(seed):
    rotation = Rotation.random(random_state=seed).as_matrix()
    (found,) = turned_maps([blobs(PLACES)], rotation)
    expected = blobs(PLACES @ rotation.T)
    assert float((found - expected).abs().max()) < 0.006 * float(expected.max())


def test_a_quarter_turn_is_exact():
    noise = torch.randn((N,) * 3, generator=torch.Generator().manual_seed(3))
    rotation = Rotation.from_euler("z", 90, degrees=True).as_matrix()  # x goes to y
    (found,) = turned_maps([noise], np.round(rotation))
    inside = slice(1, N)  # an even box has no mate of its first plane
    expected = noise.transpose(1, 2)[:, inside, inside].flip(2)
    torch.testing.assert_close(found[:, inside, inside], expected, atol=2e-5, rtol=0)


def test_little_is_lost_up_to_four_ångström():
    """There and back again: two interpolations keep what noise within the grid's Nyquist sphere holds."""
    noise = torch.randn((N,) * 3, generator=torch.Generator().manual_seed(4))
    noise = filter_by_shell(noise, np.ones(N // 2 + 1), interpolation="step", beyond="zero")
    rotation = Rotation.random(random_state=7).as_matrix()
    back = turned_maps(turned_maps([noise], rotation), rotation.T)[0]
    z, y, x = np.mgrid[:N, :N, :N] - N // 2
    ball = torch.from_numpy((np.sqrt(x**2 + y**2 + z**2) < N / 2 - 4).astype(np.float32))
    curve = fsc(noise * ball, back * ball)
    assert curve[: round(N * 1.5 / 4)].min() > 0.993
    assert curve.min() > 0.95


def test_all_that_a_pair_is_made_of_turns_together():
    volume = blobs(PLACES)
    pair = HalfMapPair(volume, 2 * volume, (volume > 0.5).float(), 6.0, 50.0, 3 * volume, volume)
    rotation = Rotation.random(random_state=2).as_matrix()
    found = turned_pair(pair, rotation)
    expected = turned_maps([volume], rotation)[0]
    torch.testing.assert_close(found.half1, expected)
    torch.testing.assert_close(found.half2, 2 * expected)
    torch.testing.assert_close(found.signal, 3 * expected)
    assert 0 <= float(found.mask.min()) <= float(found.mask.max()) <= 1
    assert float((found.mask * expected).sum()) > 0.8 * float((pair.mask * volume).sum())
    assert found.truth is None
    assert turned_pair(HalfMapPair(volume, volume, pair.mask, 6.0, 50.0), rotation).signal is None
