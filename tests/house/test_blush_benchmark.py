"""The harness of both priors: cases, bookkeeping, the frame of a run, verdicts; with programs that pretend."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
import sys
from pathlib import Path

import mrcfile
import numpy as np
import pandas as pd
import pytest
import starfile
from scipy.spatial.transform import Rotation

from blushcore.volumes import Volume, write_map
from gaussian_blobs import blobs

N, VOXEL = 24, 3.0
NAMES = ("refine", "refine_parts", "refine_scores", "blush_scores", "blush_controls", "blush_vs_wiener")

PRETENDER = """#!{python}
import json, pathlib, shutil, sys
words = sys.argv
folder = pathlib.Path(words[words.index("-o") + 1])
folder.mkdir(parents=True)
data = pathlib.Path(words[2]).parent
stages = {{"comparing": 3.0}}
if words[words.index("--prior") + 1] == "blush":
    stages["denoising"] = 1.0
event = {{"kind": "iteration_done", "data": {{"figures": {{"stage_seconds": stages}}}}}}
(folder / "events.jsonl").write_text(json.dumps(event) + "\\n")
for half in (1, 2):
    shutil.copy(data / "truth.mrc", folder / f"run_half{{half}}_class001_unfil.mrc")
shutil.copy(data / "true.star", folder / "run_data.star")
with open("calls", "a") as calls:
    calls.write(" ".join(words[1:]) + "\\n")
"""


@pytest.fixture(scope="module")
def harness(repository: Path):
    """The benchmark's modules, by name; they import each other as scripts do."""
    folder = str(repository / "benchmarks")
    before = {name: sys.modules.pop(name, None) for name in NAMES}
    sys.path.insert(0, folder)
    try:
        yield importlib.import_module("blush_vs_wiener")
    finally:
        sys.path.remove(folder)
        for name, module in before.items():
            sys.modules.pop(name, None)
            if module is not None:
                sys.modules[name] = module


def module(name: str):
    return importlib.import_module(name)


PLACES = np.array([[4.0, 0, 0], [0, 3, 2], [-3, -2, 4], [0, -4, -3]])


def matrices(rotations: Rotation) -> np.ndarray:
    return rotations.as_matrix()


def write_set(folder: Path, count: int = 60) -> None:
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    write_map(folder / "truth.mrc", Volume(blobs(PLACES, N), (VOXEL,) * 3))
    table = pd.DataFrame(
        {
            "rlnAngleRot": rng.uniform(-180, 180, count),
            "rlnAngleTilt": np.degrees(np.arccos(rng.uniform(-1, 1, count))),
            "rlnAnglePsi": rng.uniform(-180, 180, count),
            "rlnOriginXAngst": rng.normal(0, 4, count),
            "rlnOriginYAngst": rng.normal(0, 4, count),
            "rlnImageName": [f"{i + 1:06d}@particles.mrcs" for i in range(count)],
        }
    )
    starfile.write({"optics": pd.DataFrame({"rlnOpticsGroup": [1]}), "particles": table}, folder / "true.star")
    (folder / "made.json").write_text("{}")


def test_a_turned_run_scores_as_one_that_did_not_turn(harness, tmp_path):
    scores = module("blush_scores")
    write_set(tmp_path / "set")
    table = starfile.read(tmp_path / "set" / "true.star")["particles"]
    turn = Rotation.from_euler("ZYZ", [30, 4, -20], degrees=True)
    angles = ["rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"]
    for name, by in (("straight", Rotation.identity()), ("turned", turn)):
        run = tmp_path / name
        run.mkdir()
        data = blobs(by.apply(PLACES), N)
        for half in (1, 2):
            write_map(run / f"run_half{half}_class001_unfil.mrc", Volume(data, (VOXEL,) * 3))
        # A_found = A_true F⁻¹, and A is the inverse of the rotation that scipy makes of the angles.
        poses = by * Rotation.from_euler("ZYZ", table[angles].to_numpy(), degrees=True)
        moved = table.copy()
        moved[angles] = poses.as_euler("ZYZ", degrees=True)
        starfile.write({"particles": moved}, run / "run_data.star")
    straight, turned = (
        scores.frame_scores(tmp_path / name, tmp_path / "set") for name in ("straight", "turned")
    )
    assert straight.frame < 0.01
    assert turned.frame == pytest.approx(np.degrees(turn.magnitude()), abs=0.01)
    assert turned.angle < 0.01
    assert turned.truth_mean == pytest.approx(straight.truth_mean, abs=0.05)
    assert (tmp_path / "turned" / "frame_scores.json").exists()


# --- cases and bookkeeping ------------------------------------------------------------------------------------


def test_the_cases_are_those_that_were_promised(harness):
    cases = harness.read_cases()
    assert list(cases) == ["gpcr", "transporter", "nucleoprotein", "ring", "preferred"]
    assert {case.model.partition(".")[0] for case in cases.values()} == {"4jkv", "4ry2", "1a9n", "5xj5", "2der"}
    assert [name for name, case in cases.items() if case.micelle] == ["gpcr", "transporter"]
    particles = cases["ring"].of_seed(2, Path("work"))
    assert particles.name == "ring_2"
    assert particles.option("--seed", "") == "2"
    assert particles.copies == 4
    assert float(particles.option("--angpix", "9")) <= 1.2  # so that the crossover acts
    assert cases["gpcr"].of_seed(1, Path("/w")).model == "/w/truths/gpcr.mrc"
    with pytest.raises(SystemExit, match="no case soup"):
        harness.main(["--cases", "soup", "--table"])


@pytest.fixture
def stage(harness, tmp_path, monkeypatch) -> Path:
    """One small case with two sets, and a `blush` that pretends; returns where the work is kept."""
    cases = tmp_path / "cases.toml"
    cases.write_text(
        '[tiny]\nwhat = "blobs"\nmodel = "x.pdb"\nmake = ["--box", "24", "--angpix", "3"]\n'
        'diameter_angstrom = 40\nsymmetry = "C1"\n'
    )
    monkeypatch.setattr(harness, "CASES", cases)
    program = tmp_path / "bin" / "blush"
    program.parent.mkdir()
    program.write_text(PRETENDER.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    for seed in (1, 2):
        write_set(tmp_path / "work" / f"tiny_{seed}")
    return tmp_path / "work"


def calls(work: Path) -> list[list[str]]:
    return [line.split() for line in (work / "calls").read_text().splitlines()]


def test_both_priors_get_the_same_and_what_has_run_is_not_run_again(stage, harness, capsys):
    assert harness.main(["--work", str(stage), "--seeds", "1"]) in (0, 1)
    first = calls(stage)
    assert [words[words.index("--prior") + 1] for words in first] == ["wiener", "blush"]
    same = [
        [word.replace("blush_", "").replace("wiener_", "") for word in words if word not in ("blush", "wiener")]
        for words in first
    ]
    assert same[0] == same[1]
    harness.main(["--work", str(stage), "--seeds", "1", "2"])  # goes on with what is missing
    assert len(calls(stage)) == 4
    assert {words[words.index("--seed") + 1] for words in calls(stage)[2:]} == {"2"}
    harness.main(["--work", str(stage), "--seeds", "1", "2", "--table"])
    assert len(calls(stage)) == 4
    kept = json.loads((stage / "results.json").read_text())
    assert set(kept) == {f"tiny/{seed}/{prior}" for seed in (1, 2) for prior in ("wiener", "blush")}
    assert kept["tiny/1/blush"]["command"].startswith("blush refine tiny_1/particles.star")
    out = capsys.readouterr().out
    assert "The denoiser takes 25 % of a run with it" in out
    assert "tiny: FSC to the truth not worse than Wiener's, within one error: +0.0000 ± 0.0000" in out


# --- verdicts -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "unmet"),
    [
        ({}, set()),
        ({"truth_mean": 0.80}, {"not worse than Wiener's", "not worse than RELION"}),
        ({"truth": 8.9}, {"better at 0.5"}),
        ({"half": 5.0}, {"at most 2 shells beyond"}),
        ({"angle": 2.5}, {"lower median error of angles"}),
    ],
)
def test_each_target_has_its_verdict(harness, changes, unmet):
    scores = module("blush_scores")
    case = harness.Case("tiny", "blobs", "x", ("--box", "24", "--angpix", "3"), 40.0, "C1")
    wiener = scores.FrameScores(9.0, 0.85, 9.0, 2.0, 0.5, 0.1, 0.0)
    blush = dataclasses.replace(wiener, truth=8.0, truth_mean=0.9, half=8.0, angle=1.5)
    changed = dataclasses.replace(blush, **changes)
    found = {"tiny": {"wiener": [wiener] * 3, "blush": [changed] * 3, "relion": [wiener]}}
    rows = harness.judge([case], found)
    missed = [wanted for wanted, _, reached in rows if reached is False]
    assert len(missed) == len(unmet)
    assert all(any(words in wanted for wanted in missed) for words in unmet)


def test_one_seed_says_nothing_about_chance(harness):
    scores = module("blush_scores")
    case = harness.Case("tiny", "blobs", "x", ("--box", "24", "--angpix", "3"), 40.0, "C1")
    one = scores.FrameScores(9.0, 0.85, 9.0, 2.0, 0.5, 0.1, 0.0)
    rows = harness.judge([case], {"tiny": {"wiener": [one], "blush": [one], "relion": []}})
    assert rows[0][2] is None
    rows = harness.judge([case], {"tiny": {"wiener": [], "blush": [], "relion": []}})
    assert rows == [("tiny: not worse than Wiener", "not run", None)]


def test_a_mean_has_its_error(harness):
    assert harness.mean_and_error([1.0, 2.0, 3.0]) == pytest.approx((2.0, 1 / np.sqrt(3)))
    assert np.isnan(harness.mean_and_error([1.0])[1])


# --- controls -------------------------------------------------------------------------------------------------


def test_only_what_makes_things_up_is_blamed(harness, tmp_path, monkeypatch):
    from types import SimpleNamespace

    controls = module("blush_controls")

    class Network(controls.Unchanged):
        info = SimpleNamespace(name="stand-in")

    monkeypatch.setattr(controls.Denoiser, "load", lambda *_: Network())
    rng = np.random.default_rng(0)
    for half in (1, 2):
        data = blobs(1.5 * PLACES, 32) + rng.normal(0, 0.3, (32,) * 3)
        write_map(tmp_path / f"run_half{half}_class001_unfil.mrc", Volume(data.astype(np.float32), (1.5,) * 3))
    found = {one.name: one for one in controls.test_controls(tmp_path, 40.0, None, "cpu")}
    assert [name for name, one in found.items() if one.is_blamed] == ["inventing"]
    assert abs(found["identity"].gain) < 1e-6
    assert found["inventing"].gain < -0.05


def test_random_phases_begin_where_they_are_to(harness, tmp_path):
    controls = module("blush_controls")
    folder = tmp_path / "tiny_1"
    folder.mkdir()
    images = np.random.default_rng(1).normal(size=(6, N, N)).astype(np.float32)
    with mrcfile.new(folder / "particles.mrcs") as file:
        file.set_data(images)
        file.voxel_size = VOXEL
        file.set_image_stack()
    tables = {
        "optics": pd.DataFrame({"rlnOpticsGroup": [1], "rlnImagePixelSize": [VOXEL]}),
        "particles": pd.DataFrame({"rlnImageName": [f"{i + 1}@tiny_1/particles.mrcs" for i in range(6)]}),
    }
    starfile.write(tables, folder / "particles.star")
    assert controls.random_phase_set(tmp_path, "tiny_1", 12.0) == "tiny_1/random.star"
    changed = mrcfile.read(folder / "random.mrcs")
    before, after = np.fft.rfft2(images), np.fft.rfft2(changed)
    frequency = np.hypot(np.fft.fftfreq(N, VOXEL)[:, None], np.fft.rfftfreq(N, VOXEL))
    low = frequency <= 1 / 12.0
    np.testing.assert_allclose(after[:, low], before[:, low], atol=1e-3)
    np.testing.assert_allclose(np.abs(after), np.abs(before), atol=1e-2)
    phases = np.angle(after[:, ~low] / before[:, ~low])
    assert abs(np.exp(1j * phases).mean()) < 0.1
    named = starfile.read(folder / "random.star")["particles"]["rlnImageName"]
    assert named.str.endswith("tiny_1/random.mrcs").all()
