"""Half-sets share nothing: no tube, no image; given ones are kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import star_zoo as zoo

from blushcore.particles import read_particles
from blushcore.particles.half_sets import drawn_halves
from blushcore.protocol import BlushError


def test_halves_are_equal_random_and_the_seeds() -> None:
    none, own = np.zeros(1001, int), np.arange(1001)
    halves = [drawn_halves(none, own, seed) for seed in range(20)]
    for half in halves:
        assert set(half) == {1, 2}
        assert abs((half == 1).sum() - (half == 2).sum()) == 1
    assert np.array_equal(drawn_halves(none, own, 3), halves[3])
    agreement = np.array([(halves[0] == half).mean() for half in halves[1:]])
    assert ((agreement > 0.4) & (agreement < 0.6)).all()
    # Neighbours are independent: no order of the file shows through.
    assert abs((halves[0][1:] == halves[0][:-1]).mean() - 0.5) < 0.08
    assert {int(drawn_halves(np.zeros(1, int), np.zeros(1, int), seed)[0]) for seed in range(20)} == {1, 2}


def test_tubes_stay_whole_and_halves_balanced() -> None:
    tube = np.repeat(np.arange(60), np.random.default_rng(1).integers(1, 40, 60))
    np.random.default_rng(2).shuffle(tube)
    half = drawn_halves(np.zeros(len(tube), int), tube, 5)
    for number in range(60):
        assert len(set(half[tube == number])) == 1
    assert abs(int((half == 1).sum()) - int((half == 2).sum())) < 40


def test_given_halves_stand_and_pull_their_tubes() -> None:
    given = np.array([1, 0, 0, 2, 0, 0, 1, 2])
    tube = np.array([0, 0, 0, 1, 1, 2, 3, 3])
    half = drawn_halves(given, tube, 1)
    assert half[:5].tolist() == [1, 1, 1, 2, 2]
    assert half[5] in (1, 2)
    assert half[6:].tolist() == [1, 2]  # given so, however wrong


def test_tubes_are_told_apart_by_micrograph(tmp_path: Path) -> None:
    text = zoo.relion31(rlnHelicalTubeID=[1, 1, 2, 2] * 3)
    table = read_particles(zoo.write_project(tmp_path, text)).assign_halves(4)
    assert table.tube_index is not None
    assert table.tube_index.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    pairs = table.half.reshape(6, 2)
    assert (pairs[:, 0] == pairs[:, 1]).all()
    assert (table.half == 1).sum() == 6


def test_copies_of_an_image_stay_together(tmp_path: Path) -> None:
    table = read_particles(zoo.write_project(tmp_path, zoo.relion31(rlnImageName=zoo.NAMES[:6] * 2)))
    for seed in range(5):
        half = table.assign_halves(seed).half
        assert np.array_equal(half[:6], half[6:])


def test_given_subsets_are_kept_and_written(tmp_path: Path) -> None:
    subset = [1, 2, 2, 1, 1, 2, 2, 2, 1, 1, 1, 2]
    table = read_particles(zoo.write_project(tmp_path, zoo.relion31(rlnRandomSubset=subset)))
    assert table.half.tolist() == subset
    assigned = table.assign_halves(9)
    assert assigned.half.tolist() == subset
    assert assigned.warnings == ()
    assigned.write(tmp_path / "again.star")
    assert read_particles(tmp_path / "again.star").half.tolist() == subset


def test_a_tube_in_both_halves_is_told(tmp_path: Path) -> None:
    more = {"rlnHelicalTubeID": [1] * 12, "rlnRandomSubset": [1, 2] * 6}
    table = read_particles(zoo.write_project(tmp_path, zoo.relion31(**more))).assign_halves(1)
    assert table.warnings == (
        "rlnRandomSubset has 3 tubes in both half-sets: the FSC between them says too much.",
    )


def test_an_empty_half_is_refused(tmp_path: Path) -> None:
    table = read_particles(zoo.write_project(tmp_path, zoo.relion31(rlnRandomSubset=[1] * 12)))
    with pytest.raises(BlushError, match=r"run_data\.star: half-set 2 is empty"):
        table.assign_halves(1)
