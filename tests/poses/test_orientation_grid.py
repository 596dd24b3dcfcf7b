"""The grid of orientations against healpix and against what a grid has to be."""

from __future__ import annotations

import healpix
import numpy as np
import pytest
import torch

from blushcore.poses import (
    ORIENTATION_CHILDREN,
    OrientationGrid,
    SymmetryGroup,
    angular_distance_deg,
    euler_to_matrix,
)

C1 = SymmetryGroup.of("C1")


def test_the_sphere_is_healpix_in_nest_order() -> None:
    grid = OrientationGrid(3, C1)
    tilt, rot = healpix.pix2ang(8, np.arange(768), nest=True)
    np.testing.assert_allclose(grid.directions_deg, np.rad2deg(np.stack((rot, tilt), -1)))
    assert grid.step_deg == 7.5
    assert (grid.direction_count, grid.psi_count, grid.count) == (768, 48, 36864)


def test_coarse_orientations_count_psi_fastest() -> None:
    grid = OrientationGrid(1, C1)
    for d, s in ((0, 0), (5, 3), (47, 11)):
        angles = torch.cat((grid.directions_deg[d], grid.psi_deg[s : s + 1]))
        index = torch.tensor(d * grid.psi_count + s)
        assert angular_distance_deg(grid.rotations(index, dtype=torch.float64), euler_to_matrix(angles)) < 1e-9
        assert angular_distance_deg(euler_to_matrix(grid.euler_deg(index)), euler_to_matrix(angles)) < 1e-9


@pytest.mark.parametrize("name", ["C1", "D3"])
def test_children_are_the_next_orders_pixels_and_the_halves_of_psi(name: str) -> None:
    group = SymmetryGroup.of(name)
    grid = OrientationGrid(2, group)
    finer = OrientationGrid(3, C1)
    indices = torch.arange(0, grid.count, 37)
    children = grid.children(indices)
    assert children.shape == (len(indices), ORIENTATION_CHILDREN)
    views = grid.rotations(children, 1, dtype=torch.float64)
    parents, psi = grid.pixels[indices // grid.psi_count], grid.psi_deg[indices % grid.psi_count]
    for c in range(ORIENTATION_CHILDREN):
        direction = finer.directions_deg[parents * 4 + c // 2]
        angles = torch.cat((direction, (psi + (0.25 if c % 2 else -0.25) * grid.step_deg)[:, None]), -1)
        assert angular_distance_deg(views[:, c], euler_to_matrix(angles)).max() < 1e-9


def test_single_precision_comes_from_a_table_and_is_the_same() -> None:
    grid = OrientationGrid(2, SymmetryGroup.of("C4"), 0.31)
    for oversampling in (0, 1):
        indices = torch.arange(grid.count * ORIENTATION_CHILDREN**oversampling)[::101]
        exact = grid.rotations(indices, oversampling, dtype=torch.float64)
        torch.testing.assert_close(grid.rotations(indices, oversampling).double(), exact, atol=5e-7, rtol=0)


def test_a_perturbation_turns_every_orientation_from_the_right() -> None:
    grid = OrientationGrid(2, C1)
    indices = torch.arange(0, grid.count, 50)
    turned = grid.perturbed(-0.4)
    turn = euler_to_matrix(torch.full((3,), -0.4 * 15, dtype=torch.float64))
    expected = grid.rotations(indices, dtype=torch.float64) @ turn
    torch.testing.assert_close(turned.rotations(indices, dtype=torch.float64), expected)
    assert torch.equal(turned.directions_deg, grid.directions_deg)


@pytest.mark.parametrize("name", ["C3", "C4", "D2", "D7", "T", "O", "I1", "I3"])
def test_an_asymmetric_unit_has_its_share_and_leaves_no_hole(name: str) -> None:
    """Any view is as near to the grid, by one of its mates, as the spacing of pixels allows."""
    group = SymmetryGroup.of(name)
    grid = OrientationGrid(4, group)
    assert grid.direction_count == pytest.approx(12 * 4**4 / group.order, rel=0.06)
    sphere = OrientationGrid(3, C1).directions_deg
    views = euler_to_matrix(torch.cat((sphere, torch.zeros(len(sphere), 1)), -1).double())
    grid_vectors = OrientationGrid(4, group).rotations(torch.arange(grid.direction_count) * grid.psi_count)[
        :, 2
    ]
    cosines = group.mates(views)[..., 2, :] @ grid_vectors.double().T
    nearest = torch.rad2deg(torch.acos(cosines.amax((1, 2)).clamp(max=1)))
    assert nearest.max() < 1.2 * grid.step_deg


@pytest.mark.parametrize("order", [-1, 13])
def test_impossible_orders_are_refused(order: int) -> None:
    with pytest.raises(ValueError, match="HEALPix order"):
        OrientationGrid(order, C1)


def test_one_oversampling_is_all_there_is() -> None:
    with pytest.raises(ValueError, match="oversampling 2"):
        OrientationGrid(1, C1).rotations(torch.tensor([0]), 2)
