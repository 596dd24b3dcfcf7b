"""Data and weight of a half: Hermitian, joined at low resolution, symmetric."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from random_sums import random_sums

from blushcore.poses import SymmetryGroup
from blushcore.projection import FourierVolume, PaddedGrid, SliceSums
from blushcore.reconstruction import HalfSums, join_halves, symmetrise
from blushcore.reconstruction.symmetrise import _add_mates
from blushcore.shells.plane import PlaneComponents


def at(sums: HalfSums, x: int, y: int, z: int) -> tuple[complex, float]:
    """Data and weight at any component of the whole transform."""
    reach = sums.grid.reach
    mirrored = x < 0
    x, y, z = (-x, -y, -z) if mirrored else (x, y, z)
    value = complex(sums.data[z + reach, y + reach, x])
    return (value.conjugate() if mirrored else value), float(sums.weight[z + reach, y + reach, x])


def test_the_plane_x_0_is_its_own_mirror_image() -> None:
    sums = random_sums()
    plane, weight = sums.data[:, :, 0], sums.weight[:, :, 0]
    assert torch.equal(plane, plane.flip(0, 1).conj())
    assert torch.equal(weight, weight.flip(0, 1))
    assert weight.any()


def test_opposites_on_x_0_are_added_and_the_slices_are_used_up() -> None:
    slices = SliceSums(16)
    reach = slices.grid.reach
    slices.data[reach + 3, reach - 2, 0] = 1 + 2j
    slices.data[reach - 3, reach + 2, 0] = 10 + 1j
    slices.data[reach + 3, reach - 2, 1] = 5
    slices.weight[reach + 3, reach - 2, 0] = 4
    sums = HalfSums.of(slices)
    assert at(sums, 0, -2, 3) == (11 + 1j, 4)
    assert at(sums, 0, 2, -3) == (11 - 1j, 4)
    assert at(sums, 1, -2, 3) == (5, 0)
    assert slices.data.numel() == 0


def test_halves_are_averaged_up_to_a_shell() -> None:
    one, two = random_sums(seed=1), random_sums(seed=2)
    before = [t.clone() for t in (one.data, two.data, one.weight, two.weight)]
    join_halves(one, two, 4)
    axis = np.arange(-one.grid.reach, one.grid.reach + 1)
    radius = np.sqrt(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis[one.grid.reach :] ** 2)
    low = torch.from_numpy(np.floor(radius / 2 + 0.5) <= 4)
    for first, second, a, b in (
        (one.data, two.data, before[0], before[1]),
        (one.weight, two.weight, before[2], before[3]),
    ):
        assert torch.equal(first[low], (a[low] + b[low]) / 2)
        assert torch.equal(first[low], second[low])
        assert torch.equal(first[~low], a[~low])
        assert torch.equal(second[~low], b[~low])


def test_joining_beyond_all_shells_makes_halves_alike() -> None:
    one, two = random_sums(size=16, seed=1), random_sums(size=16, seed=2)
    join_halves(one, two, 100)
    shells = one.grid.shells(slice(None))
    inside = shells <= one.grid.last_shell
    assert torch.equal(one.data[inside], two.data[inside])
    join_halves(one, two, -1)
    with pytest.raises(ValueError, match="sums on"):
        join_halves(one, random_sums(), 3)


def test_adding_halves() -> None:
    one, two = random_sums(seed=1), random_sums(seed=2)
    both = one.plus(two)
    assert torch.equal(both.data, one.data + two.data)
    assert torch.equal(both.weight, one.weight + two.weight)
    with pytest.raises(ValueError, match="sums on"):
        one.plus(random_sums(size=16))


@pytest.mark.parametrize("name", ["C2", "C4", "D2", "O"])
def test_groups_that_keep_the_grid_sum_the_mates_exactly(name: str) -> None:
    # Turns by 90° and 180° about the axes take grid points to grid points: nothing is interpolated.
    group, sums = SymmetryGroup.of(name), random_sums(16)
    done = symmetrise(sums, group)
    rng = np.random.default_rng(0)
    limit = 2 * sums.grid.last_shell
    operators = np.rint(group.matrices.numpy()).astype(int)
    assert np.abs(group.matrices.numpy() - operators).max() < 1e-6
    for _ in range(60):
        k = rng.integers(-limit // 2, limit // 2 + 1, 3)
        data, weight = map(sum, zip(*(at(sums, *(g @ k)) for g in operators), strict=True))
        assert at(done, *k) == (pytest.approx(data, abs=1e-3), pytest.approx(weight, abs=1e-3))


@pytest.mark.parametrize("name", ["C3", "C7", "D3", "T", "I1"])
def test_other_groups_sum_what_slices_find_at_the_mates(name: str) -> None:
    # A slice in orientation Aᵀ = g·R lies at g·R·(kx, ky, 0); quarter turns R keep that plane on the grid.
    group, sums = SymmetryGroup.of(name), random_sums(20)
    plane = PlaneComponents.of(20, 18)
    done = symmetrise(sums, group)
    weights = torch.complex(sums.weight, torch.zeros_like(sums.weight))
    for turn in SymmetryGroup.of("O").matrices[::5]:
        k = torch.stack((plane.kx, plane.ky, torch.zeros_like(plane.kx)), 1).double() @ turn.T
        found = [at(done, *(2 * k[i]).round().int().tolist()) for i in range(0, plane.count, 7)]
        orientations = (group.matrices @ turn).mT
        data = FourierVolume(sums.grid, sums.data).slices(orientations, plane).sum(0)[::7]
        weight = FourierVolume(sums.grid, weights).slices(orientations, plane).real.sum(0)[::7]
        assert torch.allclose(torch.tensor([d for d, _ in found]), data, atol=1e-4 * float(data.abs().max()))
        assert torch.allclose(torch.tensor([w for _, w in found]), weight, rtol=1e-4)


def test_c1_leaves_the_sums_alone() -> None:
    sums = random_sums(16)
    assert symmetrise(sums, SymmetryGroup.of("C1")) is sums


@pytest.mark.parametrize("name", ["C3", "I2"])
def test_torch_operations_agree_with_the_symmetry_kernel(name: str) -> None:
    group, sums = SymmetryGroup.of(name), random_sums(20, 16)
    expected = symmetrise(sums, group)
    data, weight = sums.data.clone(), sums.weight.clone()
    others = group.matrices[(group.matrices - torch.eye(3)).abs().amax((1, 2)) > 1e-6].float()
    _add_mates(sums, sums.grid, sums.grid.padding * (sums.grid.last_shell + 0.5), others, data, weight)
    assert (data - expected.data).abs().max() < 1e-5 * expected.data.abs().max()
    assert (weight - expected.weight).abs().max() < 1e-5 * expected.weight.abs().max()


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_do_not_change_symmetrised_sums(threads: int) -> None:
    group, sums = SymmetryGroup.of("D3"), random_sums(16)
    expected = symmetrise(sums, group)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        done = symmetrise(sums, group)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(done.data, expected.data)
    assert torch.equal(done.weight, expected.weight)


def test_sums_of_a_smaller_current_size_are_smaller() -> None:
    assert PaddedGrid(64, 20).count < PaddedGrid(64, 64).count / 15
