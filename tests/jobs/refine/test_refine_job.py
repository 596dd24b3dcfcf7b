"""A whole refinement: its events, what it keeps, and that resuming changes nothing."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import mrcfile
import numpy as np
import pytest
import starfile

from blushcore.jobs.refine.job import JOB, refine
from blushcore.particles import read_particles
from blushcore.protocol import (
    BlushError,
    Command,
    Control,
    Finished,
    IterationDone,
    JobState,
    Message,
    Progress,
    Started,
)
from blushcore.runs import run_job
from blushcore.runs.records import json_value
from blushcore.shells import fsc
from tiny_refinement import BOX, PIXEL_SIZE, write_tiny_set

FINAL = {
    "map": "run_class001.mrc",
    "half1_unfil": "run_half1_class001_unfil.mrc",
    "half2_unfil": "run_half2_class001_unfil.mrc",
    "data": "run_data.star",
    "model": "run_model.star",
    "sampling": "run_sampling.star",
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return write_tiny_set(tmp_path_factory.mktemp("tiny"))


def copied(state: JobState) -> JobState:
    values = json.loads(json.dumps(json_value(state.values, "state")))
    return JobState(arrays={name: np.array(array) for name, array in state.arrays.items()}, values=values)


def events_of(params, state: JobState | None = None, control: Control | None = None) -> list:
    """All events of a refinement, their states copied while they are lent."""
    events = []
    for event in refine(params, control or Control(), state):
        if isinstance(event, IterationDone) and event.state is not None:
            event = replace(event, state=copied(event.state))
        events.append(event)
    return events


def of(kind: type, events: list) -> list:
    return [event for event in events if isinstance(event, kind)]


def final_maps(events: list) -> dict[str, np.ndarray]:
    artefacts = {artefact.role: artefact for artefact in events[-1].artefacts}
    return {role: artefacts[role].volume.data for role in ("map", "half1_unfil", "half2_unfil")}


@pytest.fixture(scope="module")
def whole(tiny):
    return events_of(tiny.parameters(max_iterations=4))


def test_the_stream_of_a_refinement(whole):
    assert isinstance(whole[0], Started)
    assert whole[0].job == "refine"
    done = of(IterationDone, whole)
    assert [event.iteration for event in done] == [0, 1, 2, 3, 4]
    assert [event.state is not None for event in done] == [True, True, True, True, False]
    assert isinstance(whole[-1], Finished)
    assert {artefact.role: artefact.name for artefact in whole[-1].artefacts} == FINAL
    stages = {event.stage for event in of(Progress, whole)}
    assert {"looking at the images", "estimating the noise", "iteration 2: comparing images"} <= stages


def test_what_an_iteration_says(whole):
    figures = json_value(of(IterationDone, whole)[2].figures, "figures")
    assert {
        "resolution_angstrom",
        "current_size",
        "coarse_size",
        "healpix_order",
        "angular_step_deg",
        "poses_per_image",
        "accuracy_angle_deg",
        "change_angle_deg",
        "mean_p_max",
        "sigma_offset_angstrom",
        "stage_seconds",
        "fsc",
    } <= set(figures)
    assert figures["poses_per_image"] == 48 * 12 * 13  # order 1; 13 offsets at 4 Å within 8 Å
    assert len(figures["fsc"]) == BOX // 2 + 1
    assert set(figures["stage_seconds"]) == {"deciding", "comparing", "reconstructing"}
    assert 0 < figures["mean_p_max"] <= 1


def test_what_an_iteration_leaves(whole):
    names = {artefact.role: artefact.name for artefact in of(IterationDone, whole)[1].artefacts}
    assert names == {
        "half1": "run_it001_half1_class001.mrc",
        "half2": "run_it001_half2_class001.mrc",
        "data": "run_it001_data.star",
        "half1_model": "run_it001_half1_model.star",
        "half2_model": "run_it001_half2_model.star",
        "sampling": "run_it001_sampling.star",
        "optimiser": "run_it001_optimiser.star",
    }


def test_the_map_resembles_the_truth_and_the_poses_are_found(tiny, whole):
    curve = fsc(final_maps(whole)["map"], tiny.truth)
    assert curve[1:6].min() > 0.8
    data = next(artefact for artefact in whole[-1].artefacts if artefact.role == "data").table
    found = data.offsets_angstrom / PIXEL_SIZE
    assert np.median(np.hypot(*(found - tiny.offsets_px).T)) < 0.6


def test_images_multiplied_by_their_ctf_are_refined_as_well(tiny, whole, tmp_path):
    other = write_tiny_set(tmp_path, premultiplied=True)
    events = events_of(other.parameters(max_iterations=3))
    assert fsc(final_maps(events)["map"], tiny.truth)[1:6].min() > 0.8
    # Where there is little signal, the first noise is that of the images before the product.
    found, before = (
        of(IterationDone, each)[0].state.arrays["half1.noise_variance0"][7:] for each in (events, whole)
    )
    assert found == pytest.approx(before, rel=0.25)


def test_a_refinement_goes_on_from_any_iteration_as_if_nothing_had_been(tiny, whole):
    expected = final_maps(whole)
    for start in of(IterationDone, whole)[1:4:2]:
        again = events_of(tiny.parameters(max_iterations=4), start.state)
        assert again[0].resumed_from_iteration == start.iteration
        for role, data in final_maps(again).items():
            np.testing.assert_array_equal(data, expected[role])


def test_the_same_seed_gives_the_same_maps_and_another_others(tiny, whole):
    expected = final_maps(whole)["map"]
    np.testing.assert_array_equal(final_maps(events_of(tiny.parameters(max_iterations=4)))["map"], expected)
    other = final_maps(events_of(tiny.parameters(max_iterations=4, seed=5)))["map"]
    assert not np.array_equal(other, expected)


def test_other_particles_are_not_gone_on_with(tiny, whole, tmp_path):
    other = write_tiny_set(tmp_path, count=60)
    state = of(IterationDone, whole)[1].state
    with pytest.raises(BlushError, match="is not what it was when the run began"):
        events_of(tiny.parameters(particles=other.star), state)


def test_a_refinement_ends_when_nothing_gets_better(tiny):
    events = events_of(tiny.parameters(first_iteration_cc=True))
    done = of(IterationDone, events)
    assert 4 < len(done) < 25
    assert not [m for m in of(Message, events) if "not converged" in m.text]
    last = done[-1].figures
    assert last["is_last"]
    assert last["current_size"] == BOX
    assert last["local_search"]
    before = done[-2].figures
    assert before["iterations_without_gain"] >= 1
    assert before["iterations_without_change"] >= 1
    assert before["fine_angular_step_deg"] < 0.75 * last["accuracy_angle_deg"] * 1.2
    assert done[1].figures["resolution_in_use_angstrom"] == pytest.approx(BOX * PIXEL_SIZE / 5)


def test_it_stops_after_the_iteration_when_told_and_takes_changes(tiny, monkeypatch):
    monkeypatch.setattr("blushcore.protocol.control._POLL_SECONDS", 0.0)
    waiting = [Command(id="1", action="change", changes={"max_iterations": 7})]
    control = Control(lambda: [waiting.pop()] if waiting else [], lambda changes: changes)
    events = []
    for event in refine(tiny.parameters(max_iterations=3), control):
        events.append(event)
        if isinstance(event, IterationDone) and event.iteration == 3:
            assert not event.figures["is_last"]
            waiting.append(Command(id="2", action="stop_after_iteration"))
    assert isinstance(events[-1], Finished)
    assert events[-1].outcome == "stopped"
    assert of(IterationDone, events)[-1].iteration in (4, 5)


def test_c2_makes_a_map_with_two_fold_symmetry(tiny):
    events = events_of(tiny.parameters(max_iterations=2, symmetry="c2"))
    data = final_maps(events)["map"].astype(np.float64)
    turned = data.copy()
    turned[:, 1:, 1:] = data[:, :0:-1, :0:-1]  # half a turn about z, through the voxel n // 2
    inside = (slice(1, None),) * 3
    assert np.corrcoef(data[inside].ravel(), turned[inside].ravel())[0, 1] > 0.999


@pytest.mark.parametrize("keep", ["light", "full"])
def test_history_is_kept_light_or_full(tiny, tmp_path, keep):
    params = tiny.parameters(max_iterations=2, keep=keep)
    list(run_job(JOB, params, tmp_path / "run"))
    with mrcfile.open(tmp_path / "run" / "run_it001_half1_class001.mrc") as file:
        box, size, mode = file.data.shape[0], float(file.voxel_size.x), int(file.header.mode)
    assert box * size == pytest.approx(BOX * PIXEL_SIZE, rel=1e-5)
    assert (mode, box == BOX) == ((2, True) if keep == "full" else (12, box == 24))
    model = starfile.read(tmp_path / "run" / "run_it001_half1_model.star")
    assert Path(model["model_classes"]["rlnReferenceImage"][0]).name == "run_it001_half1_class001.mrc"
    with mrcfile.open(tmp_path / "run" / "run_class001.mrc") as file:
        assert (file.data.shape, float(file.voxel_size.x)) == ((BOX,) * 3, pytest.approx(PIXEL_SIZE))


def test_the_final_particles_can_be_read_again(tiny, whole, tmp_path):
    artefact = next(artefact for artefact in whole[-1].artefacts if artefact.role == "data")
    artefact.write(tmp_path / "run_data.star")
    table = read_particles(tmp_path / "run_data.star", root=tiny.folder)
    assert table.has_poses
    assert sorted(np.unique(table.half)) == [1, 2]
    assert len(np.unique(table.angles_deg[:, 0])) > 10
    assert table.column("rlnMaxValueProbDistribution").min() > 0


def test_a_refinement_killed_at_random_moments_ends_with_the_same_maps(tiny, tmp_path):
    command = [sys.executable, "-m", "blushcore.cli"]
    params = tiny.parameters(max_iterations=5)
    options = [str(tiny.star)]
    for name, value in params.non_defaults().items():
        if name != "particles":
            options += [f"--{name.replace('_', '-')}", str(value)]
    whole_run, killed_run = tmp_path / "whole", tmp_path / "killed"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    assert subprocess.run([*command, "refine", *options, "-o", str(whole_run)], **quiet).returncode == 0
    chance = random.Random(3)
    kills = 0
    arguments = ["refine", *options, "-o", str(killed_run)]
    for kill_after in (0, 1, 2, 3, 4):
        worker = subprocess.Popen([*command, *arguments], **quiet)
        _wait_for(killed_run, kill_after, worker)
        time.sleep(chance.uniform(0.0, 0.15))
        worker.send_signal(signal.SIGKILL)
        kills += worker.wait() == -signal.SIGKILL
        arguments = ["resume", str(killed_run)]
    assert kills >= 4
    if not (killed_run / "run_class001.mrc").exists():
        assert subprocess.run([*command, *arguments], **quiet).returncode == 0
    for name in list(FINAL.values())[:3]:
        assert (killed_run / name).read_bytes()[1024:] == (whole_run / name).read_bytes()[1024:]


def _wait_for(run: Path, iteration: int, worker: subprocess.Popen) -> None:
    """Wait until an iteration's line is written, or the worker has ended."""
    wanted = f'"kind": "iteration_done", "data": {{"iteration": {iteration},'
    while worker.poll() is None:
        events = run / "events.jsonl"
        if events.exists() and wanted in events.read_text():
            return
        time.sleep(0.005)
