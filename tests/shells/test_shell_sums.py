"""Sums over shells against a plain full FFT in float64, and against what must hold for any map."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from blushcore.protocol import BlushError
from blushcore.shells import (
    average_over_shells,
    cross_sums,
    filter_by_shell,
    fsc,
    power_spectrum,
    shell_counts,
    sum_over_shells,
)
from blushcore.shells import transforms as transforms_module

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)]


def naive_sums(half1: np.ndarray, half2: np.ndarray) -> list[np.ndarray]:
    """Cross sum and powers over the shells of the full transforms."""
    n = half1.shape[0]
    k = np.fft.fftfreq(n, 1 / n)
    radius = np.sqrt(k[:, None, None] ** 2 + k[None, :, None] ** 2 + k[None, None, :] ** 2)
    shell = np.floor(radius + 0.5).astype(int).ravel()
    a, b = np.fft.fftn(half1.astype(np.float64)).ravel(), np.fft.fftn(half2.astype(np.float64)).ravel()
    quantities = ((a * b.conj()).real, np.abs(a) ** 2, np.abs(b) ** 2)
    return [np.bincount(shell, quantity)[: n // 2 + 1] for quantity in quantities]


def related_noise(n: int, dtype=np.float32, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(n, n, n))
    return [(common + rng.normal(size=common.shape)).astype(dtype) for _ in range(2)]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("n", [4, 5, 16, 17, 32, 45])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 2e-6), (np.float64, 1e-12)])
def test_fsc_is_that_of_the_full_transform(n, dtype, tolerance, device):
    halves = related_noise(n, dtype)
    cross, power1, power2 = naive_sums(*halves)
    found = fsc(*(torch.from_numpy(half).to(device) for half in halves))
    assert found.dtype == np.float64
    assert found[1:] == pytest.approx((cross / np.sqrt(power1 * power2))[1:], abs=tolerance)


@pytest.mark.parametrize("n", [8, 9, 32])
def test_power_spectrum_is_that_of_the_full_transform_the_origin_included(n):
    volume = related_noise(n)[0] + np.float32(3.0)
    expected = naive_sums(volume, volume)[1] / shell_counts(n)
    for norm, factor in (("backward", 1), ("ortho", n**3), ("forward", n**6)):
        assert power_spectrum(volume, norm=norm) == pytest.approx(expected / factor, rel=1e-5)


@pytest.mark.parametrize("planes_together", [1, 3, 1000])
def test_sums_do_not_depend_on_the_size_of_the_blocks(planes_together, monkeypatch):
    n = 20
    whole = cross_sums(*related_noise(n))
    monkeypatch.setitem(transforms_module._COMPONENTS_PER_BLOCK, "cpu", planes_together * n * (n // 2 + 1))
    blockwise = cross_sums(*related_noise(n))
    assert blockwise.cross == pytest.approx(whole.cross, rel=1e-9)
    assert blockwise.power2 == pytest.approx(whole.power2, rel=1e-9)


@pytest.mark.parametrize("n", [16, 17])
def test_parseval(n):
    # Without the corners, which no curve holds, the shells together are the whole map.
    volume = filter_by_shell(
        related_noise(n, np.float64)[0] + 0.5, np.ones(n // 2 + 1), interpolation="step", beyond="zero"
    )
    total = (power_spectrum(volume) * shell_counts(n)).sum()
    assert total == pytest.approx(float((volume**2).sum()), rel=1e-10)


def test_white_noise_has_its_variance_in_every_shell():
    n = 48
    noise = np.random.default_rng(3).normal(0, 2.5, (n, n, n))
    deviation = (power_spectrum(noise) / 2.5**2 - 1) * np.sqrt(shell_counts(n) / 2)
    assert np.abs(deviation[1:]).max() < 4
    assert 0.7 < deviation[1:].std() < 1.4


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_sums_over_values_of_a_half_transform_count_friedel_mates(dtype):
    n = 12
    ones = torch.ones(n, n, n // 2 + 1, dtype=dtype)
    assert np.array_equal(sum_over_shells(ones), shell_counts(n))
    assert np.array_equal(sum_over_shells(ones, counting="half"), shell_counts(n, "half"))
    assert average_over_shells(7 * ones) == pytest.approx(7.0)
    assert bool((ones == 1).all())  # left as it was


@pytest.mark.parametrize("exponent", [-80, -40, 40, 80])
def test_maps_in_any_unit_to_the_last_bit(exponent):
    scale = np.float32(2.0**exponent)
    half1, half2 = related_noise(16)
    assert np.array_equal(fsc(scale * half1, scale * half2), fsc(half1, half2))
    assert np.array_equal(power_spectrum(scale * half1) / 4.0**exponent, power_spectrum(half1))


@pytest.mark.parametrize(
    ("volume", "sentence"),
    [
        (np.zeros((8, 8, 9), np.float32), "8 x 8 x 9 voxels"),
        (np.zeros((8, 8), np.float32), "8 x 8 voxels"),
        (np.zeros((2, 2, 2), np.float32), "2 x 2 x 2 voxels"),
        (np.full((8, 8, 8), np.nan, np.float32), "NaN"),
        (np.where(np.arange(512).reshape(8, 8, 8) == 5, np.inf, 1.0), "infinite"),
    ],
)
def test_what_has_no_shells_is_refused(volume, sentence):
    with pytest.raises(BlushError, match=sentence):
        power_spectrum(volume)


@pytest.mark.parametrize("dtype", [np.int16, np.float16, ">f4", np.uint8])
def test_other_types_are_taken_as_float32(dtype):
    volume = np.random.default_rng(0).integers(0, 100, (9, 9, 9)).astype(dtype)
    as_float = volume.astype(np.float32)
    assert np.array_equal(power_spectrum(volume), power_spectrum(as_float))


def test_arrays_that_may_not_be_written_to_are_taken_without_a_warning():
    volume = related_noise(8)[0]
    volume.flags.writeable = False
    assert fsc(volume, volume) == pytest.approx(1.0)
