"""Layers of maps: made once, updated in place, and what is the user's stays the user's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from blushcore.volumes import Volume
from napari_blush.layers.contrast import contrast_of_images, contrast_of_map, contrast_of_projection

NOISE = np.random.default_rng(3).normal(2.0, 0.5, (40, 40, 40)).astype(np.float32)


def test_noise_is_shown_from_its_sigma() -> None:
    black, white = contrast_of_map(NOISE)
    assert black == pytest.approx(2 - 1.5 * 0.5, abs=0.02)
    assert 2 + 3 * 0.5 < white <= NOISE.max()


def test_a_particle_far_above_the_noise_keeps_its_detail() -> None:
    values = NOISE.copy()
    values[15:25, 15:25, 15:25] = np.linspace(20, 40, 10)
    assert 35 < contrast_of_map(values)[1] <= 40


def test_a_few_hot_voxels_do_not_count() -> None:
    values = NOISE.copy()
    values[0, 0, :20] = 1000.0
    assert contrast_of_map(values)[1] < 50


def test_values_that_are_no_numbers_do_not_count() -> None:
    values = NOISE.copy()
    values[0, 0, 0], values[1, 2, 3] = np.nan, np.inf
    assert contrast_of_map(values) == pytest.approx(contrast_of_map(NOISE), abs=0.05)
    assert contrast_of_map(np.full((4, 4, 4), np.nan, np.float32)) == (0.0, 1.0)


@pytest.mark.parametrize("shape", [(130, 120, 110), (9, 10, 11), (5, 1, 7), (1, 2, 2)])
def test_projections_have_limits_whatever_the_box(shape: tuple[int, int, int]) -> None:
    black, white = contrast_of_projection(np.random.default_rng(1).normal(size=shape).astype(np.float32))
    assert np.isfinite([black, white]).all()
    assert black < white


def test_the_empty_surroundings_of_a_masked_map_do_not_count() -> None:
    masked = np.zeros((80, 80, 80), np.float32)
    masked[20:60, 20:60, 20:60] = NOISE
    assert contrast_of_map(masked) == pytest.approx(contrast_of_map(NOISE), abs=0.05)


def test_masks_and_constants() -> None:
    mask = np.zeros((8, 8, 8), np.float32)
    mask[2:6] = 1
    assert contrast_of_map(mask) == (0, 1)
    assert contrast_of_map(mask * 0 + 3) == (3, 4)
    sparse = np.zeros((8, 8, 8), np.float32)
    sparse[0, 0, 0] = 5
    assert contrast_of_map(sparse) == (0, 5)
    assert contrast_of_images(NOISE) == pytest.approx((0.5, 3.5), abs=0.05)
    assert contrast_of_images(mask[:2]) == (-1, 1)


@pytest.mark.gui
def test_a_map_is_updated_in_its_layer(
    make_viewer: Callable[..., Any], two_maps: tuple[Volume, Volume]
) -> None:
    from napari_blush.layers.maps import add_or_update_map, find_map, volume_of
    from napari_blush.layers.view import unwrapped

    viewer = make_viewer()
    one, two = two_maps
    first = add_or_update_map(viewer, "result", one, name="result", details={"diameter": 100})
    limits = first.contrast_limits
    first.colormap, first.gamma = "viridis", 0.7
    again = add_or_update_map(viewer, "result", two, name="result 2", details={"diameter": 120})
    assert unwrapped(again) is unwrapped(first)
    assert len(viewer.layers) == 1
    assert again.data is two.data
    assert again.contrast_limits == pytest.approx([limit + 100 for limit in limits], abs=0.01)
    assert (again.colormap.name, again.gamma, again.name) == ("viridis", 0.7, "result 2")
    assert again.metadata["blush"]["diameter"] == 120
    assert again.metadata["blush"]["header"].labels == ("from elsewhere",)
    assert again.contrast_limits_range == pytest.approx([two.data.min(), two.data.max()])

    again.contrast_limits = (100.2, 100.4)
    again.name = "mine"
    add_or_update_map(viewer, "result", one, name="result 3")
    assert again.contrast_limits == pytest.approx([100.2, 100.4])
    assert again.name == "mine"

    coarser = one.with_data(one.data[::2, ::2, ::2], (4.0, 4.0, 4.0))
    add_or_update_map(viewer, "result", coarser, name="result 3")
    back = volume_of(again)
    assert np.array_equal(back.data, coarser.data)
    assert back.voxel_size == (4.0,) * 3
    assert np.allclose(back.position, coarser.position)
    assert find_map(viewer, "other") is None
    viewer.layers.remove(again)
    assert find_map(viewer, "result") is None


@pytest.mark.gui
def test_a_hidden_map_stays_hidden(make_viewer: Callable[..., Any], two_maps: tuple[Volume, Volume]) -> None:
    from napari_blush.layers.maps import add_or_update_map

    viewer = make_viewer()
    layer = add_or_update_map(viewer, "mask", two_maps[0], name="mask", visible=False, colormap="magenta")
    add_or_update_map(viewer, "mask", two_maps[1], name="mask")
    assert not layer.visible
    assert layer.colormap.name == "magenta"
