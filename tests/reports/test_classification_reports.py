"""Reports of classifications: shares, curves and maps of the classes; nothing claims to be an FSC 0.143."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import starfile
from page_checker import checked

from blushcore.cli import main
from blushcore.jobs.classify.job import JOB
from blushcore.protocol import BlushError
from blushcore.reports import report_of
from blushcore.reports.classification import classes_section, drawn_classes, measure_classes
from blushcore.reports.denoising import denoiser_section
from blushcore.reports.facts import read_facts
from blushcore.reports.words import value_words
from blushcore.runs import run_job
from blushcore.shells import fsc
from blushcore.volumes import Volume, read_map, write_map
from tiny_mixture import write_tiny_mixture
from tiny_refinement import PIXEL_SIZE


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> tuple[Path, Path]:
    """A classification into two classes, and the truth of the first."""
    folder = tmp_path_factory.mktemp("classified")
    mixture = write_tiny_mixture(folder / "set", counts=(36, 18))
    params = mixture.parameters(
        particles=mixture.posed, alignment="none", iterations=3, highest_resolution=10.0
    )
    list(run_job(JOB, params, folder / "run"))
    truth = folder / "truth.mrc"
    data = np.ascontiguousarray(mixture.parts[0].truth, np.float32)
    write_map(truth, Volume(data, (PIXEL_SIZE,) * 3))
    return folder / "run", truth


def test_a_classification_is_told_by_its_classes(run):
    folder, _ = run
    page = report_of(folder, title="Two shapes")
    told = checked(page)
    assert told.headings == [
        "Two shapes",
        "Warnings",
        "Classes",
        "Maps",
        "Views",
        "Course",
        "Results",
        "Parameters",
    ]
    text = " ".join(told.texts)
    model = starfile.read(folder / "run_it003_model.star")["model_classes"]
    for share in model["rlnClassDistribution"]:
        assert f"{100 * share:.1f} %" in text
    counts = starfile.read(folder / "run_it003_data.star")["particles"]["rlnClassNumber"].value_counts()
    assert all(str(count) in told.texts for count in counts)
    for words in ("Class 1", "Class 2", "share of the particles (%)", "changed class (%)"):
        assert words in told.texts
    assert "no measurement" in text
    assert "FSC 0.143" not in text  # there are no halves to measure it from
    assert "of the best class, estimated" in text


def test_the_classes_are_held_against_each_other_and_the_truth(run):
    folder, truth = run
    facts = read_facts(folder)
    found = measure_classes(facts, truth)
    assert found is not None
    assert found.largest == 1
    maps = [read_map(folder / f"run_it003_class00{number}.mrc").data for number in (1, 2)]
    np.testing.assert_allclose(found.with_largest[2], fsc(*maps))
    assert set(found.with_truth) == {1, 2}
    assert found.with_truth[1][1:5].mean() > found.with_truth[2][1:5].mean() + 0.1
    assert found.truth_angstrom(1) < found.truth_angstrom(2)
    told = checked(report_of(folder, truth=truth))
    assert "FSC 0.5 with the truth" in told.texts
    assert f"{found.truth_angstrom(1):.2f} Å" in told.texts


def test_the_command_takes_a_classification_and_refuses_a_truth_on_another_grid(run, tmp_path, capsys):
    folder, truth = run
    assert main(["report", str(folder), "-o", str(tmp_path / "r.html"), "--truth", str(truth)]) == 0
    other = tmp_path / "other.mrc"
    write_map(
        other, Volume(np.eye(20, dtype=np.float32) + np.zeros((20, 20, 20), np.float32), (PIXEL_SIZE,) * 3)
    )
    with pytest.raises(BlushError, match=r"other\.mrc"):
        measure_classes(read_facts(folder), other)


def test_empty_classes_and_many_classes(run):
    from dataclasses import replace

    facts = read_facts(run[0])
    shares = [0.3, 0.05, 0.25, 0.1, 0.0, 0.2, 0.1]
    assert drawn_classes(shares) == [1, 3, 4, 6, 7]
    newest = {
        **facts.newest,
        "class_distribution": shares,
        "class_particles": [30, 5, 25, 10, 0, 20, 10],
        "class_resolution_angstrom": [10.0, 20.0, 11.0, 12.0, None, 13.0, 14.0],
        "class_ssnr": [[1.0, 4.0, 0.5]] * 7,
        "empty_classes": [5],
        "class_accuracy_angle_deg": [None] * 7,
        "class_accuracy_offset_angstrom": [None] * 7,
    }
    told = checked(classes_section(replace(facts, history=(newest,)), None))
    text = " ".join(told.texts)
    assert "5 (empty)" in told.texts
    assert "Curves are of the 5 largest classes; 2 have none." in text
    assert told.texts.count("–") >= 8  # nothing is made up where nothing is known


def test_a_mask_is_of_no_use_to_a_classification(run, tmp_path):
    with pytest.raises(BlushError, match="has no half-maps"):
        report_of(run[0], mask=tmp_path / "mask.mrc")


def test_an_unfinished_classification_is_held_against_the_truth_as_it_stands(run, tmp_path):
    """The maps of its history are cropped to the resolution in use."""
    import shutil

    folder, truth = run
    stopped = tmp_path / "stopped"
    shutil.copytree(folder, stopped)
    lines = (stopped / "events.jsonl").read_text().splitlines(keepends=True)
    last = next(i for i, line in enumerate(lines) if '"iteration": 2,' in line and "iteration_done" in line)
    (stopped / "events.jsonl").write_text("".join(lines[: last + 1]))
    small = read_map(stopped / "run_it002_class001.mrc")
    assert small.shape[0] < read_map(truth).shape[0]
    found = measure_classes(read_facts(stopped), truth)
    assert found is not None
    assert len(found.with_truth[1]) == read_map(truth).shape[0] // 2 + 1
    assert found.with_truth[1][1:4].min() > 0.7
    assert "FSC 0.5 with the truth" in checked(report_of(stopped, truth=truth)).texts
    begun = "".join(lines[: next(i for i, line in enumerate(lines) if "iteration_done" in line)])
    (stopped / "events.jsonl").write_text(begun)
    with pytest.raises(BlushError, match="no class maps yet"):
        report_of(stopped, truth=truth)


def test_the_denoiser_of_a_classification_is_named_with_what_it_took(run):
    from dataclasses import replace

    facts = read_facts(run[0])
    assert denoiser_section(facts) == ""
    stages = {"comparing": 3.0, "denoising": 1.0}
    history = tuple({**figures, "weights": "v<1>", "stage_seconds": stages} for figures in facts.history)
    told = denoiser_section(replace(facts, history=history))
    assert "the map of every class went through the denoiser" in told
    assert "Weights v&lt;1&gt;. It took 25 % of the time." in told


def test_a_class_has_one_colour_in_all_charts_and_they_are_named_in_order(run):
    from dataclasses import replace

    folder, truth = run
    facts = read_facts(folder)
    found = measure_classes(facts, truth)
    assert found is not None
    found = replace(found, largest=1, with_largest={2: found.with_largest[2]})
    page = classes_section(facts, found)
    keys = re.findall(r'class="line (c\d)"[^>]*d="M[^"h]*h24"/><text class="key"[^>]*>(class \d)<', page)
    assert set(keys) == {("c1", "class 1"), ("c2", "class 2")}
    names = [name for _, name in keys]
    # Shares, resolutions, signal, truth; a single line needs no legend.
    assert names == ["class 1", "class 2"] * 4
    (between,) = re.findall(r'aria-label="[^"]*with class 1">.*?</svg>', page)
    assert 'class="line c2"' in between
    assert 'class="line c1"' not in between


def test_several_references_are_listed_in_words():
    assert value_words(["a.mrc", 2.5, None]) == "a.mrc, 2.5, –"
