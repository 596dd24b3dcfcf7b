"""The refinement benchmark's own arithmetic and bookkeeping, with programs that only pretend to refine."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import starfile

from blushcore.volumes import Volume, write_map

N, VOXEL = 24, 3.0

PRETENDER = """#!{python}
import pathlib, shutil, sys, time
words = sys.argv
if "mpirun" in words[0]:
    folder = pathlib.Path(words[words.index("--o") + 1]).parent
    (folder / "run_it000_optimiser.star").touch(), (folder / "run_it001_optimiser.star").touch()
    time.sleep({relion_seconds})
else:
    folder = pathlib.Path(words[words.index("-o") + 1])
    folder.mkdir()
    (folder / "events.jsonl").write_text('{{"kind": "started"}}\\n{{"kind": "iteration_done"}}\\n')
for name in ("run_half1_class001_unfil.mrc", "run_half2_class001_unfil.mrc"):
    shutil.copy("tiny/truth.mrc", folder / name)
shutil.copy("tiny/true.star", folder / "run_data.star")
with open("calls", "a") as calls:
    calls.write(pathlib.Path(words[0]).name + "\\n")
"""


@pytest.fixture(scope="module")
def benchmark_module(repository: Path):
    folder = repository / "benchmarks"
    sys.path.insert(0, str(folder))
    try:
        spec = importlib.util.spec_from_file_location("refine_benchmark", folder / "refine.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules["refine_benchmark"] = module
        spec.loader.exec_module(module)
        yield module
    finally:
        sys.path.remove(str(folder))
        sys.modules.pop("refine_benchmark", None)


def write_set(folder: Path, count: int = 40) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    line = np.arange(N) - N // 2
    z, y, x = np.meshgrid(line, line, line, indexing="ij")
    blob = np.exp(-(x**2 + 2 * y**2 + (z - 2) ** 2) / 20).astype(np.float32)
    noise = rng.normal(0, 0.02, blob.shape).astype(np.float32)
    write_map(folder / "truth.mrc", Volume(blob * (1 + 5 * noise), (VOXEL,) * 3))
    table = pd.DataFrame(
        {
            "rlnAngleRot": rng.uniform(-180, 180, count),
            "rlnAngleTilt": np.degrees(np.arccos(rng.uniform(-1, 1, count))),
            "rlnAnglePsi": rng.uniform(-180, 180, count),
            "rlnOriginXAngst": rng.normal(0, 4, count),
            "rlnOriginYAngst": rng.normal(0, 4, count),
            "rlnImageName": [f"{i + 1:06d}@tiny/particles.mrcs" for i in range(count)],
        }
    )
    starfile.write({"optics": pd.DataFrame({"rlnOpticsGroup": [1]}), "particles": table}, folder / "true.star")
    (folder / "made.json").write_text("{}")
    return table


@pytest.fixture
def programs(tmp_path, monkeypatch, benchmark_module):
    """A folder of programs that pretend, one set of two rows, and where the work is kept."""
    bin_folder, work = tmp_path / "bin", tmp_path / "work"
    bin_folder.mkdir()
    write_set(work / "tiny")
    for name in ("blush", "mpirun"):
        program = bin_folder / name
        program.write_text(PRETENDER.format(python=sys.executable, relion_seconds=1.5))
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin_folder}{os.pathsep}{os.environ['PATH']}")
    sets = tmp_path / "sets.toml"
    sets.write_text(
        '[tiny]\nmodel = "x.pdb"\nmake = ["--box", "24", "--angpix", "3"]\n'
        'diameter_angstrom = 40\nsymmetry = "C1"\n'
        "[tiny.relion]\nthreads = 1\nseconds = 100\ntruth = 7.0\ntruth_mean = 0.9\nhalf = 7.0\n"
        "angle = 1.0\nshift = 1\n"
    )
    monkeypatch.setattr(benchmark_module, "DESCRIPTIONS", sets)
    return work


def calls(work: Path) -> list[str]:
    return (work / "calls").read_text().split()


def test_results_are_kept_with_their_command_and_not_run_again(programs, benchmark_module, capsys):
    words = ["--work", str(programs), "--relion", "tiny", "--threads", "1", "2"]
    benchmark_module.main(words)
    assert calls(programs) == ["blush", "mpirun", "mpirun"]
    kept = json.loads((programs / "results.json").read_text())
    assert set(kept) == {"tiny/blush", "tiny/relion/3x1", "tiny/relion/3x2"}
    ours, theirs = kept["tiny/blush"], kept["tiny/relion/3x2"]
    assert ours["command"].startswith("blush refine tiny/particles.star --reference tiny/ref40.mrc")
    assert "--j 2" in theirs["command"]
    assert ours["iterations"] == theirs["iterations"] == 1
    assert ours["scores"]["angle"] < 0.01
    assert 1 < theirs["peak_megabytes"] < 60  # that of the program, not of what started it
    benchmark_module.main(words)
    assert calls(programs) == ["blush", "mpirun", "mpirun"]
    benchmark_module.main(["--work", str(programs), "--extra", "--max-iterations 2"])
    assert calls(programs) == ["blush", "mpirun", "mpirun", "blush"]
    assert "reached" in capsys.readouterr().out


def test_a_run_over_the_limit_is_stopped_and_gives_a_bound(programs, benchmark_module, capsys):
    program = programs.parent / "bin" / "mpirun"
    program.write_text(PRETENDER.format(python=sys.executable, relion_seconds=30))
    benchmark_module.main(
        ["--work", str(programs), "--relion", "tiny", "--threads", "1", "--limit", str(0.5 / 60)]
    )
    kept = json.loads((programs / "results.json").read_text())["tiny/relion/3x1"]
    assert kept["seconds"] is None
    assert 0.4 < kept["seconds_at_least"] < 20
    assert kept["scores"] is None
    assert "at least" in capsys.readouterr().out


def test_an_interrupted_run_goes_on_and_its_parts_are_added_up(programs, benchmark_module, capsys):
    program = programs.parent / "bin" / "mpirun"
    text = PRETENDER.format(python=sys.executable, relion_seconds=1.5)
    crash = 'if "--continue" not in words: raise SystemExit(1)\nfor name in'
    program.write_text(text.replace("for name in", crash))
    words = ["--work", str(programs), "--relion", "tiny", "--threads", "2"]
    with pytest.raises(SystemExit, match=r"relion_refine_mpi failed \(1\)"):
        benchmark_module.main(words)
    benchmark_module.main(words)
    kept = json.loads((programs / "results.json").read_text())["tiny/relion/3x2"]
    assert kept["parts"] == 2
    assert 2.5 < kept["seconds"] < 30
    out = capsys.readouterr().out
    assert "relion_refine_mpi --continue runs/relion_tiny_j2/run_it001_optimiser.star --o runs/" in out
    assert "s in 2 parts" in out
    assert "not judged   tiny: 10 × faster" in out
    assert not list((programs / "runs").glob("*.parts.json"))


def test_a_run_of_ours_goes_on_only_with_the_same_command(programs, benchmark_module):
    parts = sys.modules["refine_parts"]
    run = programs / "runs" / "blush_tiny"
    run.mkdir(parents=True)
    command = ["blush", "refine", "x.star", "-o", "runs/blush_tiny"]
    assert parts.command_to_go_on(command, Path("runs/blush_tiny"), run) is None
    (run / "params.json").write_text("{}")
    assert parts.command_to_go_on(command, Path("runs/blush_tiny"), run) == [
        "blush",
        "resume",
        "runs/blush_tiny",
    ]
    parts.Parts("blush refine x.star", 1).keep(run, 5.0)
    assert parts.Parts.of(run, "blush refine x.star").seconds == 5.0
    assert parts.Parts.of(run, "blush refine y.star").count == 0


def test_what_failed_is_no_result(programs, benchmark_module):
    (programs.parent / "bin" / "blush").write_text(f"#!{sys.executable}\nraise SystemExit(3)\n")
    with pytest.raises(SystemExit, match=r"blush failed \(3\)"):
        benchmark_module.main(["--work", str(programs)])
    assert not (programs / "results.json").exists()


def test_figures_of_another_machine_give_no_ratio(programs, benchmark_module, capsys):
    assert benchmark_module.main(["--work", str(programs)]) == 0
    out = capsys.readouterr().out
    assert "relion_refine_mpi*" in out
    assert "not judged   tiny: 10 × faster with as good a map*" in out
    assert "reached      tiny: truth within one shell of RELION's*" in out


@pytest.mark.parametrize(
    ("changes", "unmet"),
    [
        ({}, set()),
        ({"truth": 8.0}, {"truth within one shell of RELION's"}),
        ({"half": 8.0}, {"half within one shell of RELION's"}),
        ({"angle": 1.12}, {"median error of angle at most 1.1 × RELION's"}),
        ({"shift": 0.6}, {"median error of shift at most 1.1 × RELION's"}),
        ({"half": 5.0}, {"half-map 0.143 at most two shells beyond truth 0.5"}),
        ({"truth_mean": 0.89}, {"10 × faster with as good a map"}),
    ],
)
def test_each_target_has_its_verdict(changes, unmet, benchmark_module):
    scores = benchmark_module.Scores(truth=7.0, truth_mean=0.9, half=7.0, angle=1.0, shift=0.5)
    particles = benchmark_module.ParticleSet("a", "x", ("--box", "24", "--angpix", "3"), 40, "C1", None)
    peer = benchmark_module.Outcome(
        *("relion", "", "", 1000.0, None, 10, 100.0), scores=scores, load_before=0, date="", revision=""
    )
    mine = dataclasses.replace(peer, seconds=90.0, scores=dataclasses.replace(scores, **changes))
    rows = benchmark_module.judge(particles, mine, peer, mark="")
    assert {wanted.removeprefix("a: ") for wanted, _, reached in rows if reached is False} == unmet
    slow = dataclasses.replace(mine, seconds=110.0)
    assert any(
        "faster" in w and r is False for w, _, r in benchmark_module.judge(particles, slow, peer, mark="")
    )


def test_where_a_curve_crosses(benchmark_module):
    scores = sys.modules["refine_scores"]
    curve = np.array([1, 0.9, 0.7, 0.3, 0.6, 0.1])
    assert scores.crossing(curve, 60.0, 0.5) == pytest.approx(60 / 2.5)
    assert scores.crossing(curve, 60.0, 0.05) == pytest.approx(60 / 5)
