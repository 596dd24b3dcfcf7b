"""Local resolution: of halves that are finer here than there, of noise, under a mask."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from blushcore.protocol import BlushError
from blushcore.shells.local_resolution import (
    LocalResolutionMeasurement,
    crossing_shell,
    local_resolution,
)
from blushcore.volumes import gaussian_lowpass, lowpass

BOX, SIZE = 48, 2.0


def halves(resolutions: tuple[float, float], noise: float = 0.1) -> list[np.ndarray]:
    """White noise over a common part, whose power falls below it at one resolution for z below the middle.

    At another above: there the expected FSC, S/(S + N), is ½.
    """
    rng = np.random.default_rng(0)
    common = torch.from_numpy(rng.normal(size=(BOX,) * 3).astype(np.float32))
    # exp(−2π²σ²k²) is the amplitude that is left: that of the noise at k = 1/resolution.
    reach = math.sqrt(-math.log(noise) / 2) / math.pi
    fine, coarse = (gaussian_lowpass(common, reach * resolution, SIZE) for resolution in resolutions)
    signal = torch.cat([fine[: BOX // 2], coarse[BOX // 2 :]]).numpy()
    return [signal + noise * rng.normal(size=signal.shape).astype(np.float32) for _ in range(2)]


def box_around(*centre: int, reach: int = 4) -> np.ndarray:
    mask = np.zeros((BOX,) * 3, np.float32)
    mask[tuple(slice(c - reach, c + reach) for c in centre)] = 1
    return mask


def test_each_side_has_the_resolution_it_was_given() -> None:
    one, two = halves((6.0, 12.0))
    for z, expected in ((12, 6.0), (36, 12.0)):
        mask = box_around(z, 24, 24)
        result = local_resolution(one, two, voxel_size=SIZE, window_angstrom=40.0, mask=mask)
        # A shell of a window of 40 Å is 1/40 Å⁻¹ wide.
        assert abs(1 / result.percentiles(50)[0] - 1 / expected) < 0.6 / 40
        assert result.map.dtype == np.float32
        assert (result.window_voxels, result.step_voxels) == (20, 3)


def test_outside_the_mask_nothing_is_measured_and_nothing_looks_better() -> None:
    one, two = halves((6.0, 12.0))
    options = {"voxel_size": SIZE, "window_angstrom": 40.0}
    part = LocalResolutionMeasurement(one, two, mask=box_around(24, 24, 24, reach=2), **options)
    more = LocalResolutionMeasurement(one, two, mask=box_around(24, 24, 24), **options)
    whole = LocalResolutionMeasurement(one, two, **options)
    assert 4 * part.total < 2 * more.total < whole.total
    assert list(part.run())[-1] == part.total
    list(more.run())
    result, inside = part.result(), part.result().inside
    assert np.isfinite(result.map).all()
    np.testing.assert_allclose(result.map[inside], more.result().map[inside], rtol=1e-5)
    assert (result.map[~inside] == result.map[inside].max()).all()


@pytest.mark.parametrize("n", [25, 32])
@pytest.mark.parametrize("step", [3, 5])
def test_the_distance_of_the_windows_hardly_matters_and_every_voxel_has_a_value(n: int, step: int) -> None:
    rng = np.random.default_rng(1)
    common = lowpass(torch.from_numpy(rng.normal(size=(n,) * 3).astype(np.float32)), 8.0, SIZE).numpy()
    one, two = (common + 0.02 * rng.normal(size=common.shape).astype(np.float32) for _ in range(2))
    mask = np.zeros((n,) * 3)
    mask[n // 2 - 4 : n // 2 + 1, 2:6, n - 6 :] = 1
    result = local_resolution(one, two, voxel_size=SIZE, window_angstrom=32.0, mask=mask, step=step)
    dense = local_resolution(one, two, voxel_size=SIZE, window_angstrom=32.0, mask=mask, step=1)
    assert np.isfinite(result.map).all()
    assert np.median(np.abs(1 / result.map - 1 / dense.map)[mask > 0]) < 0.5 / 32


def test_noise_alone_has_the_lowest_resolution_and_a_copy_the_highest() -> None:
    rng = np.random.default_rng(2)
    one, two = rng.normal(size=(2, 24, 24, 24)).astype(np.float32)
    mask = np.zeros((24,) * 3)
    mask[10:14, 10:14, 10:14] = 1
    options = {"voxel_size": SIZE, "window_angstrom": 40.0, "mask": mask}
    assert local_resolution(one, two, **options).percentiles(50)[0] > 20
    assert local_resolution(one, one, **options).percentiles(50)[0] == pytest.approx(2 * SIZE)
    shifted = local_resolution(1e6 * one + 1e7, 1e-3 * one, **options)
    assert shifted.percentiles(50)[0] == pytest.approx(2 * SIZE)


def test_the_first_crossing_is_interpolated() -> None:
    assert crossing_shell(np.array([1.0, 0.9, 0.7, 0.3, 0.9]), 0.5) == pytest.approx(2.5)
    assert crossing_shell(np.array([1.0, 0.0, 0.9]), 0.5) == 1.0
    assert crossing_shell(np.array([1.0, 0.9, 0.8]), 0.5) == 2.0


def test_what_cannot_be_measured_is_refused() -> None:
    one = np.random.default_rng(0).normal(size=(24,) * 3).astype(np.float32)
    for window in (10.0, 60.0):
        with pytest.raises(BlushError, match="from 12 to the box of 24"):
            local_resolution(one, one, voxel_size=SIZE, window_angstrom=window)
    with pytest.raises(BlushError, match=r"below 0\.5 everywhere"):
        local_resolution(one, one, voxel_size=SIZE, window_angstrom=30.0, mask=np.zeros((24,) * 3))
    with pytest.raises(BlushError, match="a box of 20 voxels"):
        local_resolution(one, one, voxel_size=SIZE, window_angstrom=30.0, mask=np.ones((20,) * 3))
    with pytest.raises(BlushError, match="NaN"):
        local_resolution(np.where(one > 3, np.nan, one), one, voxel_size=SIZE, window_angstrom=30.0)
