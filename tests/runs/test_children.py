"""A child goes on from an iteration of its parent, which stays as it is."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from toy_job import TOY, ToyParameters

from blushcore.protocol import BlushError, Started
from blushcore.runs import create_child, read_run, restartable_iterations, resume, run_job

JOBS = {"toy": TOY}


@pytest.fixture
def parent(tmp_path: Path) -> Path:
    list(run_job(TOY, ToyParameters(walk="parent"), tmp_path / "parent", keep_checkpoints=3))
    return tmp_path / "parent"


def test_a_child_with_the_same_parameters_comes_to_the_same_result(parent: Path, tmp_path: Path) -> None:
    assert restartable_iterations(parent) == [2, 3, 4]
    before = {path: path.read_bytes() for path in parent.rglob("*") if path.is_file()}
    create_child(parent, 2, tmp_path / "child", jobs=JOBS)
    shutil.copytree(parent, tmp_path / "kept")
    shutil.rmtree(parent)  # a child is complete in itself
    events = list(resume(tmp_path / "child", JOBS))
    assert isinstance(events[0], Started)
    assert events[0].resumed_from_iteration == 2
    assert (tmp_path / "child" / "results" / "walk.npy").read_bytes() == before[parent / "results" / "walk.npy"]
    reader = read_run(tmp_path / "child")
    assert sorted(reader.summary.iterations) == [3, 4]
    origin = reader.description.parent
    assert origin is not None
    assert (origin.path, origin.iteration) == ("../parent", 2)
    assert origin.run_id == read_run(tmp_path / "kept").description.run_id


def test_a_child_with_other_parameters_goes_its_own_way(parent: Path, tmp_path: Path) -> None:
    create_child(parent, 3, tmp_path / "child", {"step_size": 0.5, "iterations": 5}, JOBS)
    list(resume(tmp_path / "child", JOBS))
    steps = [np.load(parent / f"walk_it00{i}.npy") for i in (3, 4)]
    child = np.load(tmp_path / "child" / "walk_it004.npy")
    np.testing.assert_allclose(child - steps[0], 0.5 * (steps[1] - steps[0]))
    assert read_run(tmp_path / "child").summary.parameters["step_size"] == 0.5
    assert read_run(parent).summary.parameters["step_size"] == 1.0


def test_a_child_killed_at_once_still_begins_from_its_parent(parent: Path, tmp_path: Path) -> None:
    create_child(parent, 2, tmp_path / "child", jobs=JOBS)
    stream = resume(tmp_path / "child", JOBS)
    next(stream)
    stream.close()
    events = list(resume(tmp_path / "child", JOBS))
    assert isinstance(events[0], Started)
    assert events[0].resumed_from_iteration == 2


def test_what_cannot_be_is_refused(parent: Path, tmp_path: Path) -> None:
    with pytest.raises(BlushError, match=r"iteration 1 of .* is not kept\. These iterations are: 2, 3, 4"):
        create_child(parent, 1, tmp_path / "child", jobs=JOBS)
    with pytest.raises(BlushError, match="step_size should be greater than 0"):
        create_child(parent, 2, tmp_path / "child", {"step_size": 0}, JOBS)
    with pytest.raises(BlushError, match="holds a run already"):
        create_child(parent, 2, parent, jobs=JOBS)
    assert not (tmp_path / "child").exists()
