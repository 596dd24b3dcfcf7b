"""``blush select``: the particles of some classes."""

from __future__ import annotations

import json

import pytest
import starfile

from blushcore.cli import main

CLASSES = [1, 2, 2, 3, 2, 1]


@pytest.fixture
def classified(tmp_path, monkeypatch):
    """A table of six particles in three classes."""
    import pandas as pd

    monkeypatch.chdir(tmp_path)
    particles = pd.DataFrame(
        {
            "rlnImageName": [f"{i + 1:06d}@Extract/all.mrcs" for i in range(6)],
            "rlnAngleRot": [10.0 * i for i in range(6)],
            "rlnOpticsGroup": [1, 1, 2, 2, 1, 1],
            "rlnClassNumber": CLASSES,
        }
    )
    optics = pd.DataFrame({"rlnOpticsGroup": [1, 2], "rlnImagePixelSize": [1.5, 1.5], "rlnImageSize": [64, 64]})
    starfile.write({"optics": optics, "particles": particles}, "run_it025_data.star")
    return particles


def written(name: str):
    return starfile.read(name, always_dict=True)


def test_the_particles_of_the_classes_are_taken_as_they_are(classified, capsys):
    assert main(["select", "run_it025_data.star", "--class", "1", "--class", "3", "-o", "some.star"]) == 0
    assert "3 of 6 particles, those of classes 1, 3" in capsys.readouterr().err
    found = written("some.star")["particles"]
    assert found["rlnImageName"].tolist() == classified["rlnImageName"][[0, 3, 5]].tolist()
    assert found["rlnAngleRot"].tolist() == [0.0, 30.0, 50.0]
    assert main(["select", "run_it025_data.star", "--class", "1", "-o", "one.star"]) == 0
    assert written("one.star")["optics"]["rlnOpticsGroup"].tolist() == [1]  # the other is in use no more


def test_the_largest_class(classified, capsys):
    assert main(["select", "run_it025_data.star", "--largest", "-o", "two.star", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)["figures"]
    assert figures == {"classes": [2], "particles": 3, "of": 6}
    assert len(written("two.star")["particles"]) == 3


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["run_it025_data.star", "-o", "x.star"], 2, "--class, once or more, or --largest"),
        (["run_it025_data.star", "--class", "1", "--largest", "-o", "x.star"], 2, "or --largest"),
        (
            ["run_it025_data.star", "--class", "7", "-o", "x.star"],
            1,
            "no particle of class 7. It has 2 of class 1",
        ),
        (["run_it025_data.star", "--class", "1", "-o", "run_it025_data.star"], 1, "of the files to be read"),
        (["none.star", "--class", "1", "-o", "x.star"], 1, "none.star"),
    ],
)
def test_what_cannot_be_selected_is_said(classified, capsys, words, code, says):
    assert main(["select", *words]) == code
    assert says in capsys.readouterr().err


def test_a_table_without_classes_is_refused(classified, capsys):
    starfile.write(
        {**written("run_it025_data.star"), "particles": classified.drop(columns="rlnClassNumber")}, "plain.star"
    )
    assert main(["select", "plain.star", "--largest", "-o", "x.star"]) == 1
    assert "has no classes (rlnClassNumber)" in capsys.readouterr().err


def test_a_place_outside_the_project_is_warned_of(classified, tmp_path, capsys):
    for folder in ("project/Extract", "elsewhere"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "project/Extract/all.mrcs").touch()
    (tmp_path / "run_it025_data.star").rename(tmp_path / "project/run_it025_data.star")
    words = ["select", "project/run_it025_data.star", "--class", "2", "-o"]
    assert main([*words, "project/good.star"]) == 0
    assert "warning" not in capsys.readouterr().err
    assert main([*words, "elsewhere/good.star", "--json"]) == 0
    (warning,) = json.loads(capsys.readouterr().out)["warnings"]
    assert "Extract/all.mrcs is neither in" in warning
    assert "Write it into the project, or refine it with --root." in warning
