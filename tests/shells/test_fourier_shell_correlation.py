"""The FSC and its relatives: closed forms, statistics, invariances."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from blushcore.protocol import BlushError
from blushcore.shells import c_ref, filter_by_shell, fsc, fsc_weights, shell_counts, ssnr


def noise(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, n, n)).astype(np.float32)


@pytest.mark.parametrize("n", [4, 5, 32, 33])
def test_a_map_agrees_with_itself(n):
    assert fsc(noise(n, 0), noise(n, 0)) == pytest.approx(1.0, abs=1e-12)


def test_a_map_and_its_negative_disagree_but_in_the_origin():
    curve = fsc(noise(16, 0), -noise(16, 0))
    assert curve[0] == 1.0
    assert curve[1:] == pytest.approx(-1.0, abs=1e-12)


@pytest.mark.parametrize("counting", ["sphere", "half"])
def test_white_noise_has_no_fsc_and_a_variance_of_one_over_the_components(counting):
    n, pairs = 24, 60
    curves = np.stack([fsc(noise(n, 2 * i), noise(n, 2 * i + 1), counting=counting) for i in range(pairs)])
    expected = 1 / shell_counts(n)
    score = curves.mean(0)[1:] / np.sqrt(expected[1:] / pairs)
    assert np.abs(score).max() < 4
    ratio = curves.var(0, ddof=1)[3:] / expected[3:]
    # Counting the plane x = 0 twice makes the estimate a little worse, the more so in small shells.
    assert (0.9 if counting == "sphere" else 1.0) < ratio.mean() < (1.1 if counting == "sphere" else 1.6)


@pytest.mark.parametrize("noise_variance", [0.2, 1.0, 6.0])
def test_signal_of_known_snr_has_the_known_fsc(noise_variance):
    n = 48
    signal = noise(n, 0)
    halves = [signal + np.sqrt(noise_variance) * noise(n, seed) for seed in (1, 2)]
    expected = 1 / (1 + noise_variance)
    score = (fsc(*halves) - expected)[1:] / ((1 - expected**2) / np.sqrt(shell_counts(n)[1:]))
    assert np.abs(score).max() < 4
    assert 0.6 < score.std() < 1.4


def test_coloured_signal_follows_its_spectrum():
    n = 48
    colour = np.exp(-((np.arange(n // 2 + 1) / 10) ** 2))
    signal = filter_by_shell(noise(n, 0), colour, interpolation="step").numpy()
    halves = [signal + 0.3 * noise(n, seed) for seed in (1, 2)]
    expected = colour**2 / (colour**2 + 0.09)
    score = (fsc(*halves) - expected) / ((1 - expected**2) / np.sqrt(shell_counts(n)))
    assert np.abs(score[1:]).max() < 4


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(4, 20),
    seed=st.integers(0, 2**31),
    exponent=st.floats(-15, 15),
    offset=st.floats(-1e3, 1e3),
    shift=st.tuples(*[st.integers(-5, 5)] * 3),
)
def test_scale_offset_order_and_common_moves_do_not_matter(n, seed, exponent, offset, shift):
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(n, n, n))
    first, second = ((common + rng.normal(size=common.shape)) for _ in range(2))
    curve = fsc(first, second)
    assert (np.abs(curve) <= 1).all()
    assert fsc(second, first) == pytest.approx(curve, abs=1e-10)
    assert fsc(10.0**exponent * (first + offset), second) == pytest.approx(curve, abs=1e-10)
    moved = [np.roll(half, shift, axis=(0, 1, 2)) for half in (first, second)]
    assert fsc(*moved) == pytest.approx(curve, abs=1e-10)
    turned = [half.transpose(2, 0, 1)[::-1] for half in (first, second)]
    assert fsc(*turned) == pytest.approx(curve, abs=1e-10)


def test_a_large_offset_costs_no_digits_in_float32():
    first, second = noise(24, 0), noise(24, 0) + noise(24, 1)
    # Values at 1000 ± 1 themselves carry only four digits behind the point.
    assert fsc(first + 1000, second - 1000) == pytest.approx(fsc(first, second), abs=1e-4)


def test_an_empty_shell_has_no_correlation():
    n = 16
    curve = np.ones(n // 2 + 1)
    curve[5:] = 0
    flat = np.ones((n, n, n), np.float32)
    assert fsc(flat, noise(n, 0))[1:] == pytest.approx(0.0)
    band_limited = filter_by_shell(noise(n, 0).astype(np.float64), curve, interpolation="step", beyond="zero")
    found = fsc(band_limited, torch.from_numpy(noise(n, 0)))
    assert found[1:5] == pytest.approx(1.0, abs=1e-6)
    assert np.isfinite(found).all()


def test_different_boxes_are_refused():
    with pytest.raises(BlushError, match="different boxes, 8 and 10"):
        fsc(noise(8, 0), noise(10, 0))


def test_c_ref_of_known_values():
    assert c_ref(np.array([1.0, 0.143, 0.0, -0.2])) == pytest.approx([1.0, 0.5, 0.0, 0.0], abs=4e-4)


def test_c_ref_is_the_correlation_of_the_joined_map_with_the_truth():
    n = 64
    truth = noise(n, 0)
    halves = [truth + 2 * noise(n, seed) for seed in (1, 2)]
    with_truth = fsc(halves[0] + halves[1], truth)
    assert c_ref(fsc(*halves))[16:] == pytest.approx(with_truth[16:], abs=0.06)
    assert c_ref(fsc(*halves))[16:].mean() == pytest.approx(with_truth[16:].mean(), abs=0.01)


def test_weights_end_where_the_fsc_first_reaches_zero():
    curve = np.array([1.0, 0.9, 0.5, -0.01, 0.3, 0.2])
    assert fsc_weights(curve) == pytest.approx([1.0, np.sqrt(1.8 / 1.9), np.sqrt(1 / 1.5), 0, 0, 0])


def test_ssnr_is_signal_over_noise_within_its_limits():
    assert ssnr(np.array([0.5, 0.8])) == pytest.approx([1.0, 4.0])
    assert ssnr(np.array([1.0, -1.0])) == pytest.approx([999.0, 0.001 / 0.999])
