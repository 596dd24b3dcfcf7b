"""The local standard deviation against a plain float64 computation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from blushcore.denoiser import local_standard_deviation


def reference(volume: np.ndarray) -> np.ndarray:
    taps = np.exp(-(np.linspace(-1.5, 1.5, 21) ** 2))
    taps /= taps.sum()

    def blur(values: np.ndarray) -> np.ndarray:
        for axis in range(3):
            values = ndimage.convolve1d(values, taps, axis=axis, mode="constant")
        return values

    volume = volume.astype(np.float64)
    std = np.sqrt(np.maximum(blur(volume**2) - blur(volume) ** 2, 0))
    return std / std.mean()


@settings(deadline=None, max_examples=12)
@given(
    shape=st.tuples(*[st.integers(1, 40)] * 3),
    scale=st.sampled_from([1e-6, 1.0, 3e5]),
    seed=st.integers(0, 1000),
)
def test_equals_the_plain_computation(shape, scale, seed):
    rng = np.random.default_rng(seed)
    volume = (ndimage.gaussian_filter(rng.normal(size=shape), 1) * scale).astype(np.float32)
    if volume.std() == 0:
        return
    found = local_standard_deviation(torch.from_numpy(volume)).numpy()
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, reference(volume), atol=2e-3)
    assert np.abs(found - reference(volume)).mean() < 1e-4


@pytest.mark.parametrize("shape", [(140, 9, 20), (20, 150, 9), (9, 20, 260)])
def test_stretches_of_rows_fit_together(shape):
    volume = np.random.default_rng(0).normal(size=shape)
    np.testing.assert_allclose(local_standard_deviation(torch.from_numpy(volume)).numpy(), reference(volume))


def test_input_is_left_alone():
    volume = torch.randn((12, 12, 12))
    before = volume.clone()
    local_standard_deviation(volume)
    assert torch.equal(volume, before)


def test_constant_volume_has_none():
    assert not local_standard_deviation(torch.zeros((10, 10, 10))).any()
