"""The sphere and the mask on the network's grid."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from blushcore.denoiser.region import mask_on_grid, particle_sphere


def radii(shape, voxel_size) -> torch.Tensor:
    """Distance from the centre in Å."""
    squared = torch.zeros(shape)
    for axis, n in enumerate(shape):
        view = [-1 if i == axis else 1 for i in range(3)]
        squared = squared + ((torch.arange(n) - n // 2) * voxel_size).square().view(view)
    return squared.sqrt()


@pytest.mark.parametrize("diameter", [30.0, 60.0, 100.0])
def test_the_particle_is_inside_and_its_edge_outside(diameter):
    mask, r = particle_sphere((96, 96, 96), (1.5, 1.5, 1.5), diameter), radii((96, 96, 96), 1.5)
    assert float(mask[r <= diameter / 2].min()) == 1
    assert float(mask[r > diameter / 2 + 10.01].max()) == 0
    middle = mask[(r - diameter / 2 - 5).abs() < 0.2]
    assert float((middle - 0.5).abs().max()) < 0.05


def test_a_particle_that_nearly_fills_the_box_is_not_cut():
    """96 Å box, 84 Å particle: the edge has 6 Å, not 10."""
    mask, r = particle_sphere((64, 64, 64), (1.5, 1.5, 1.5), 84.0), radii((64, 64, 64), 1.5)
    assert float(mask[r <= 42].min()) == 1
    assert float(mask[r >= 48].max()) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("diameter", [None, 1e6, 90.0])
@pytest.mark.parametrize("n", [2, 8, 12, 64])
def test_nothing_lies_outside_the_box(n, diameter):
    mask, r = particle_sphere((n, n, n), (1.5, 1.5, 1.5), diameter), radii((n, n, n), 1.5)
    assert float(mask[n // 2, n // 2, n // 2]) == 1
    assert float(mask[r >= 1.5 * n / 2].max()) == pytest.approx(0, abs=1e-6)


def test_sphere_of_a_flat_box_is_as_large_as_its_longest_axis():
    mask = particle_sphere((20, 100, 60), (1.5, 1.5, 1.5), None)
    assert float(mask[:, 50, 30].min()) == 1
    assert float(mask[10, :, 30].min()) == 0


@settings(deadline=None, max_examples=30)
@given(
    shape=st.tuples(*[st.integers(2, 30)] * 3),
    other=st.tuples(*[st.integers(2, 30)] * 3),
    seed=st.integers(0, 99),
)
def test_mask_is_interpolated_about_the_centre(shape, other, seed):
    """Against numpy's linear interpolation, axis by axis."""
    expected = np.random.default_rng(seed).random(shape)
    mask = torch.from_numpy(expected)
    for axis, (n, m) in enumerate(zip(shape, other, strict=True)):
        at = n // 2 + (np.arange(m) - m // 2) * n / m
        expected = np.apply_along_axis(lambda v, at=at, n=n: np.interp(at, np.arange(n), v), axis, expected)
    found = mask_on_grid(mask, other)
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.numpy(), np.where(expected < 1e-3, 0, expected), atol=2e-5)


def test_a_sharp_mask_does_not_ring():
    mask = torch.zeros((60, 60, 60))
    mask[20:40, 20:40, 20:40] = 1
    resampled = mask_on_grid(mask, (44, 44, 44))
    assert set(resampled[22, 22, :13].tolist()) == {0.0}
    assert float(resampled.max()) == 1


def test_tails_count_as_nothing_and_values_are_held_between_0_and_1():
    mask = torch.tensor([-1e-3, 9e-4, 2e-3, 1.0005]).view(4, 1, 1)
    assert mask_on_grid(mask, (4, 1, 1)).flatten().tolist() == pytest.approx([0, 0, 2e-3, 1])
