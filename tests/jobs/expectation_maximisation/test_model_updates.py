"""Noise, norms, scales, offsets and directions from the sums of an E-step."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from blushcore.jobs.expectation_maximisation.model import ParticleModel
from blushcore.jobs.expectation_maximisation.model_updates import (
    implausible_values,
    updated_model,
    updated_scales,
)
from blushcore.jobs.expectation_maximisation.poses import updated_norms

SSNR = np.array([999.0, 50.0, 10.0, 3.1, 2.9, 0.1])
SIZES = np.array([10, 30, 20])


def sums_of(**changes) -> SimpleNamespace:
    """What stands in for the sums of an E-step."""
    values = {
        "direction_weight": torch.tensor([3.0, 1.0], dtype=torch.float64),
        "weight": 4.0,
        "offset_sigma_angstrom": 6.0,
        "noise_variance": lambda previous: [2 * v for v in previous],
        "scale_cross": torch.ones(3, 6, dtype=torch.float64),
        "scale_power": torch.ones(3, 6, dtype=torch.float64),
    }
    return SimpleNamespace(**{**values, **changes})


def model() -> ParticleModel:
    return ParticleModel(np.zeros((4, 4, 4), np.float32), (np.ones(3),), np.ones(3), 10.0)


def updated(sums=None, **changes):
    options = {
        "ssnr": SSNR,
        "group_sizes": SIZES,
        "is_global": True,
        "only_poses": False,
        "scale_correction": True,
    }
    return updated_model(model(), sums or sums_of(), **{**options, **changes})


def test_a_model_takes_what_the_sums_say():
    new = updated()
    np.testing.assert_array_equal(new.direction_prior, [0.75, 0.25])
    np.testing.assert_array_equal(new.noise_variance[0], [2.0, 2.0, 2.0])
    assert new.offset_sigma_angstrom == 6.0
    assert updated(sums_of(offset_sigma_angstrom=0.5)).offset_sigma_angstrom == 2.0


def test_a_first_look_by_correlation_leaves_noise_and_scales_alone():
    new = updated(sums_of(scale_cross=2 * torch.rand(3, 6, dtype=torch.float64)), only_poses=True)
    np.testing.assert_array_equal(new.noise_variance[0], np.ones(3))
    np.testing.assert_array_equal(new.group_scale, np.ones(3))
    assert new.offset_sigma_angstrom == 6.0


def test_local_searches_say_nothing_about_directions():
    assert updated(is_global=False).direction_prior is None


def test_scales_are_ratios_over_shells_with_much_signal():
    power = np.ones((3, 6))
    cross = np.array([[9, 1, 1, 1, 9, 9], [9, 2, 2, 2, 9, 9], [9, 1.5, 1.5, 1.5, 9, 9]], float)
    found = updated_scales(np.ones(3), cross, power, SSNR, SIZES)
    assert np.average(found, weights=SIZES) == pytest.approx(1.0)
    np.testing.assert_allclose(found / found[0], [1.0, 2.0, 1.5])


def test_scales_stay_within_five_times_the_median():
    cross = np.array([[1.0] * 6, [1.0] * 6, [100.0] * 6])
    found = updated_scales(np.ones(3), cross, np.ones((3, 6)), SSNR, SIZES)
    assert found[2] / found[0] == pytest.approx(5.0)


@pytest.mark.parametrize(
    ("scale", "ssnr"), [(np.ones(1), SSNR), (np.full(3, 0.9), np.zeros(6))], ids=["one group", "no signal"]
)
def test_scales_that_cannot_be_told_are_kept(scale, ssnr):
    cross = np.full((len(scale), 6), 7.0)
    sizes = np.ones(len(scale), np.int64)
    np.testing.assert_array_equal(updated_scales(scale, cross, np.ones_like(cross), ssnr, sizes), scale)


def test_a_group_without_images_keeps_its_scale_and_does_not_count():
    cross = np.array([[2.0] * 6, [4.0] * 6, [0.0] * 6])
    found = updated_scales(np.ones(3), cross, np.ones((3, 6)), SSNR, np.array([10, 10, 0]))
    np.testing.assert_allclose(found[:2], [2 / 3, 4 / 3])


def test_norms_follow_the_residual_of_the_normalised_image():
    found = updated_norms(np.array([2.0, 1.0, 1.0]), 2.0, np.array([1.5, 1.0, 0.0]))
    np.testing.assert_array_equal(found, [1.5, 0.5, 1.0])


def test_values_that_no_proper_images_have_are_reported():
    norm = np.ones(50)
    names = ("one", "two")
    assert implausible_values(norm, (np.ones(2),), names) == []
    norm[7] = 3e8
    (sentence,) = implausible_values(norm, (np.ones(2),), names)
    assert "particle 8" in sentence
    (sentence,) = implausible_values(np.ones(50), (np.array([1.0, 4.0]),), names)
    assert "two: 4" in sentence
