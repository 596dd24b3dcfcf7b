"""Our curves held against those of RELION's own programs, on the same files' contents."""

from __future__ import annotations

import json

import numpy as np
import pytest

from blushcore.cli import main
from blushcore.shells import (
    filter_by_shell,
    fsc,
    fsc_weights,
    resolution,
    shell_counts,
    solvent_corrected_fsc,
)
from blushcore.volumes import Volume, write_map

pytestmark = pytest.mark.relion

UNMASKED = "rlnFourierShellCorrelationUnmaskedMaps"
MASKED = "rlnFourierShellCorrelationMaskedMaps"
RANDOMISED = "rlnCorrectedFourierShellCorrelationPhaseRandomizedMaskedMaps"
CORRECTED = "rlnFourierShellCorrelationCorrected"
VOXEL_SIZE = 2.5


@pytest.fixture(params=["relion_halves", "relion_odd_halves"])
def case(request):
    return request.getfixturevalue(request.param)


def ours(case, seed=0, **options):
    options = {"counting": "half", **options}
    return solvent_corrected_fsc(case.half1, case.half2, case.mask, voxel_size=VOXEL_SIZE, seed=seed, **options)


@pytest.fixture(scope="module")
def our_seeds(relion_halves):
    return [ours(relion_halves, seed) for seed in range(20)]


def test_unmasked_and_masked_curves_are_relions_at_every_shell(case):
    curves = ours(case)
    assert np.abs(curves.unmasked - case.curve(UNMASKED)).max() < 1e-4
    assert np.abs(curves.masked - case.curve(MASKED)).max() < 1e-4


def test_blush_fsc_prints_relions_digits_as_it_is(relion_halves, tmp_path, capsys):
    for name in ("half1", "half2", "mask"):
        write_map(tmp_path / f"{name}.mrc", Volume(getattr(relion_halves, name).copy(), (VOXEL_SIZE,) * 3))
    half1, half2, mask = (str(tmp_path / f"{name}.mrc") for name in ("half1", "half2", "mask"))
    assert main(["fsc", half1, half2, "--mask", mask, "--json", "-"]) == 0
    report = json.loads(capsys.readouterr().out)
    for ours_name, column in (("unmasked", UNMASKED), ("masked", MASKED)):
        assert np.abs(np.array(report["curves"][ours_name]) - relion_halves.curve(column)).max() < 0.002
    theirs = relion_halves.postprocess[0]["general"]["rlnFinalResolution"]
    box = relion_halves.half1.shape[0] * VOXEL_SIZE
    assert abs(report["resolution"]["shell"] - box / theirs) <= 1.01


def test_counting_every_component_once_differs_from_relion_by_less_than_chance(case):
    # RELION counts the plane x = 0 twice; what that moves is below the FSC's own standard deviation.
    n = case.half1.shape[0]
    theirs = case.curve(UNMASKED)
    deviation = np.abs(fsc(case.half1, case.half2) - theirs)
    chance = (1 - theirs**2) / np.sqrt(shell_counts(n))
    assert (deviation[1:] < chance[1:]).all()
    assert deviation.max() < 0.02


def test_phases_are_randomised_from_relions_shell(case):
    start = ours(case).randomised_from_shell
    n = case.half1.shape[0]
    assert n * VOXEL_SIZE / start == pytest.approx(case.postprocess[0]["general"]["rlnRandomiseFrom"], abs=1e-4)


def test_correction_is_relions_formula_and_starts_two_shells_above(case):
    start = ours(case).randomised_from_shell
    masked, randomised, corrected = (case.curve(name) for name in (MASKED, RANDOMISED, CORRECTED))
    expected = masked.copy()
    beyond = slice(start + 2, None)
    expected[beyond] = (masked[beyond] - randomised[beyond]) / (1 - randomised[beyond])
    assert np.abs(expected - corrected).max() < 2e-5


@pytest.mark.parametrize(("name", "column"), [("randomised", RANDOMISED), ("corrected", CORRECTED)])
def test_randomised_and_corrected_curves_agree_within_chance(relion_halves, our_seeds, name, column):
    mine = np.stack([getattr(curves, name) for curves in our_seeds])
    theirs = relion_halves.curves(column)
    start = our_seeds[0].randomised_from_shell
    changed = slice(start if name == "randomised" else start + 2, None)
    spread = np.sqrt(0.5 * (mine.var(0, ddof=1) + theirs.var(0, ddof=1)))[changed]
    difference = (mine.mean(0) - theirs.mean(0))[changed]
    assert (np.abs(difference) < 3 * spread).all()
    # The two means of 20 seeds each may differ by their standard error only.
    score = difference / (spread * np.sqrt(2 / 20))
    assert np.sqrt((score**2).mean()) < 1.5
    assert np.abs(score).max() < 4
    # And the spread over seeds is the same: the phases are as random as RELION's.
    ratio = mine.std(0, ddof=1)[changed] / theirs.std(0, ddof=1)[changed]
    assert 0.8 < np.median(ratio) < 1.25


def test_each_relion_run_looks_like_one_of_ours(relion_halves, our_seeds):
    mine = np.stack([curves.randomised for curves in our_seeds])
    theirs = relion_halves.curves(RANDOMISED)
    changed = slice(our_seeds[0].randomised_from_shell, None)
    score = (theirs - mine.mean(0))[:, changed] / mine.std(0, ddof=1)[changed]
    # |t| > 3 with 19 degrees of freedom happens in 0.7 % of the cases.
    assert (np.abs(score) > 3).mean() < 0.03


def test_resolution_with_any_seed_is_within_one_shell_of_relions(relion_halves, our_seeds):
    # RELION's own resolution moves by two shells from seed to seed here, so its median is the yardstick.
    box = 64 * VOXEL_SIZE
    theirs = [round(box / run["general"]["rlnFinalResolution"]) for run in relion_halves.postprocess]
    mine = [curves.resolution().shell for curves in our_seeds]
    by_sphere = [ours(relion_halves, seed, counting="sphere").resolution().shell for seed in range(3)]
    assert all(abs(shell - np.median(theirs)) <= 1 for shell in mine + by_sphere)


def test_resolution_is_relions_last_shell_before_the_crossing(case):
    for run in case.postprocess:
        curve = run["fsc"][CORRECTED].to_numpy(float)
        found = resolution(curve, case.half1.shape[0] * VOXEL_SIZE)
        assert found.angstrom == pytest.approx(run["general"]["rlnFinalResolution"], abs=1e-4)


def test_fsc_weighting_gives_relions_map(relion_halves):
    weights = fsc_weights(relion_halves.curve(CORRECTED))
    assert (weights == 0).any()
    joined = 0.5 * (relion_halves.half1 + relion_halves.half2)
    weighted = filter_by_shell(joined, weights, interpolation="step", beyond="zero").numpy()
    assert np.abs(weighted - relion_halves.sharpened).max() < 1e-3 * relion_halves.sharpened.std()
