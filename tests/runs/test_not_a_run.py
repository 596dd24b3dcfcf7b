"""What is said of folders that are no run directories."""

from __future__ import annotations

from pathlib import Path

import pytest
from toy_job import ToyParameters

from blushcore.cli import main
from blushcore.protocol import BlushError
from blushcore.runs import create_run, read_run, send_command

HALVES = ("run_half1_class001_unfil.mrc", "run_half2_class001_unfil.mrc")
REFINED = ("run_it000_half1_model.star", "run_it000_optimiser.star", "run_it012_half1_model.star")
CLASSIFIED = ("run_ct3_it025_optimiser.star", "run_ct3_it025_model.star", "run_it003_optimiser.star")


def said(directory: Path) -> str:
    with pytest.raises(BlushError) as caught:
        read_run(directory)
    return str(caught.value)


def folder(path: Path, *names: str) -> Path:
    path.mkdir()
    for name in names:
        (path / name).touch()
    return path


def test_a_refinement_of_relion_is_told_and_how_to_go_on_from_its_last_iteration(tmp_path):
    job = folder(tmp_path / "job012", *REFINED, "run_it012_optimiser.star", "job.star")
    text = said(job)
    assert f"{job} is not a run directory: it is a refinement of RELION's, up to iteration 12." in text
    assert f"--continue-from {job / 'run_it012_optimiser.star'} -o RUN_DIR." in text
    assert "blush fsc" not in text
    done = folder(tmp_path / "job013", *REFINED, "run_it012_optimiser.star", *HALVES)
    assert said(done).endswith(f"blush fsc {done / HALVES[0]} {done / HALVES[1]}.")


def test_a_classification_of_relion_is_told_and_what_takes_it(tmp_path):
    job = folder(tmp_path / "job014", *CLASSIFIED)
    text = said(job)
    assert "it is a classification of RELION's, up to iteration 25." in text
    assert f"blush select {job / 'run_ct3_it025_data.star'} --class N" in text


@pytest.mark.parametrize(
    ("names", "what"),
    [
        (("run.job", "note.txt"), "it is a job of RELION's, and none that refines."),
        (("default_pipeline.star",), "it is a project of RELION's."),
        (("events.jsonl",), "its params.json is missing. Restore that file"),
        (("map.mrc",), "it has no params.json. Give the folder that was named as -o"),
    ],
)
def test_other_folders_are_told_apart(tmp_path, names, what):
    assert what in said(folder(tmp_path / "folder", *names))


def test_a_folder_of_runs_names_some_and_a_file_of_a_run_names_it(tmp_path):
    for number in range(5):
        create_run(tmp_path / f"run{number}", "toy", ToyParameters(walk="x"))
    assert said(tmp_path).endswith(
        f"it holds runs. Give one of them: {', '.join(str(tmp_path / f'run{n}') for n in range(3))} and 2 more."
    )
    (tmp_path / "run3" / "map.mrc").touch()
    assert said(tmp_path / "run3" / "map.mrc").endswith(
        f"it is a file of a run. Give the folder {tmp_path / 'run3'}."
    )
    (tmp_path / "a.mrc").touch()
    assert "it is a file. Give the folder that was named as -o" in said(tmp_path / "a.mrc")
    assert "there is no such folder." in said(tmp_path / "none")


def test_whoever_asks_for_a_run_says_it(tmp_path, capsys):
    job = folder(tmp_path / "job012", *REFINED, "run_it012_optimiser.star")
    for words in (["report", "-o", str(tmp_path / "r.html")], ["watch"], ["resume"]):
        assert main([words[0], str(job), *words[1:]]) == 1
        assert "it is a refinement of RELION's, up to iteration 12." in capsys.readouterr().err
    with pytest.raises(BlushError, match="a refinement of RELION's"):
        send_command(job, "pause")
