"""The flat lists of an image's independent components."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from blushcore.shells import PlaneComponents, images_from, transform_images


@given(n=st.integers(4, 40), data=st.data())
def test_each_independent_component_is_there_once(n, data):
    size = 2 * data.draw(st.integers(1, (n + 1) // 2))
    plane = PlaneComponents.of(n, size)
    mine = {(int(x), int(y)) for x, y in zip(plane.kx, plane.ky, strict=True)}
    assert len(mine) == plane.count
    assert (0, 0) not in mine
    assert not any((-x, -y) in mine for x, y in mine)
    everything = {
        (x, y)
        for x in range(-n, n + 1)
        for y in range(-n, n + 1)
        if max(abs(x), abs(y)) < n / 2 and 1 <= round(np.hypot(x, y)) <= size // 2
    }
    assert mine | {(-x, -y) for x, y in mine} == everything
    assert (plane.shell.diff() >= 0).all()


@pytest.mark.parametrize("n", [15, 16])
def test_a_smaller_size_is_the_beginning_of_a_larger(n):
    large, small = PlaneComponents.of(n, 12), PlaneComponents.of(n, 12).within(6)
    assert torch.equal(small.kx, large.kx[: small.count])
    assert torch.equal(small.ky, large.ky[: small.count])
    with pytest.raises(ValueError, match="larger"):
        small.within(8)


@pytest.mark.parametrize("n", [15, 16])
def test_there_and_back(n):
    plane = PlaneComponents.of(n)
    components = torch.randn(3, plane.count, dtype=torch.complex64)
    images = images_from(components, plane)
    assert images.shape == (3, n, n)
    torch.testing.assert_close(transform_images(images, plane), components, atol=1e-6, rtol=1e-5)
    assert images.mean((1, 2)).abs().max() < 1e-6


@pytest.mark.parametrize("n", [15, 16])
def test_a_ramp_moves_the_image_by_plus_t(n):
    plane = PlaneComponents.of(n, 12)
    image = torch.zeros(n, n)
    image[n // 2, n // 2] = 1  # origin
    moved = torch.zeros(n, n)
    moved[n // 2 - 3, n // 2 + 2] = 1  # x + 2, y − 3
    ramp = plane.phase_ramps(torch.tensor([2.0, -3.0]))
    torch.testing.assert_close(transform_images(image, plane) * ramp, transform_images(moved, plane))


def test_the_origin_has_phase_zero_and_the_scale_is_one_over_the_number_of_pixels():
    plane = PlaneComponents.of(8)
    image = torch.zeros(8, 8)
    image[4, 4] = 64.0
    torch.testing.assert_close(transform_images(image, plane), torch.ones(plane.count, dtype=torch.complex64))


def test_sums_over_shells():
    plane = PlaneComponents.of(16, 10)
    sums = plane.shell_sums(torch.ones(2, plane.count))
    assert torch.equal(sums[0], plane.shell_counts().float())
    assert sums.shape == (2, 6)
    assert sums[0, 0] == 0


@pytest.mark.parametrize("size", [3, 0, 18])
def test_current_sizes_that_cannot_be(size):
    with pytest.raises(ValueError, match="current size"):
        PlaneComponents.of(16, size)
