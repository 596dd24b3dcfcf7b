"""A whole classification: what it finds, what it leaves, and that resuming changes nothing."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import starfile

from blushcore.jobs.classify.job import JOB, classify
from blushcore.jobs.classify.preflight import check_inputs
from blushcore.protocol import (
    BlushError,
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
from tiny_mixture import write_tiny_mixture
from tiny_refinement import BOX


@pytest.fixture(scope="module")
def mixture(tmp_path_factory):
    return write_tiny_mixture(tmp_path_factory.mktemp("mixture"))


def copied(state: JobState) -> JobState:
    values = json.loads(json.dumps(json_value(state.values, "state")))
    return JobState(arrays={name: np.array(array) for name, array in state.arrays.items()}, values=values)


def events_of(params, state: JobState | None = None) -> list:
    events = []
    for event in classify(params, Control(), state):
        if isinstance(event, IterationDone) and event.state is not None:
            event = replace(event, state=copied(event.state))
        events.append(event)
    return events


def of(kind: type, events: list) -> list:
    return [event for event in events if isinstance(event, kind)]


def last_state(events: list) -> JobState:
    return of(IterationDone, events)[-1].state


def classes_of(events: list) -> np.ndarray:
    return last_state(events).arrays["classes.index"]


@pytest.fixture(scope="module")
def whole(mixture):
    return events_of(mixture.parameters())


def test_two_structures_are_told_apart_with_alignment(mixture, whole):
    assert isinstance(whole[0], Started)
    assert isinstance(whole[-1], Finished)
    assert mixture.rightly_placed(classes_of(whole)) > 0.9
    share = whole[-1].figures["class_distribution"]
    assert share[0] == pytest.approx(45 / 70, abs=0.1)
    for reference, part in zip(last_state(whole).arrays["references"], mixture.parts, strict=True):
        assert fsc(reference, part.truth)[1:5].min() > 0.7


@pytest.mark.parametrize("alignment", ["none", "offsets", "local"])
def test_two_structures_are_told_apart_from_known_poses(mixture, alignment):
    step = {"healpix_order": 2} if alignment == "local" else {}
    params = mixture.parameters(particles=mixture.posed, alignment=alignment, iterations=2, **step)
    events = events_of(params)
    assert mixture.rightly_placed(classes_of(events)) > 0.95
    state, table = last_state(events), check_inputs(params).table
    if alignment in ("none", "offsets"):
        np.testing.assert_array_equal(state.arrays["poses.angles_deg"], table.angles_deg)
    if alignment == "none":
        np.testing.assert_allclose(state.arrays["poses.offsets_angstrom"], table.offsets_angstrom, atol=1e-9)


def test_from_one_map_chance_makes_the_classes_differ(mixture):
    reference = (mixture.parts[0].reference,)
    params = mixture.parameters(
        reference=reference, classes=2, particles=mixture.posed, alignment="none", iterations=12
    )
    events = events_of(params)
    first = of(IterationDone, events)[1].figures
    assert first["class_particles"] == [35, 35]
    assert mixture.rightly_placed(classes_of(events)) > 0.9


def test_what_an_iteration_says_and_leaves(whole):
    done = of(IterationDone, whole)
    assert [event.iteration for event in done] == [0, 1, 2, 3]
    assert all(event.state is not None for event in done)
    assert {artefact.role: artefact.name for artefact in done[0].artefacts} == {
        "class001": "run_it000_class001.mrc",
        "class002": "run_it000_class002.mrc",
    }
    names = {artefact.role: artefact.name for artefact in done[-1].artefacts}
    assert names == whole[-1].files
    assert names["class002"] == "run_it003_class002.mrc"
    assert names["optimiser"] == "run_it003_optimiser.star"
    figures = json_value(done[2].figures, "figures")
    assert sum(figures["class_distribution"]) == pytest.approx(1)
    assert sum(figures["class_particles"]) == 70
    for name in ("class_resolution_angstrom", "class_accuracy_angle_deg", "class_completeness"):
        assert len(figures[name]) == 2
    assert [len(curve) for curve in figures["class_ssnr"]] == [BOX // 2 + 1] * 2
    assert 0 <= figures["change_classes"] < 0.3
    assert 0.5 < figures["mean_class_probability"] <= 1
    assert set(figures["stage_seconds"]) == {"deciding", "comparing", "reconstructing"}


def test_the_star_files_have_the_columns_of_class3d(mixture, tmp_path):
    run = tmp_path / "run"
    list(run_job(JOB, mixture.parameters(iterations=1), run))
    model = starfile.read(run / "run_it001_model.star")
    assert model["model_general"]["rlnNrClasses"] == 2
    assert list(model["model_classes"]) == [
        "rlnReferenceImage",
        "rlnClassDistribution",
        "rlnAccuracyRotations",
        "rlnAccuracyTranslationsAngst",
        "rlnEstimatedResolution",
        "rlnOverallFourierCompleteness",
    ]
    assert {"rlnSpectralIndex", "rlnSsnrMap", "rlnReferenceSigma2", "rlnReferenceTau2"} <= set(
        model["model_class_2"]
    )
    shares = [model[f"model_pdf_orient_class_{k}"]["rlnOrientationDistribution"].sum() for k in (1, 2)]
    np.testing.assert_allclose(shares, model["model_classes"]["rlnClassDistribution"], atol=1e-6)
    data = starfile.read(run / "run_it001_data.star")["particles"]
    assert set(data["rlnClassNumber"]) == {1, 2}
    assert "rlnMaxValueProbDistribution" in data
    assert "rlnRandomSubset" not in data
    optimiser = starfile.read(run / "run_it001_optimiser.star")
    assert optimiser["rlnDoAutoRefine"] == 0
    assert 0 <= optimiser["rlnChangesOptimalClasses"] <= 1


def test_a_classification_goes_on_as_if_nothing_had_been_and_the_seed_decides(mixture, whole):
    expected = last_state(whole)
    again = events_of(mixture.parameters(), of(IterationDone, whole)[1].state)
    assert again[0].resumed_from_iteration == 1
    for name in ("references", "classes.index", "poses.angles_deg", "noise_variance0", "direction_prior"):
        np.testing.assert_array_equal(last_state(again).arrays[name], expected.arrays[name])
    other = events_of(mixture.parameters(seed=4))
    assert not np.array_equal(last_state(other).arrays["references"], expected.arrays["references"])


def test_a_run_whose_last_iteration_was_done_only_ends(mixture, whole):
    events = events_of(mixture.parameters(), last_state(whole))
    assert not of(IterationDone, events)
    assert events[-1].files == whole[-1].files


def test_a_killed_classification_ends_with_the_same_maps(mixture, tmp_path):
    command = [sys.executable, "-m", "blushcore.cli"]
    params = mixture.parameters(iterations=4)
    options = [str(mixture.star)]
    for name, value in params.non_defaults().items():
        if name != "particles":
            for one in value if isinstance(value, tuple) else (value,):
                options += [f"--{name.replace('_', '-')}", str(one)]
    whole_run, killed = tmp_path / "whole", tmp_path / "killed"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    assert subprocess.run([*command, "classify", *options, "-o", str(whole_run)], **quiet).returncode == 0
    worker = subprocess.Popen([*command, "classify", *options, "-o", str(killed)], **quiet)
    events = killed / "events.jsonl"
    while worker.poll() is None and not (events.exists() and '"iteration": 1,' in events.read_text()):
        time.sleep(0.005)
    worker.send_signal(signal.SIGKILL)
    assert worker.wait() == -signal.SIGKILL
    assert subprocess.run([*command, "resume", str(killed)], **quiet).returncode == 0
    for name in ("run_it004_class001.mrc", "run_it004_class002.mrc"):
        assert (killed / name).read_bytes()[1024:] == (whole_run / name).read_bytes()[1024:]
    data = [(run / "run_it004_data.star").read_text() for run in (killed, whole_run)]
    assert data[0].partition("data_particles")[2] == data[1].partition("data_particles")[2]


def test_an_empty_class_is_told_of_and_gets_a_new_start_when_asked(mixture, tmp_path):
    # The negative of a map explains no image.
    from blushcore.volumes import Volume, read_map, write_map

    true = read_map(mixture.parts[0].reference)
    wrong = tmp_path / "wrong.mrc"
    write_map(wrong, Volume(np.ascontiguousarray(-4 * true.data[::-1]), true.voxel_size))
    params = mixture.parameters(
        reference=(mixture.parts[0].reference, wrong),
        particles=mixture.posed,
        alignment="none",
        iterations=2,
    )
    events = events_of(params)
    done = of(IterationDone, events)[1]
    assert done.figures["empty_classes"] == [2]
    assert json_value(done.figures, "figures")["class_resolution_angstrom"][1] is None
    assert any("Class 2 has no particles left" in message.text for message in of(Message, events))
    assert done.figures["reseeded_classes"] == []
    again = events_of(params.replace(reseed_empty=True, iterations=12))
    assert of(IterationDone, again)[1].figures["reseeded_classes"] == [2]
    first = of(IterationDone, again)[1]
    (written,) = (artefact for artefact in first.artefacts if artefact.role == "class002")
    drawn = first.state.arrays["references"][1]
    assert fsc(written.volume.data, drawn)[1:4].min() > 0.99  # the map that class 2 goes on with
    with_it = [
        message.text for message in of(Message, events_of(params.replace(reseed_empty=True, iterations=1)))
    ]
    assert (
        "Class 2 has no particles left. Fewer classes may do." in with_it
    )  # asked for, but it is the last time
    figures = again[-1].figures
    assert min(figures["class_particles"]) > 5


def test_c2_makes_maps_with_two_fold_symmetry(mixture):
    events = events_of(mixture.parameters(iterations=1, symmetry="C2"))
    for data in last_state(events).arrays["references"].astype(np.float64):
        turned = data.copy()
        turned[:, 1:, 1:] = data[:, :0:-1, :0:-1]
        inside = (slice(1, None),) * 3
        assert np.corrcoef(data[inside].ravel(), turned[inside].ravel())[0, 1] > 0.99


def test_the_denoiser_acts_on_every_class_and_the_last_time_too(mixture, random_weights):
    params = mixture.parameters(
        prior="blush", weights=str(random_weights), iterations=1, particles=mixture.posed, alignment="none"
    )
    last = of(IterationDone, events_of(params))[-1]
    artefacts = {artefact.role: artefact for artefact in last.artefacts}
    for role in ("class001", "class002"):
        before = artefacts[f"{role}_before_prior"].volume.data
        assert not np.array_equal(artefacts[role].volume.data, before)
    assert last.figures["stage_seconds"]["denoising"] > 0


def test_references_of_other_grey_values_are_named_each(mixture, tmp_path):
    from blushcore.volumes import Volume, read_map, write_map

    strong = tmp_path / "strong.mrc"
    true = read_map(mixture.parts[1].reference)
    write_map(strong, Volume(1000 * true.data, true.voxel_size))

    def told(**changes) -> list[str]:
        posed = {"particles": mixture.posed, "alignment": "none", "iterations": 1}
        events = events_of(mixture.parameters(**posed, **changes))
        return [event.text for event in of(Message, events) if "grey values" in event.text]

    assert told() == []
    (one,) = told(reference=(mixture.parts[0].reference, strong))
    assert "projections of strong.mrc are about" in one
    assert "times stronger" in one
    (one,) = told(reference=(strong,), classes=3)
    assert "projections of the reference" in one
    assert told(reference=(strong,), classes=3, first_iteration_cc=True) == []


def test_as_many_classes_as_particles_leave_none_empty(mixture):
    params = mixture.parameters(reference=(mixture.parts[0].reference,), classes=70, iterations=1)
    (done,) = of(IterationDone, events_of(params))[1:]
    assert done.figures["class_particles"] == [1] * 70
    assert done.figures["empty_classes"] == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"alignment": "none"}, "has no angles"), ({"reference": (), "classes": 2}, "reference")],
)
def test_what_cannot_work_is_refused(mixture, changes, said):
    with pytest.raises((BlushError, ValueError), match=said):
        check_inputs(mixture.parameters(**changes))


def test_references_and_classes_are_to_agree(mixture):
    with pytest.raises(ValueError, match="2 references for 3 classes"):
        mixture.parameters(classes=3)
    assert mixture.parameters().class_count == 2


def test_local_searches_by_coarse_steps_are_warned_of(mixture):
    def told(**changes) -> list[str]:
        stream = classify(mixture.parameters(particles=mixture.posed, **changes), Control(), None)
        texts = []
        for event in stream:
            if isinstance(event, Message):
                texts.append(event.text)
            elif isinstance(event, Progress | IterationDone):
                stream.close()
        return [text for text in texts if "Local searches go by" in text]

    (one,) = told(alignment="local", healpix_order=2)
    assert "7.5°, coarser than their standard deviation of 5°" in one
    assert "Give --healpix-order of 3 or more." in one
    assert told(alignment="local", healpix_order=3) == []
    assert told(alignment="local", healpix_order=2, local_sigma_deg=8.0) == []
    assert told(alignment="global", healpix_order=2) == []
