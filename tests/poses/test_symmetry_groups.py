"""Point groups: groups they are, RELION's settings they have, and asymmetric units hold each orbit once."""

from __future__ import annotations

import re
import subprocess

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from blushcore.poses import SymmetryGroup, angular_distance_deg, euler_to_matrix, matrix_to_euler
from blushcore.protocol import UsageError

ORDERS = {"C1": 1, "C4": 4, "C7": 7, "D1": 2, "D3": 6, "D8": 16, "T": 12, "O": 24} | dict.fromkeys(
    ("I", "I1", "I2", "I3", "I4"), 60
)
NAMES = list(ORDERS)


def distances(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return (a[:, None] - b[None]).abs().amax((-2, -1))


def random_views(count: int) -> torch.Tensor:
    return torch.from_numpy(Rotation.random(count, rng=3).as_matrix())


@pytest.mark.parametrize("name", NAMES)
def test_a_group_is_closed_and_of_its_order(name: str) -> None:
    matrices = SymmetryGroup.of(name).matrices
    assert SymmetryGroup.of(name.lower()).order == len(matrices) == ORDERS[name]
    assert torch.equal(matrices[0], torch.eye(3, dtype=torch.float64))
    assert (distances(matrices, matrices) < 1e-6).sum() == len(matrices)  # no element twice
    products = (matrices[:, None] @ matrices[None]).reshape(-1, 3, 3)
    assert distances(products, matrices).amin(1).max() < 1e-13
    torch.testing.assert_close(torch.linalg.det(matrices), torch.ones(len(matrices), dtype=torch.float64))


@pytest.mark.parametrize(("name", "scipys"), [("C5", "C5"), ("D4", "D4"), ("O", "O"), ("I1", "I")])
def test_groups_equal_scipys_in_the_same_setting(name: str, scipys: str) -> None:
    expected = torch.from_numpy(Rotation.create_group(scipys).as_matrix())
    assert distances(SymmetryGroup.of(name).matrices, expected).amin(1).max() < 1e-12


@pytest.mark.relion
@pytest.mark.parametrize("name", ["C1", "C2", "C7", "D1", "D2", "D5", "T", "O", "I", "I1", "I2", "I3", "I4"])
def test_groups_equal_relions(name: str) -> None:
    printed = subprocess.run(
        ["relion_refine", "--print_symmetry_ops", "--sym", name], capture_output=True, text=True, check=True
    ).stdout
    blocks = re.split(r"R\(\d+\)=", printed)[1:]
    numbers = [
        [float(number) for line in b.strip().splitlines()[:3] for number in line.split()] for b in blocks
    ]
    relions = torch.tensor(numbers, dtype=torch.float64).reshape(-1, 3, 3)
    ours = SymmetryGroup.of(name).matrices
    assert len(relions) == len(ours)
    apart = distances(relions, ours)
    assert apart.amin(0).max() < 2e-5  # it prints five digits
    assert apart.amin(1).max() < 2e-5


@pytest.mark.parametrize("name", ["C0", "X2", "I5", "D", "Td", "C1001", "C-2", ""])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="no symmetry group"):
        SymmetryGroup.of(name)


@pytest.mark.parametrize("name", NAMES)
def test_an_asymmetric_unit_holds_each_orbit_once(name: str) -> None:
    group = SymmetryGroup.of(name)
    mates = group.mates(random_views(2000))
    inside = group.in_asymmetric_unit(matrix_to_euler(mates)[..., :2])
    assert (inside.sum(-1) == 1).all()


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(NAMES), st.integers(0, 24), st.integers(0, 12))
def test_special_directions_are_held_too(name: str, rot: int, tilt: int) -> None:
    """Directions on axes and planes: the mates inside are all the same direction."""
    group = SymmetryGroup.of(name)
    view = euler_to_matrix(torch.tensor([15.0 * rot, 15.0 * tilt, 0.0], dtype=torch.float64))
    mates = group.mates(view)
    inside = mates[group.in_asymmetric_unit(matrix_to_euler(mates)[:, :2])][:, 2]
    assert len(inside) >= 1
    assert (inside - inside[0]).abs().max() < 1e-8


@pytest.mark.parametrize("name", ["C3", "D2", "I3"])
def test_the_walls_bound_the_asymmetric_unit(name: str) -> None:
    group = SymmetryGroup.of(name)
    views = random_views(500)
    by_walls = (views[:, 2] @ group.unit_walls().T >= 0).all(-1)
    assert torch.equal(by_walls, group.in_asymmetric_unit(matrix_to_euler(views)[:, :2]))


@pytest.mark.parametrize("name", ["C4", "T", "I2"])
def test_the_nearest_mate_is_the_nearest(name: str) -> None:
    group = SymmetryGroup.of(name)
    a, b = random_views(60).split(30)
    nearest = group.nearest_mate(a, b)
    every = angular_distance_deg(group.mates(a), b[:, None])
    torch.testing.assert_close(angular_distance_deg(nearest, b), every.amin(-1))
    torch.testing.assert_close(angular_distance_deg(a, b, group), every.amin(-1))
    assert distances(nearest, group.mates(a).reshape(-1, 3, 3)).amin(1).max() < 1e-12
