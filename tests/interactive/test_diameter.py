"""The estimate of a particle's diameter, on bodies whose diameter is known."""

from __future__ import annotations

import numpy as np
import pytest

from blushcore.interactive.diameter import estimate_diameter
from blushcore.volumes import Volume


def ball(n: int, voxel_size: float, diameter: float, noise: float, far: bool = False) -> Volume:
    offset = (np.arange(n) - n // 2) * voxel_size
    radius = np.sqrt(offset[:, None, None] ** 2 + offset[:, None] ** 2 + offset**2)
    values = (radius < diameter / 2).astype(np.float32)
    if far:  # a neighbour at the box's edge
        values[:8, :8, :8] = 1
    values += np.random.default_rng(0).normal(scale=noise, size=values.shape)
    return Volume(values.astype(np.float32), (voxel_size,) * 3)


@pytest.mark.parametrize("voxel_size", [1.0, 1.5, 3.1])
@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_a_ball_is_held_with_little_room_to_spare(voxel_size, noise):
    n = 64
    diameter = 0.55 * n * voxel_size
    estimate = estimate_diameter(ball(n, voxel_size, diameter, noise))
    assert diameter <= estimate <= diameter + 30
    assert estimate % 5 == 0


def test_neighbours_do_not_count():
    alone, beside = (estimate_diameter(ball(80, 1.5, 60, 0.3, far)) for far in (False, True))
    assert alone == beside


def test_noise_has_no_diameter():
    noise = np.random.default_rng(1).normal(size=(48, 48, 48)).astype(np.float32)
    assert estimate_diameter(Volume(noise, (2.0,) * 3)) is None


def test_what_fills_the_box_has_none():
    assert estimate_diameter(ball(48, 2.0, 160, 0.1)) is None
