"""Angles between views against scipy's and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from blushcore.poses import SymmetryGroup, angular_distance_deg, euler_to_matrix, mean_axis_distance_deg


def about_z(degrees: float) -> torch.Tensor:
    return euler_to_matrix(torch.tensor([degrees, 0.0, 0.0], dtype=torch.float64))


def test_the_angle_is_scipys() -> None:
    a, b = Rotation.random(100, rng=1), Rotation.random(100, rng=2)
    ours = angular_distance_deg(torch.from_numpy(a.as_matrix()), torch.from_numpy(b.as_matrix()))
    np.testing.assert_allclose(ours, np.degrees((a * b.inv()).magnitude()), atol=1e-6)


@pytest.mark.parametrize("degrees", [1e-6, 0.01, 10.0, 90.0, 179.9])
def test_small_and_large_angles_are_exact(degrees: float) -> None:
    assert angular_distance_deg(about_z(degrees), about_z(0)).item() == pytest.approx(degrees, rel=1e-6)


def test_a_turn_about_an_axis_moves_the_other_two() -> None:
    assert mean_axis_distance_deg(about_z(12), about_z(0)).item() == pytest.approx(8)


def test_symmetry_takes_the_nearest_mate() -> None:
    c6 = SymmetryGroup.of("C6")
    assert angular_distance_deg(about_z(59), about_z(0), c6).item() == pytest.approx(1)
    assert mean_axis_distance_deg(about_z(59), about_z(0), c6).item() == pytest.approx(2 / 3)
