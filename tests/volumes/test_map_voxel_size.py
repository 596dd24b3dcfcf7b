"""Which voxel sizes are believed."""

from __future__ import annotations

import numpy as np
import pytest

from blushcore.protocol import BlushError
from blushcore.volumes import read_map


def cube(n):
    return np.random.default_rng(0).normal(size=(n, n, n)).astype(np.float32)


@pytest.mark.parametrize("header", [0.0, 1.0, 0.001, 3.0])
def test_the_given_size_goes_before_the_header(make_map, header):
    volume = read_map(make_map(cube(8), voxel=header), voxel_size=1.35)
    assert volume.voxel_size == (1.35, 1.35, 1.35)
    assert volume.warnings == ()


@pytest.mark.parametrize("given", [0.0, -1.0, float("nan"), float("inf")])
def test_a_given_size_must_be_a_length(make_map, given):
    with pytest.raises(BlushError, match=r"The voxel size given for map\.mrc is"):
        read_map(make_map(cube(8)), voxel_size=given)


def test_one_angstrom_is_taken_with_a_warning_where_it_can_be(make_map):
    with pytest.raises(BlushError, match="box only 39 Å wide"):
        read_map(make_map(cube(39), voxel=1.0))
    volume = read_map(make_map(cube(40), voxel=1.0))
    assert volume.voxel_size == (1, 1, 1)
    assert "exactly 1 Å, which some programs write when they do not know it" in volume.warnings[0]


def test_a_small_box_of_another_size_is_believed(make_map):
    assert read_map(make_map(cube(8), voxel=1.01)).warnings == ()


@pytest.mark.parametrize("size", [0.1, 0.834, 1.0499999, 4.1004, 100.0])
def test_plausible_sizes_survive_the_header(make_map, size):
    (z, y, x) = read_map(make_map(cube(90), voxel=size)).voxel_size
    assert z == y == x == pytest.approx(size, rel=2e-7)


def test_anisotropic_voxels_are_kept_with_a_warning(make_map):
    volume = read_map(make_map(cube(10), zlen=30))
    assert volume.voxel_size == (3, 2, 2)
    assert "not cubes: 2 × 2 × 3 Å along x, y, z" in volume.warnings[0]
    with pytest.raises(BlushError, match="The voxels are not cubes: 2 × 2 × 3 Å"):
        _ = volume.isotropic_voxel_size


def test_rounded_cells_are_isotropic(make_map):
    volume = read_map(make_map(cube(10), zlen=20.01))
    assert volume.warnings == ()
    assert volume.isotropic_voxel_size == pytest.approx(2.0003, abs=1e-4)
