"""``blush refine``, and a refinement as the terminal shows it."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest

from blushcore.cli import main
from blushcore.cli import refine as refine_command
from blushcore.cli.event_lines import describe
from blushcore.cli.refinement_lines import fsc_sketch, is_refinement, iteration_lines, number
from blushcore.protocol import Finished, IterationDone
from blushcore.runs import read_run
from blushcore.volumes import Volume, write_map
from tiny_refinement import DIAMETER, write_tiny_set


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return write_tiny_set(tmp_path_factory.mktemp("set"), count=30)


def words_of(tiny, *more: str) -> list[str]:
    words = f"--reference {tiny.reference} --diameter {DIAMETER:g} --initial-lowpass 20 --healpix-order 1"
    words += (
        " --local-from-order 2 --offset-range 8 --offset-step 4 --device cpu --max-iterations 2 --prior wiener"
    )
    return ["refine", str(tiny.star), *words.split(), *more]


def test_a_refinement_from_the_command_line(tiny, tmp_path, capsys):
    run = tmp_path / "run"
    assert main(words_of(tiny, "-o", str(run), "--json")) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["outcome"] == "done"
    assert result["figures"]["iterations"] == 2
    for name in result["files"].values():
        assert (run / name).is_file()
    assert read_run(run).summary.is_done
    assert main(["watch", str(run), "--once"]) == 0
    shown = capsys.readouterr().err
    assert "last iteration 2: " in shown
    assert "FSC █" in shown
    assert main(["resume", str(run)]) == 1
    assert "is done; there is nothing to resume" in capsys.readouterr().err


def test_the_end_is_told_in_one_sentence(tiny, tmp_path, capsys):
    assert main(words_of(tiny, "-o", str(tmp_path / "run"))) == 0
    told = capsys.readouterr().err
    assert "done after 2 iterations: " in told
    assert "run_class001.mrc" in told
    assert "30 particles of 24 pixels of 4 Å" in told
    assert "nan" not in told


def test_halves_that_agree_nowhere_are_said_to():
    figures = {"iterations": 2, "resolution_angstrom": math.inf}
    told = refine_command.closing(Finished(figures=figures, files={"map": "run_class001.mrc"}), Path("run"))
    assert "no resolution, as the FSC" in told
    assert "inf" not in told
    assert number(math.nan) == number(None) == "?"


def test_a_directory_that_holds_a_run_is_refused(tiny, tmp_path, capsys):
    (tmp_path / "params.json").write_text("{}")
    assert main(words_of(tiny, "-o", str(tmp_path))) == 1
    assert str(tmp_path) in capsys.readouterr().err


def test_nothing_is_made_when_inputs_do_not_fit(tiny, tmp_path, capsys):
    run = tmp_path / "run"
    assert main(words_of(tiny, "-o", str(run), "--root", str(tmp_path / "nowhere"))) == 1
    assert "nowhere" in capsys.readouterr().err
    assert not run.exists()


def test_a_refinement_without_whole_maps_is_not_gone_on_from(tiny, capsys):
    light, run = tiny.folder / "light", tiny.folder / "second"
    assert main(words_of(tiny, "-o", str(light))) == 0
    for path in light.glob("run_it001_half?_class001.mrc"):
        write_map(path, Volume(np.random.default_rng(0).random((16, 16, 16), np.float32), (6.0,) * 3))
    capsys.readouterr()
    optimiser = str(light / "run_it001_optimiser.star")
    assert main(words_of(tiny, "-o", str(run), "--continue-from", optimiser)) == 1
    assert "only a light copy was kept" in capsys.readouterr().err
    assert not run.exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--prior", "magic"], "--prior"),
        (["--symmetry", "K9"], "--symmetry"),
        (["--healpix-order", "99"], "--healpix-order"),
        (["--offset-range", "2", "--offset-step", "3"], "larger than offset_range"),
    ],
)
def test_wrong_usage_names_the_option(tiny, tmp_path, capsys, words, said):
    command = words_of(tiny, "-o", str(tmp_path / "run"))
    for name in words[::2]:
        if name in command:
            at = command.index(name)
            del command[at : at + 2]
    assert main([*command, *words]) == 2
    assert said in capsys.readouterr().err


def test_the_help_names_every_option_with_its_unit(capsys):
    assert main(["refine", "--help"]) == 0
    shown = capsys.readouterr().out
    for option in (
        "--reference",
        "--diameter",
        "--initial-lowpass",
        "--first-iteration-cc",
        "--resample-reference",
    ):
        assert option in shown
    assert "(Å)" in shown


def test_what_most_users_need_stands_first_in_the_help(capsys):
    for command in ("refine", "classify"):
        assert main([command, "--help"]) == 0
        shown = capsys.readouterr().out
        first, *others = re.split("╭─ ", shown)[1:]
        assert [each.partition(" ─")[0] for each in others] == [
            "Special inputs",
            "Search",
            "Images and maps",
            "Course of the run",
        ]
        assert len(re.findall(r"^│ [* ]  (?:-|[A-Z])", first, re.MULTILINE)) <= 17
        for option in ("--diameter", "--symmetry", "--mask", "--first-iteration-cc", "--output"):
            assert option in first


FIGURES = {
    "resolution_angstrom": 8.42,
    "resolution_in_use_angstrom": 9.1,
    "current_size": 44,
    "fine_angular_step_deg": 3.75,
    "local_search": False,
    "is_last": False,
    "mean_p_max": 0.613,
    "seconds": 14.21,
    "change_angle_deg": 1.93,
    "change_offset_angstrom": 0.331,
    "accuracy_angle_deg": None,
    "accuracy_offset_angstrom": None,
    "fsc": [1.0, 1.0, 0.5, 0.0, -0.3],
    "voxel_size_angstrom": 2.6,
}


def test_an_iteration_in_a_few_lines():
    lines = iteration_lines(7, FIGURES).splitlines()
    assert lines == [
        "iteration 7: 8.4 Å (in use 9.1 Å), searched everywhere by 3.8°, images to 44 px, Pmax 0.61, 14.2 s",
        "  moved by 1.9° and 0.33 Å",
        "  FSC █▄  ▏to 5.2 Å",
    ]
    more = {
        **FIGURES,
        "accuracy_angle_deg": 2.2,
        "accuracy_offset_angstrom": 0.9,
        "why": "image size 40 → 44 px",
    }
    text = describe(IterationDone(iteration=8, figures={**more, "is_last": True, "local_search": True}))
    assert text.startswith("last iteration 8: ")
    assert "searched near the last poses by 3.8°" in text
    assert "can be told to 2.2° and 0.90 Å" in text
    assert text.endswith("image size 40 → 44 px")


def test_figures_of_another_job_are_shown_as_they_are():
    assert not is_refinement({"density_loss": 0.5})
    assert (
        describe(IterationDone(iteration=3, figures={"density_loss": 0.5})) == "iteration 3: density_loss 0.5"
    )


def test_long_curves_are_thinned():
    sketch = fsc_sketch([1.0] * 101 + [None] * 100, 1.0)
    row = sketch.removeprefix("FSC ").partition("▏")[0]
    assert len(row) <= 64
    assert row == "█" * 25 + " " * 25
    assert sketch.endswith("▏to 2 Å")
