"""The decisions of a refinement, against those that RELION's program took on the same figures.

The rows are from the STAR files that relion_refine_mpi 3.1.3 wrote at every iteration of three refinements of
small sets (box 32, 4.4 Å/px; --ini_high 40 --oversampling 1 --pad 2 --skip_gridding).
"""

from __future__ import annotations

import dataclasses
import math
from typing import NamedTuple

import numpy as np
import pytest

from blushcore.inference import Accuracy
from blushcore.jobs.expectation_maximisation.poses import Changes
from blushcore.jobs.expectation_maximisation.search import (
    Search,
    coarse_size,
    first_shell_below,
    perturbation,
    resolution_shell,
    shell_at,
    signal_shell,
)
from blushcore.jobs.refine.schedule import (
    Course,
    Outcome,
    current_size,
    joined_shell,
    learn,
    refine_search,
    with_resolution_unchanged,
)

BOX, VOXEL_SIZE = 32, 4.4


class Row(NamedTuple):
    """An iteration as RELION wrote it down; crossings are the first shells below, 17 where there is none."""

    iteration: int
    order: int
    offset_range: float
    offset_step: float
    current_size: int
    accuracy_deg: float
    accuracy_angstrom: float
    change_deg: float
    change_angstrom: float
    below_half: int
    below_low: int
    fsc_at_limit: float
    p_max: float
    increment: int
    without_gain: int
    without_change: int


LOCAL_FROM_2 = (
    Row(1, 1, 13.2000, 8.8000, 28, 999.000, 999.0000, 87.6623, 7.57240, 6, 8, 0.000, 1.000, 10, 1, 0),
    Row(2, 1, 13.2000, 8.8000, 28, 26.570, 8.4348, 62.3997, 2.19467, 9, 13, 0.047, 0.159, 10, 0, 0),
    Row(3, 1, 13.2000, 8.8000, 32, 11.300, 3.4804, 59.0854, 2.85757, 8, 11, 0.031, 0.825, 10, 1, 0),
    Row(4, 1, 13.2000, 8.8000, 32, 5.530, 2.1076, 51.6584, 2.53191, 9, 11, 0.031, 0.903, 10, 0, 0),
    Row(5, 1, 13.2000, 8.8000, 32, 4.365, 1.7380, 51.9444, 2.96738, 8, 10, 0.004, 0.947, 10, 1, 1),
    Row(6, 2, 7.4185, 2.8116, 32, 4.890, 1.8744, 10.2642, 1.85433, 10, 15, 0.123, 0.662, 10, 0, 0),
    Row(7, 2, 7.4185, 2.8116, 32, 2.998, 1.2936, 8.9489, 0.92062, 10, 15, 0.117, 0.899, 10, 1, 0),
    Row(8, 2, 7.4185, 2.8116, 32, 2.589, 1.1440, 8.3934, 0.84828, 10, 16, 0.156, 0.918, 11, 2, 0),
    Row(9, 2, 7.4185, 2.8116, 32, 2.490, 1.1176, 7.0435, 0.72483, 10, 14, 0.131, 0.939, 11, 3, 0),
    Row(10, 2, 7.4185, 2.8116, 32, 2.492, 1.1088, 5.2066, 0.57348, 11, 14, 0.176, 0.925, 11, 0, 1),
    Row(11, 2, 7.4185, 2.8116, 32, 2.463, 1.1000, 4.1487, 0.57938, 10, 15, 0.131, 0.949, 11, 1, 2),
    Row(12, 3, 2.8969, 1.6500, 32, 2.437, 1.1000, 4.3189, 0.51354, 11, 17, 0.192, 0.765, 11, 0, 0),
    Row(13, 3, 2.8969, 1.6500, 32, 2.164, 0.9284, 1.9047, 0.32600, 11, 16, 0.215, 0.844, 11, 1, 1),
    Row(14, 4, 2.1384, 1.4256, 28, 2.176, 0.9504, 1.3662, 0.30676, 11, 15, 0.387, 0.600, 11, 1, 0),
    Row(15, 4, 2.1384, 1.4256, 28, 2.001, 0.8888, 1.1414, 0.36942, 11, 15, 0.381, 0.608, 11, 2, 1),
    Row(16, 5, 1.9899, 1.3266, 28, 1.980, 0.8844, 0.7424, 0.40643, 11, 15, 0.390, 0.270, 11, 1, 0),
    Row(17, 5, 1.9899, 1.3266, 28, 1.921, 0.8800, 0.5102, 0.31744, 11, 15, 0.393, 0.277, 11, 2, 1),
    Row(18, 5, 1.9899, 1.3266, 28, 1.911, 0.8844, 0.5625, 0.35982, 11, 15, 0.393, 0.306, 11, 3, 2),
)
LOCAL_FROM_3 = (
    Row(1, 1, 13.2000, 8.8000, 28, 999.000, 999.0000, 87.8534, 7.61700, 5, 8, 0.032, 1.000, 10, 1, 0),
    Row(2, 1, 13.2000, 8.8000, 28, 26.520, 8.5712, 60.1286, 2.18847, 9, 13, 0.063, 0.154, 10, 0, 0),
    Row(3, 1, 13.2000, 8.8000, 32, 11.690, 3.5816, 58.5379, 2.72684, 8, 11, 0.032, 0.824, 10, 1, 1),
    Row(4, 2, 6.8171, 3.0000, 32, 5.435, 2.0768, 30.9613, 2.00932, 10, 17, 0.158, 0.643, 10, 0, 0),
    Row(5, 2, 6.8171, 3.0000, 32, 2.988, 1.3068, 33.5351, 1.09602, 10, 15, 0.072, 0.864, 10, 1, 1),
    Row(6, 3, 5.4801, 1.7622, 32, 2.524, 1.1748, 2.6071, 0.55444, 11, 11, 0.051, 0.778, 10, 0, 0),
    Row(7, 3, 5.4801, 1.7622, 32, 2.248, 0.9768, 2.2320, 0.44567, 11, 17, 0.185, 0.804, 10, 1, 1),
    Row(8, 4, 2.2284, 1.4322, 32, 2.103, 0.9548, 1.1821, 0.46209, 11, 15, 0.063, 0.643, 10, 1, 0),
    Row(9, 4, 2.2284, 1.4322, 32, 2.047, 0.9372, 1.0209, 0.37552, 11, 17, 0.277, 0.669, 10, 2, 1),
    Row(10, 5, 2.0691, 1.3794, 28, 2.013, 0.9196, 0.6998, 0.30018, 11, 15, 0.402, 0.302, 10, 1, 0),
    Row(11, 5, 2.0691, 1.3794, 28, 1.998, 0.9108, 0.5717, 0.33541, 11, 15, 0.411, 0.296, 10, 2, 1),
    Row(12, 5, 2.0691, 1.3794, 28, 1.973, 0.8932, 0.5578, 0.31072, 11, 15, 0.406, 0.288, 10, 3, 2),
)
ABSOLUTE_SCALE = (
    Row(1, 1, 17.6000, 8.8000, 28, 30.100, 44.4400, 93.0659, 2.50634, 6, 7, 0.094, 0.009, 10, 0, 0),
    Row(2, 1, 17.6000, 8.8000, 30, 27.570, 12.6060, 60.2749, 2.32687, 7, 10, -0.015, 0.110, 10, 0, 0),
    Row(3, 1, 17.6000, 8.8000, 32, 13.360, 5.8212, 67.8581, 2.69161, 8, 10, -0.020, 0.546, 10, 0, 1),
    Row(4, 1, 17.6000, 8.8000, 32, 6.715, 3.2384, 61.3049, 2.26529, 8, 9, 0.030, 0.827, 10, 1, 2),
    Row(5, 2, 11.3264, 3.0000, 32, 5.165, 2.6620, 39.7123, 2.91398, 9, 15, 0.097, 0.644, 11, 0, 0),
    Row(6, 2, 11.3264, 3.0000, 32, 2.669, 1.4520, 40.0995, 1.80249, 9, 13, 0.084, 0.886, 11, 1, 0),
    Row(7, 2, 11.3264, 3.0000, 32, 2.247, 1.3156, 28.1484, 1.58308, 9, 14, 0.071, 0.918, 11, 2, 0),
    Row(8, 2, 11.3264, 3.0000, 32, 2.223, 1.2672, 24.4553, 1.27902, 9, 13, -0.005, 0.926, 11, 3, 0),
    Row(9, 2, 11.3264, 3.0000, 32, 2.318, 1.3024, 32.6104, 1.31235, 8, 8, 0.078, 0.879, 11, 4, 1),
    Row(10, 3, 6.5617, 1.9602, 32, 2.424, 1.3068, 3.4963, 0.71404, 10, 17, 0.181, 0.725, 11, 0, 0),
    Row(11, 3, 6.5617, 1.9602, 32, 1.706, 0.9504, 2.3324, 0.38345, 10, 12, 0.153, 0.877, 11, 1, 1),
    Row(12, 4, 2.0493, 1.3662, 32, 1.601, 0.9108, 1.3375, 0.33441, 10, 16, 0.191, 0.721, 11, 1, 0),
    Row(13, 4, 2.0493, 1.3662, 32, 1.391, 0.8800, 1.0143, 0.36235, 11, 17, 0.174, 0.824, 11, 0, 1),
    Row(14, 4, 2.0493, 1.3662, 32, 1.415, 0.8800, 1.1073, 0.35438, 11, 16, 0.159, 0.790, 11, 1, 2),
    Row(15, 5, 1.9800, 1.3200, 32, 1.365, 0.8800, 0.7020, 0.35275, 11, 17, 0.212, 0.492, 11, 1, 0),
    Row(16, 5, 1.9800, 1.3200, 28, 1.373, 0.8800, 0.5894, 0.38610, 11, 13, 0.105, 0.524, 11, 2, 1),
    Row(17, 5, 1.9800, 1.3200, 28, 1.406, 0.8800, 0.5173, 0.31526, 12, 13, 0.105, 0.466, 11, 0, 2),
    Row(18, 5, 1.9800, 1.3200, 30, 1.359, 0.8800, 0.5560, 0.35045, 9, 16, 0.248, 0.471, 12, 1, 3),
)


def curves(row: Row) -> tuple[np.ndarray, np.ndarray]:
    """FSC and signal-to-noise ratio with the crossings of a row."""
    fsc = np.full(BOX // 2 + 1, 0.0)
    last = row.current_size // 2
    fsc[: min(row.below_low, last + 1)] = 0.3
    fsc[: row.below_half] = 0.9
    fsc[last - 1] = row.fsc_at_limit
    return fsc, np.where(np.arange(len(fsc)) < row.below_half, 9.0, 0.5)


@pytest.mark.parametrize(
    ("rows", "local_from", "cross_correlation"),
    [(LOCAL_FROM_2, 2, True), (LOCAL_FROM_3, 3, True), (ABSOLUTE_SCALE, 3, False)],
    ids=["local from 2", "local from 3", "absolute scale"],
)
def test_decisions_are_those_of_relion(rows, local_from, cross_correlation):
    first = rows[0]
    course = Course(
        Search(first.order, first.offset_range, first.offset_step, is_local=first.order >= local_from),
        shell_at(40, BOX, VOXEL_SIZE),
    )
    for row in rows:
        assert not course.has_converged
        if row.iteration > 1:
            course = refine_search(course, Accuracy(row.accuracy_deg, row.accuracy_angstrom), local_from)
        assert course.search.healpix_order == row.order
        assert course.search.offset_range_angstrom == pytest.approx(row.offset_range, abs=2e-3)
        assert course.search.offset_step_angstrom == pytest.approx(row.offset_step, abs=2e-3)
        assert course.search.is_local == (row.order >= local_from)
        assert current_size(course, BOX) == row.current_size
        before = course
        outcome = Outcome(*curves(row), Changes(row.change_deg, row.change_angstrom), row.p_max)
        course = learn(course, outcome, row.current_size, BOX, VOXEL_SIZE)
        if row.iteration == 1 and cross_correlation:
            course = with_resolution_unchanged(course, before)
        assert course.increment_shells == row.increment
        assert course.iterations_without_gain == row.without_gain
        assert course.iterations_without_change == row.without_change
    assert course.has_converged


def course_with(**changes) -> Course:
    return dataclasses.replace(Course(Search(2, 10.0, 4.0, is_local=False), 8), **changes)


def test_steps_halve_with_each_order():
    search = Search(2, 10.0, 4.0, is_local=False)
    assert (search.step_deg, search.fine_step_deg, search.fine_offset_step_angstrom) == (15.0, 7.5, 2.0)
    assert search.sigma_deg is None
    assert Search(4, 10.0, 4.0, is_local=True).sigma_deg == 3.75


def test_the_current_size_rises_faster_where_the_halves_agree_to_the_limit():
    assert current_size(course_with(), 64) == 2 * (8 + 10)
    eager = course_with(mean_p_max=0.11, high_fsc_at_limit=True)
    assert current_size(eager, 64) == 2 * (8 + 8)
    assert current_size(eager, 512) == 2 * (8 + 64)
    assert current_size(course_with(mean_p_max=0.1, high_fsc_at_limit=True), 512) == 2 * (8 + 10)
    assert current_size(course_with(resolution_shell=30), 64) == 64


def test_the_coarse_size_lets_a_step_move_the_rim_by_a_resolution_and_a_fifth():
    # RELION: 354 Å box, 200 Å particle, 15°: 2⌈1.2 · 354 · 360 / (15 π 200)⌉ = 34, and never above the current.
    search = Search(2, 10.0, 4.0, is_local=False)
    assert coarse_size(search, 100, 100, 3.54, 200.0) == 34
    assert coarse_size(search, 30, 100, 3.54, 200.0) == 30


def test_resolution_is_the_last_shell_before_the_ratio_falls_below_one():
    ssnr = np.array([9, 9, 9, 9, 9, 9, 9, 2, 1, 0.9, 5, 0, 0])
    assert resolution_shell(ssnr, 24) == 8
    assert resolution_shell(np.full(13, 2.0), 20) == 10  # not beyond what was looked at
    assert resolution_shell(np.zeros(13), 24) == 5


def test_first_shell_below_leaves_out_shell_zero():
    curve = np.array([0.0, 0.9, 0.4, 0.3])
    assert first_shell_below(curve, 0.5) == 2
    assert first_shell_below(curve, 0.143) is None


@pytest.mark.parametrize(
    ("resolution", "expected"), [(100.0, 1), (40.0, 3), (12.0, 3)], ids=["worse", "equal", "better"]
)
def test_halves_are_joined_up_to_the_coarser_of_the_two(resolution, expected):
    assert joined_shell(40.0, resolution, BOX, VOXEL_SIZE) == expected


def test_the_joined_shell_at_a_whole_ratio_is_that_ratio():
    assert joined_shell(40.0, 10.0, 100, 1.2) == 3


def test_perturbations_stay_within_half_a_step_and_move_by_a_quarter_at_least():
    draws = np.random.default_rng(0).random(1000)
    last, seen = 0.0, []
    for draw in draws:
        now = perturbation(last, draw)
        moved = (now - last) % 1.0
        assert 0.25 - 1e-12 <= moved <= 0.5 + 1e-12
        seen.append(now)
        last = now
    assert -0.5 <= min(seen) < -0.45
    assert 0.45 < max(seen) <= 0.5


def test_the_first_iteration_on_a_grid_is_no_sign_of_rest():
    still = Outcome(*curves(LOCAL_FROM_2[-1]), Changes(0.0, 0.0), 0.5)
    once = learn(course_with(), still, 28, BOX, VOXEL_SIZE)
    assert once.iterations_without_change == 0
    assert learn(once, still, 28, BOX, VOXEL_SIZE).iterations_without_change == 1


def test_a_search_stays_while_something_gets_better():
    accuracy = Accuracy(0.1, 0.1)
    for gain, change in ((0, 1), (1, 0)):
        course = course_with(iterations_without_gain=gain, iterations_without_change=change)
        assert refine_search(course, accuracy, 4) == course


def test_wide_searches_are_narrowed_and_narrow_ones_kept_at_a_step_and_a_half():
    settled = {"iterations_without_gain": 1, "iterations_without_change": 1}
    wide = course_with(**settled, changes=Changes(5.0, 3.0))
    found = refine_search(wide, Accuracy(1.0, 1.0), 4).search
    assert found == Search(3, 1.3 * 10.0 / 2, 1.5, is_local=False)  # 13 Å is more than four steps
    still = course_with(**settled, changes=Changes(5.0, 0.01))
    assert refine_search(still, Accuracy(1.0, 1.0), 3).search == Search(3, 2.25, 1.5, is_local=True)


def test_a_new_grid_starts_its_own_count_and_convergence_waits_for_it():
    settled = course_with(iterations_without_gain=3, iterations_without_change=2, changes=Changes(1.0, 1.0))
    finer = refine_search(settled, Accuracy(1.0, 1.0), 4)
    assert (finer.iterations_without_gain, finer.iterations_without_change) == (0, 0)
    assert math.isinf(finer.smallest_changes.angle_deg)
    enough = refine_search(settled, Accuracy(7.5 / 0.75 + 0.1, 1.0), 4)
    assert enough.search == settled.search
    assert enough.is_fine_enough
    assert enough.has_converged


def test_a_map_of_noise_has_no_resolution_but_one_to_go_on_with():
    ratio = np.array([9.0, 0.9, 5.0, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1])
    assert (signal_shell(ratio, 16), resolution_shell(ratio, 16)) == (0, 5)
    ratio[1] = 1.0
    assert (signal_shell(ratio, 16), resolution_shell(ratio, 16)) == (2, 5)
    assert signal_shell(np.full(9, 2.0), 12) == 6  # up to where images were compared
