"""Fourier resampling and padding, held against a slow oracle and against what must not change."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor

from blushcore.volumes import fourier_resample, pad_or_crop

SIZES = st.integers(1, 12)
SHAPES = st.tuples(SIZES, SIZES, SIZES)
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)]


def noise(shape, seed=0, dtype=torch.float64) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape)).to(dtype)


def trigonometric_interpolation(n: int, m: int) -> np.ndarray:
    """The matrix ``(m, n)`` that takes n points to their band-limited interpolant at m, centre to centre.

    Written as the sum over frequencies that both grids have. Of a grid with an even number, ±n/2 are the same
    frequency: its cosine counts once from n to m, and both halves of the finer grid's pair go to the coarser's.
    """
    at = (np.arange(m) - m // 2) / m
    of = (np.arange(n) - n // 2) / n
    distance = at[:, None] - of[None, :]
    smaller = min(n, m)
    total = np.ones((m, n))
    for k in range(1, (smaller + 1) // 2):
        total += 2 * np.cos(2 * math.pi * k * distance)
    if smaller % 2 == 0:
        nyquist = np.cos(2 * math.pi * (smaller // 2) * distance)
        # Upwards its cosine alone continues it; downwards both ±m/2 are taken.
        total += 2 * nyquist if m < n else nyquist
    return total / n


@given(shape=SHAPES, wanted=SHAPES, seed=st.integers(0, 2**31))
def test_against_sums_of_cosines(shape, wanted, seed):
    volume = noise(shape, seed)
    z, y, x = (
        torch.from_numpy(trigonometric_interpolation(n, m) if n != m else np.eye(n))
        for n, m in zip(shape, wanted, strict=True)
    )
    expected = torch.einsum("ai,bj,ck,ijk->abc", z, y, x, volume)
    result = fourier_resample(volume, wanted)
    assert result.shape == wanted
    torch.testing.assert_close(result, expected, rtol=0, atol=1e-10)


@given(shape=SHAPES, growth=st.tuples(*[st.integers(0, 7)] * 3), seed=st.integers(0, 2**31))
def test_up_and_down_again_is_the_identity(shape, growth, seed):
    volume = noise(shape, seed)
    larger = tuple(n + g for n, g in zip(shape, growth, strict=True))
    back = fourier_resample(fourier_resample(volume, larger), shape)
    torch.testing.assert_close(back, volume, rtol=0, atol=1e-10)


@given(shape=SHAPES, wanted=SHAPES, value=st.floats(-1e6, 1e6))
def test_a_constant_stays_that_constant(shape, wanted, value):
    result = fourier_resample(torch.full(shape, value, dtype=torch.float64), wanted)
    torch.testing.assert_close(result, torch.full(wanted, value, dtype=torch.float64))


@given(shape=SHAPES, wanted=SHAPES, seed=st.integers(0, 2**31))
def test_the_mean_stays(shape, wanted, seed):
    # At an even size m its Nyquist frequency takes part; on a grid of 2 it is all there is, yet its mean is 0.
    assume(all(m > 1 for m in wanted))
    volume = noise(shape, seed)
    torch.testing.assert_close(fourier_resample(volume, wanted).mean(), volume.mean())


@given(shape=st.tuples(*[st.integers(24, 41)] * 3), wanted=st.tuples(*[st.integers(24, 41)] * 3))
def test_a_gaussian_stays_on_the_centre(shape, wanted):
    """In units of the box, a Gaussian at the centre n // 2 becomes the same Gaussian at m // 2."""

    def gaussian(sizes):
        z, y, x = (
            torch.exp(-(((torch.arange(n, dtype=torch.float64) - n // 2) / n / 0.06) ** 2) / 2) for n in sizes
        )
        return z[:, None, None] * y[:, None] * x

    result = fourier_resample(gaussian(shape), wanted)
    assert result.argmax() == np.ravel_multi_index([m // 2 for m in wanted], wanted)
    torch.testing.assert_close(result, gaussian(wanted), rtol=0, atol=2e-4)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [(torch.float64, 1e-12), (torch.float32, 1e-5), (torch.float16, 5e-3), (torch.bfloat16, 4e-2)],
)
@pytest.mark.parametrize("wanted", [(8, 9, 10), (15, 14, 13), (11, 10, 12), (11, 12, 9)])
def test_dtype_and_device_are_kept(device, dtype, tolerance, wanted):
    volume = noise((11, 10, 12))
    result = fourier_resample(volume.to(device, dtype), wanted)
    assert result.dtype == dtype
    assert result.device.type == device
    torch.testing.assert_close(result.double().cpu(), fourier_resample(volume, wanted), rtol=0, atol=tolerance)


def test_batches():
    volumes = noise((2, 3, 6, 7, 8))
    result = fourier_resample(volumes, (7, 5, 8))
    for i in range(2):
        for j in range(3):
            torch.testing.assert_close(result[i, j], fourier_resample(volumes[i, j], (7, 5, 8)))


def test_the_input_is_left_alone_and_never_shared():
    volume = noise((6, 7, 8))
    before = volume.clone()
    for wanted in [(6, 7, 8), (5, 6, 7), (7, 8, 9), (6, 7, 9)]:
        fourier_resample(volume, wanted).zero_()
        pad_or_crop(volume, wanted).zero_()
        torch.testing.assert_close(volume, before, rtol=0, atol=0)


def test_strided_input():
    volume = noise((8, 9, 10))
    torch.testing.assert_close(
        fourier_resample(volume.permute(2, 0, 1), (7, 12, 11)),
        fourier_resample(volume.permute(2, 0, 1).contiguous(), (7, 12, 11)),
    )


@pytest.mark.parametrize("bad", [torch.zeros(4, 4), torch.zeros((4, 4, 4), dtype=torch.int32)])
def test_what_is_no_map(bad):
    with pytest.raises(ValueError, match="real floating point"):
        fourier_resample(bad, (4, 4, 4))


@given(shape=SHAPES, wanted=SHAPES, value=st.integers(-3, 3))
def test_pad_or_crop_keeps_the_centre(shape, wanted, value):
    volume = torch.arange(1, 1 + math.prod(shape)).reshape(shape) + 10
    result = pad_or_crop(volume, wanted, value)
    assert result.shape == wanted
    assert result.dtype == volume.dtype
    assert result[tuple(m // 2 for m in wanted)] == volume[tuple(n // 2 for n in shape)]
    kept = math.prod(min(n, m) for n, m in zip(shape, wanted, strict=True))
    assert (result != value).sum() == kept  # all of what both boxes cover, once
    assert len(result[result != value].unique()) == kept


def test_pad_or_crop_by_hand():
    row = torch.tensor([[[1, 2, 3, 4]]])  # the centre is 3
    assert pad_or_crop(row, (1, 1, 7)).tolist() == [[[0, 1, 2, 3, 4, 0, 0]]]
    assert pad_or_crop(row, (1, 1, 3), 9).tolist() == [[[2, 3, 4]]]
    assert pad_or_crop(row, (1, 1, 2)).tolist() == [[[2, 3]]]
    assert pad_or_crop(row, (1, 2, 4), 9).tolist() == [[[9, 9, 9, 9], [1, 2, 3, 4]]]


@given(shape=SHAPES, growth=st.tuples(*[st.integers(0, 7)] * 3))
def test_padding_and_cropping_again_is_the_identity(shape, growth):
    volume = noise(shape)
    larger = tuple(n + g for n, g in zip(shape, growth, strict=True))
    torch.testing.assert_close(pad_or_crop(pad_or_crop(volume, larger), shape), volume, rtol=0, atol=0)
