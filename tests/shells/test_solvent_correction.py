"""The correction by phase randomisation, its refusals and its warnings."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from blushcore.protocol import BlushError
from blushcore.shells import (
    FscCurves,
    corrected_fsc,
    filter_by_shell,
    fsc,
    mask_warnings,
    randomisation_start,
    solvent_corrected_fsc,
)

BOX = 48


def ball(radius: float, edge: float = 0.0) -> np.ndarray:
    z, y, x = np.indices((BOX,) * 3) - BOX // 2
    beyond = np.sqrt(z**2 + y**2 + x**2) - radius
    if edge == 0:
        return (beyond <= 0).astype(np.float32)
    return (0.5 + 0.5 * np.cos(np.pi * np.clip(beyond / edge, 0, 1))).astype(np.float32)


@pytest.fixture(scope="module")
def halves():
    """A ball of texture that fades with frequency, in white noise."""
    rng = np.random.default_rng(0)
    fade = np.exp(-((np.arange(BOX // 2 + 1) / 7) ** 2))
    texture = filter_by_shell(rng.normal(size=(BOX,) * 3).astype(np.float32), fade).numpy()
    particle = (texture + 0.3) * ball(12, 3)
    noise = rng.normal(0, 0.08, (2, BOX, BOX, BOX)).astype(np.float32)
    return particle + noise[0], particle + noise[1]


def corrected(halves, mask, **options) -> FscCurves:
    return solvent_corrected_fsc(*halves, mask, voxel_size=1.0, **options)


def test_curves_are_what_their_names_say(halves):
    mask = ball(15, 5)
    curves = corrected(halves, mask)
    start = curves.randomised_from_shell
    assert np.array_equal(curves.unmasked, fsc(*halves))
    assert np.array_equal(curves.masked, fsc(halves[0] * mask, halves[1] * mask))
    assert curves.unmasked[start] < 0.8 <= curves.unmasked[1:start].min()
    assert np.array_equal(curves.corrected[: start + 2], curves.masked[: start + 2])
    expected = (curves.masked - curves.randomised)[start + 2 :] / (1 - curves.randomised[start + 2 :])
    assert curves.corrected[start + 2 :] == pytest.approx(expected)
    assert np.abs(curves.randomised[: start - 1] - curves.masked[: start - 1]).max() < 0.05


def test_a_seed_gives_the_same_curves_and_another_gives_others(halves):
    again = [corrected(halves, ball(15, 5), seed=seed).randomised for seed in (1, 1, 2)]
    assert np.array_equal(again[0], again[1])
    assert not np.array_equal(again[0], again[2])


def test_a_mask_of_ones_changes_nothing(halves):
    curves = corrected(halves, np.ones((BOX,) * 3))
    assert curves.mask_fraction == pytest.approx(1.0)
    assert curves.masked == pytest.approx(curves.unmasked, abs=1e-6)
    start = curves.randomised_from_shell
    assert np.abs(curves.randomised[start + 2 :] / curves.randomised_error[start + 2 :]).max() < 4


def test_the_correction_takes_away_what_a_sharp_mask_adds(halves):
    # Inside the particle's ball the true agreement is that of a soft, wide mask; a sharp one pretends more.
    honest = corrected(halves, ball(15, 6))
    tight = corrected(halves, ball(9))
    high = slice(16, None)
    assert honest.corrected[high].mean() < 0.05
    assert tight.masked[high].mean() > 0.2
    assert abs(tight.corrected[high].mean()) < 0.05


def test_randomised_error_is_the_scatter_over_seeds(halves):
    curves = [corrected(halves, ball(15, 5), seed=seed) for seed in range(20)]
    start = curves[0].randomised_from_shell
    scatter = np.std([c.randomised for c in curves], axis=0, ddof=1)[start + 3 :]
    assert 0.7 < np.median(scatter / curves[0].randomised_error[start + 3 :]) < 1.4


def test_a_binary_masks_fraction_is_its_share_of_the_box(halves):
    mask = ball(10)
    assert corrected(halves, mask).mask_fraction == pytest.approx(mask.mean(), rel=1e-5)


def test_halves_that_never_part_have_nothing_to_correct(halves):
    curves = corrected((halves[0], halves[0] + 1e-3 * halves[1]), ball(15, 5))
    assert curves.randomised_from_shell is None
    assert curves.randomised is None
    assert np.array_equal(curves.corrected, curves.masked)
    assert curves.resolution().reaches_nyquist
    assert mask_warnings(curves) == ()


def test_randomisation_may_start_at_another_fsc(halves):
    usual, early = (corrected(halves, ball(15, 5), randomise_below=below) for below in (0.8, 0.95))
    assert early.randomised_from_shell < usual.randomised_from_shell


def test_randomisation_starts_at_the_first_shell_even_if_it_recovers():
    assert randomisation_start(np.array([0.1, 0.9, 0.7, 0.9, 0.2])) == 2
    assert randomisation_start(np.array([0.1, 0.9, 0.9])) is None
    assert randomisation_start(np.array([1.0, -1.0])) == 1


def test_a_mask_that_explains_everything_leaves_nothing():
    ones = np.ones(6)
    assert corrected_fsc(ones, ones, 1) == pytest.approx([1, 1, 1, 0, 0, 0])
    assert corrected_fsc(0.5 * ones, 0 * ones, 3) == pytest.approx(0.5)


def test_a_soft_wide_mask_is_not_complained_about(halves):
    for seed in range(5):
        assert mask_warnings(corrected(halves, ball(15, 6), seed=seed)) == ()


def test_a_mask_cut_into_the_particle_is_called_too_tight(halves):
    for seed in range(5):
        assert "too tight" in " ".join(mask_warnings(corrected(halves, ball(7), seed=seed)))


def test_a_mask_beside_the_particle_is_noticed(halves):
    beside = ndimage.shift(ball(6, 4), (-15, -15, -15), order=1)
    assert "worse" in " ".join(mask_warnings(corrected(halves, beside)))


def test_without_a_mask_there_is_nothing_to_say(halves):
    assert mask_warnings(FscCurves(box=BOX, voxel_size=1.0, unmasked=fsc(*halves))) == ()


@pytest.mark.parametrize(
    ("mask", "sentence"),
    [
        (np.ones((BOX - 2,) * 3), "box of 46 voxels, the halves of 48"),
        (2 * ball(10), "from 0 to 2"),
        (ball(10) - 0.5, "from -0.5 to 0.5"),
        (np.where(ball(10) > 0, np.nan, 1), "nan"),
        (0 * ball(10), "empty"),
        (np.ones((BOX, BOX)), "48 x 48 voxels"),
    ],
)
def test_what_is_no_mask_is_refused(halves, mask, sentence):
    with pytest.raises(BlushError, match=sentence):
        corrected(halves, mask)


def test_nan_in_a_half_is_refused(halves):
    broken = halves[1].copy()
    broken[3, 4, 5] = np.nan
    with pytest.raises(BlushError, match="second half contains NaN"):
        corrected((halves[0], broken), ball(10))
