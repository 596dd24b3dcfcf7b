"""``blush recipe``: its commands are ones that the command line takes, in an order that works."""

from __future__ import annotations

import shlex
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from blushcore.cli import main, recipe
from blushcore.cli.app import COMMANDS, build_app
from blushcore.cli.recipe_steps import RECIPES
from synthetic_models import pdb_line, write_bundle


@pytest.fixture
def models(tmp_path, monkeypatch) -> Path:
    """A protein, and the same with a strand of RNA as chain R, 60 Å long."""
    monkeypatch.chdir(tmp_path)
    protein = write_bundle(tmp_path / "protein.pdb").read_text().splitlines()[:-1]
    rna = [
        pdb_line(900 + 2 * i + k, name, "R", i + 1, np.array([20.0, 2.0 * k, 6.0 * i]), 20.0).replace(
            "ALA", "  A"
        )
        for i in range(10)
        for k, name in enumerate(("P", "C4'"))
    ]
    (tmp_path / "complex.pdb").write_text("\n".join([*protein, *rna, "END"]) + "\n")
    return tmp_path


def lines_of(capsys, *words: str) -> list[list[str]]:
    assert main(["recipe", *words, "-o", "out", "--dry-run"]) == 0
    assert not Path("out").exists()
    return [shlex.split(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize("name", list(RECIPES))
def test_every_command_is_one_and_reads_what_was_made(name, models, capsys):
    lines = lines_of(capsys, name, "complex.pdb", "--seed", "3", "-n", "70")
    app = build_app(COMMANDS)
    assert {words[0] for words in lines} == {"blush"}
    for words in lines:
        app.parse_args(words[1:], exit_on_error=False, print_error=False)
    assert lines[0][1] == "simulate"
    assert lines[-1][1] == "report"
    made = {"complex.cif", "protein.cif", str(models / "complex.pdb")}
    for words in lines:
        output = words[words.index("-o") + 1]
        files = [word.partition(":")[0] for word in words[2:] if "." in word and not word[0].isdigit()]
        unknown = [
            word
            for word in files
            if word not in made and word.partition("/")[0] not in made and word != output and " " not in word
        ]
        assert not unknown, (words, unknown)
        made.add(output)
    assert all(words[words.index("--seed") + 1] == "3" for words in lines if "--seed" in words)
    assert lines[0][lines[0].index("-n") + 1] == "70"


def test_sizes_follow_the_model(models, capsys):
    (simulate, refine, *_) = lines_of(capsys, "preferred", "complex.pdb")
    diameter, box = float(refine[refine.index("--diameter") + 1]), int(simulate[simulate.index("--box") + 1])
    pixel_size = float(simulate[simulate.index("--voxel-size") + 1])
    assert 65 <= diameter <= 85  # some 62 Å and room
    assert diameter * 1.2 <= box * pixel_size < diameter * 1.2 + 8 * pixel_size
    assert box % 8 == 0


def test_the_parts_of_a_complex_are_told_apart(models, capsys):
    from blushcore.cli.recipe_steps import chosen_parts
    from blushcore.simulation import read_structure

    model = read_structure(Path("complex.pdb"))
    whole, lesser = chosen_parts(model, ["A", "B", "R"])
    assert [chain.name for chain in whole] == ["A", "B", "R"]
    assert [chain.name for chain in lesser] == ["A", "B"]
    for words, says in (
        (("small-complex", "protein.pdb"), "no nucleic acid"),
        (("small-complex", "complex.pdb", "--chains", "R"), "nothing but nucleic acid"),
        (("small-complex", "complex.pdb", "--chains", "A,X"), "no chain X"),
    ):
        assert main(["recipe", *words, "-o", "out"]) == 1
        assert says in capsys.readouterr().err
    assert main(["recipe", "micelle", "complex.pdb", "--chains", "A", "-o", "out"]) == 2
    assert main(["recipe", "soup", "complex.pdb", "-o", "out"]) == 2
    assert not Path("out").exists()


def test_it_goes_on_where_it_stopped(models, capsys, monkeypatch):
    """Commands that only pretend: each makes its file; the refinement breaks off once."""
    ran, fails = [], ["refine"]

    def pretend(words, *, cwd, check):
        ran.append(words[3:])
        if words[3] == "refine" and fails:
            (cwd / "refined").mkdir()
            fails.clear()
            return SimpleNamespace(returncode=1)
        makes = next(
            step.makes
            for step in RECIPES["micelle"].steps(chosen)
            if list(step.words) == words[3:] or (words[3] == "resume" and step.run == words[4])
        )
        (cwd / makes).parent.mkdir(exist_ok=True)
        (cwd / makes).write_text("made")
        return SimpleNamespace(returncode=0)

    chosen, _ = recipe._prepared("micelle", Path("complex.pdb"), "", None, (1, "auto", "blush"))
    monkeypatch.setattr(recipe.subprocess, "run", pretend)
    assert main(["recipe", "micelle", "complex.pdb", "-o", "out"]) == 1
    told = capsys.readouterr().err
    assert "blush refine ended with exit code 1" in told
    assert "$ blush simulate" in told
    assert main(["recipe", "micelle", "complex.pdb", "-o", "out", "--seed", "2"]) == 1
    assert "this one with other choices" in capsys.readouterr().err
    assert main(["recipe", "micelle", "complex.pdb", "-o", "out"]) == 0
    assert [words[0] for words in ran] == [
        *("simulate", "refine", "resume", "mask", "local-resolution", "report")
    ]
    commands = Path("out/commands.sh").read_text().splitlines()
    assert commands[1] == f"blush {shlex.join(ran[0])}"
