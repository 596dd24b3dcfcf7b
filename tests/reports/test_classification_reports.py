"""Reports of classifications: shares, curves and maps of the classes; nothing claims to be an FSC 0.143."""

from __future__ import annotations

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
from blushcore.reports.facts import read_facts
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
    params = mixture.parameters(particles=mixture.posed, alignment="none", iterations=3)
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
    for words in ("Class 1", "Class 2", "share of the particles (%)", "particles that changed class (%)"):
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
