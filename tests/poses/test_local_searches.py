"""The orientations near each image's last one against a search through all of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

import blushcore.poses.neighbourhoods as neighbourhoods
from blushcore.poses import (
    LocalOrientations,
    OrientationGrid,
    SymmetryGroup,
    angular_distance_deg,
    euler_to_matrix,
    nearby_orientations,
)


def random_views(count: int) -> torch.Tensor:
    return torch.from_numpy(Rotation.random(count, rng=8).as_matrix())


def lists(local: LocalOrientations) -> list[dict[int, float]]:
    bounds = list(zip(local.start[:-1], local.start[1:], strict=True))
    return [
        dict(zip(local.orientations[a:b].tolist(), local.log_prior[a:b].tolist(), strict=True))
        for a, b in bounds
    ]


def by_brute_force(
    grid: OrientationGrid, view: torch.Tensor, sigma_direction: float, sigma_psi: float
) -> dict[int, float]:
    """Swing and twist of each orientation against each mate, from the quaternion of their quotient."""
    mates = grid.symmetry.mates(view).numpy()
    every = grid.rotations(torch.arange(grid.count), dtype=torch.float64).numpy()
    found: dict[int, float] = {}
    for mate in mates:
        x, y, z, w = Rotation.from_matrix(every @ mate.T).as_quat().T
        twist = np.degrees(2 * np.arctan2(z, w))
        twist = np.abs((twist + 180) % 360 - 180)
        swing = np.degrees(2 * np.arctan2(np.hypot(x, y), np.hypot(z, w)))
        for o in np.nonzero((swing <= 3 * sigma_direction) & (twist <= 3 * sigma_psi))[0]:
            log_prior = -0.5 * ((swing[o] / sigma_direction) ** 2 + (twist[o] / sigma_psi) ** 2)
            found[int(o)] = max(found.get(int(o), -math.inf), log_prior)
    total = math.log(sum(math.exp(value) for value in found.values()))
    return {o: value - total for o, value in found.items()}


@pytest.mark.parametrize(
    ("name", "sigma_direction", "sigma_psi"),
    [("C1", 15.0, 15.0), ("C3", 20.0, 10.0), ("D2", 12.0, 25.0), ("O", 15.0, 15.0), ("I2", 40.0, 9.0)],
)
def test_they_are_those_within_three_sigmas_of_a_mate(
    name: str, sigma_direction: float, sigma_psi: float
) -> None:
    grid = OrientationGrid(2, SymmetryGroup.of(name), 0.37)
    views = random_views(12)
    views[0] = euler_to_matrix(torch.tensor([70.0, 0.0, 12.0]))  # the poles
    views[1] = euler_to_matrix(torch.tensor([70.0, 180.0, 12.0]))
    local = nearby_orientations(grid, views, sigma_direction, sigma_psi)
    for view, found in zip(views, lists(local), strict=True):
        expected = by_brute_force(grid, view, sigma_direction, sigma_psi)
        assert found.keys() == expected.keys()
        assert max(abs(found[o] - expected[o]) for o in expected) < 1e-5


def test_at_the_equator_psi_is_what_differs() -> None:
    grid = OrientationGrid(3, SymmetryGroup.of("C1"))
    rot = grid.directions_deg[(grid.directions_deg[:, 1] - 90).abs() < 1e-6][3, 0]
    local = grid.nearby(torch.tensor([[rot, 90.0, 90.0]]), 4.0, 7.5)
    angles = grid.euler_deg(local.orientations)
    on_it = (angles[:, 1] - 90).abs() < 1e-6
    likeliest = local.log_prior.argmax()
    torch.testing.assert_close(angles[likeliest, 2], torch.tensor(90.0, dtype=torch.float64))
    fall = local.log_prior[on_it] - local.log_prior.max()
    from_last = -0.5 * (((angles[on_it, 0] - rot) / 4) ** 2 + ((angles[on_it, 2] - 90) / 7.5) ** 2)
    torch.testing.assert_close(fall.double(), from_last, atol=1e-5, rtol=0)


def test_each_images_probabilities_sum_to_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbourhoods, "IMAGES_AT_ONCE", 7)
    grid = OrientationGrid(4, SymmetryGroup.of("D3"), -0.2)
    views = random_views(40)
    local = nearby_orientations(grid, views, grid.step_deg, grid.step_deg)
    image = torch.repeat_interleave(torch.arange(len(views)), local.start.diff())
    totals = torch.zeros(len(views), dtype=torch.float64).index_add_(0, image, local.log_prior.double().exp())
    torch.testing.assert_close(totals, torch.ones_like(totals), atol=1e-5, rtol=0)
    far = angular_distance_deg(grid.rotations(local.orientations), views[image], grid.symmetry)
    assert far.max() < 3 * math.sqrt(2) * grid.step_deg
    alone = nearby_orientations(grid, views[33:34], grid.step_deg, grid.step_deg)
    assert torch.equal(alone.orientations, local.orientations[local.start[33] : local.start[34]])


@pytest.mark.parametrize("name", ["C1", "C3", "I1"])
def test_where_none_is_that_near_the_nearest_is_taken(name: str) -> None:
    grid = OrientationGrid(2, SymmetryGroup.of(name), 0.5)
    views = random_views(30)
    local = nearby_orientations(grid, views, 0.01, 0.01)
    assert local.start.diff().tolist() == [1] * 30
    assert (local.log_prior == 0).all()
    taken = angular_distance_deg(grid.rotations(local.orientations), views, grid.symmetry)
    assert taken.max() < 1.7 * grid.step_deg


def test_no_images_have_no_orientations() -> None:
    grid = OrientationGrid(1, SymmetryGroup.of("C2"))
    local = nearby_orientations(grid, torch.zeros(0, 3, 3), 5, 5)
    assert local.start.tolist() == [0]
    assert len(local.orientations) == len(local.log_prior) == 0


def test_sigmas_are_above_zero() -> None:
    with pytest.raises(ValueError, match="sigmas"):
        nearby_orientations(OrientationGrid(1, SymmetryGroup.of("C1")), random_views(1), 0, 5)
