"""Reports of runs: what they say is what the run's files say, and they need no other file."""

from __future__ import annotations

import shutil
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from page_checker import checked
from scipy.spatial.transform import Rotation

from blushcore.cli import main
from blushcore.jobs.refine.job import JOB
from blushcore.particles.star_text import read_star, write_star
from blushcore.protocol import BlushError
from blushcore.reports import report_of
from blushcore.reports.facts import read_facts
from blushcore.reports.measured import measure_halves, measure_truth
from blushcore.reports.pictures import central_slices, png, ramp, scale_bar_length
from blushcore.reports.sections import Measured, missing_views, tiles
from blushcore.reports.svg import Axes, Line, Tick, chart, round_ticks
from blushcore.reports.words import duration, figure_words, resolution_words, where
from blushcore.runs import create_run, run_job
from blushcore.shells import fsc, resolution
from blushcore.simulation.run_frame import Frame, in_frame
from blushcore.volumes import Volume, read_map, soft_sphere, write_map
from tiny_refinement import BOX, PIXEL_SIZE, write_tiny_set


@pytest.fixture(scope="module")
def run(random_weights, tmp_path_factory) -> tuple[Path, Path]:
    """A run with the Blush prior, and a map of its truth."""
    folder = tmp_path_factory.mktemp("reported")
    tiny = write_tiny_set(folder / "tiny", count=60)
    params = tiny.parameters(prior="blush", weights=str(random_weights), diameter=44.0, max_iterations=3)
    for _ in run_job(JOB, params, folder / "run"):
        pass
    truth = folder / "truth.mrc"
    write_map(truth, Volume(np.ascontiguousarray(tiny.truth, np.float32), (PIXEL_SIZE,) * 3))
    return folder / "run", truth


def test_a_finished_run_is_told_whole(run):
    folder, truth = run
    page = report_of(folder, truth=truth, title="A <title>", note="For the file & the group")
    told = checked(page)
    assert told.headings == [
        *("A <title>", "Warnings", "Resolution", "Maps", "Views", "Denoiser", "Course", "Results", "Parameters")
    ]
    text = " ".join(told.texts)
    for words in ("Finished", "For the file & the group", "half1_unfil", "first_iteration_cc", "60"):
        assert words in text
    halves = [read_map(folder / f"run_half{half}_class001_unfil.mrc").data for half in (1, 2)]
    found = resolution(fsc(*halves), BOX * PIXEL_SIZE)
    assert f"{found.interpolated_angstrom:.2f} Å" in text
    assert len(told.addresses) == 2 * 6 + 2  # two figures of two maps in three planes; the views and their key
    # An untrained network does harm, and that is said.
    assert "takes signal away or makes up detail" in text
    assert "multiplies noise by" in text


def test_with_the_truth_the_figures_are_those_of_its_mask(run):
    folder, truth = run
    facts = read_facts(folder)
    found = measure_truth(facts, truth)
    assert found.with_truth[1] > 0.9
    assert 0 < found.mean < 1
    assert found.angstrom == resolution(found.with_truth, BOX * PIXEL_SIZE, 0.5).interpolated_angstrom
    wrong = truth.with_name("other.mrc")
    write_map(wrong, Volume(np.zeros((20,) * 3, np.float32) + np.eye(20, dtype=np.float32), (PIXEL_SIZE,) * 3))
    with pytest.raises(BlushError, match=r"other\.mrc"):
        measure_truth(facts, wrong)


def test_the_frame_of_the_run_is_taken_out_where_the_true_poses_are_known(run, tmp_path):
    folder, _ = run
    facts = read_facts(folder)
    turn = Rotation.from_euler("ZYZ", [20, 9, -13], degrees=True)
    poses = read_star(facts.files["data"])
    angles = ["rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"]
    to_object = Rotation.from_euler("ZYZ", poses["particles"][angles].to_numpy(float), degrees=True)
    poses["particles"][angles] = (turn.inv() * to_object).as_euler("ZYZ", degrees=True)
    write_star(tmp_path / "true.star", poses)
    mean = (read_map(facts.files["half1_unfil"]).data + read_map(facts.files["half2_unfil"]).data) / 2
    back = Frame(turn.inv().as_matrix(), np.zeros(3), np.zeros(1), np.zeros(1))
    write_map(tmp_path / "truth.mrc", Volume(in_frame(mean, back, PIXEL_SIZE), (PIXEL_SIZE,) * 3))
    found = measure_truth(facts, tmp_path / "truth.mrc")
    assert found.frame is not None
    assert found.frame.turn_deg == pytest.approx(np.degrees(turn.magnitude()), abs=0.01)
    assert found.with_truth[1:8].min() > 0.98
    assert "turned back by" in report_of(folder, truth=tmp_path / "truth.mrc")
    (tmp_path / "true.star").unlink()
    assert measure_truth(facts, tmp_path / "truth.mrc").with_truth[4:8].min() < 0.5


def test_a_mask_gives_the_corrected_curve(run, tmp_path):
    mask = tmp_path / "mask.mrc"
    write_map(mask, Volume(soft_sphere((BOX,) * 3, 6.0, 3.0).numpy(), (PIXEL_SIZE,) * 3))
    told = checked(report_of(run[0], mask=mask))
    assert "corrected for the mask" in told.texts
    assert "Inside mask.mrc" in " ".join(told.texts)


def test_the_command_writes_it_and_replaces_nothing(run, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["report", str(run[0]), "-o", "r.html"]) == 0
    assert checked(Path("r.html").read_text()).headings[0] == "Refine: run"
    assert main(["report", str(run[0]), "-o", "r.html"]) == 1
    assert "exists already" in capsys.readouterr().err
    assert main(["report", str(run[0]), "-o", "r.pdf"]) == 2
    assert main(["report", str(tmp_path), "-o", "s.html"]) == 1
    assert "not a run directory" in capsys.readouterr().err


def test_a_run_that_was_only_made_and_one_whose_files_are_gone(run, tmp_path):
    made = tmp_path / "made"
    create_run(made, "refine", JOB.parameters(particles=Path("a"), reference=Path("b"), diameter=1.0))
    told = checked(report_of(made))
    assert told.headings == ["Refine: made", "Warnings", "Parameters"]
    assert "Not begun" in told.texts
    gone = tmp_path / "gone"
    shutil.copytree(run[0], gone)
    for path in gone.glob("*.mrc"):
        path.unlink()
    told = checked(report_of(gone))
    assert "Maps" not in told.headings
    assert "Course" in told.headings


def test_a_chart_says_where_its_values_are():
    axes = Axes("x (Å)", "y", (0, 10), (0, 1), [Tick(5, "five")], [Tick(0, "0"), Tick(1, "1")], height=242)
    drawn = chart(
        axes, [Line("a <b>", [0, 10], [0, 1]), Line("", [0, 5, 10], [0, np.nan, 1])], label="l", width=266
    )
    checked(drawn)
    # The plot's area is from 52 to 252 across, 10 to 200 down.
    assert 'd="M52.0 200.0L252.0 10.0"' in drawn
    assert 'd="M52.0 200.0M252.0 10.0"' in drawn  # a gap where nothing is known
    assert 'x="152.0" y="217.0">five<' in drawn
    assert "a &lt;b&gt;" in drawn


@pytest.mark.parametrize(
    ("ends", "expected"),
    [((0, 1), ["0", "0.2", "0.4", "0.6", "0.8", "1"]), ((0.3, 0.3), ["0.3"]), ((1, 17), ["5", "10", "15"])],
)
def test_ticks_are_round_numbers(ends, expected):
    assert [tick.text for tick in round_ticks(*ends, 5)] == expected


def test_pictures_hold_the_pixels():
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    content = png(pixels)
    assert struct.unpack(">II", content[16:24]) == (4, 3)
    packed = content[content.index(b"IDAT") + 4 : content.index(b"IEND") - 8]
    rows = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(3, 5)
    assert (rows[:, 0] == 0).all()
    np.testing.assert_array_equal(rows[:, 1:], pixels)
    volume = np.random.default_rng(0).random((4, 6, 8)).astype(np.float32)
    xy, xz, yz = central_slices(volume)
    np.testing.assert_array_equal(xy, volume[2])
    np.testing.assert_array_equal(xz, volume[:, 3])
    np.testing.assert_array_equal(yz, volume[:, :, 4])
    grey = ramp(np.linspace(0, 1, 9)).astype(int).sum(-1)
    assert (np.diff(grey) < 0).all()  # darker with every step
    assert (scale_bar_length(150), scale_bar_length(29)) == (50, 5)


def test_views_that_are_missing_are_counted_from_both_sides():
    from blushcore.reports.directions import DirectionCounts

    rng = np.random.default_rng(0)
    tilt = np.degrees(np.arccos(rng.uniform(0, 1, 20000)))  # the upper half, which tells all
    rot = rng.uniform(-180, 180, 20000)
    assert missing_views(DirectionCounts.of(rot, tilt)) == 0
    side = DirectionCounts.of(rot, np.full(20000, 90.0) + rng.normal(0, 1, 20000))
    assert missing_views(side) > 0.7


def test_figures_in_words():
    assert figure_words("resolution_in_use_angstrom") == "resolution in use (Å)"
    assert figure_words("mean_p_max") == "mean p max"
    assert [duration(s) for s in (None, 12.4, 1760, 8000)] == ["", "12 s", "29 min", "2 h 13 min"]


def test_halves_that_agree_nowhere_have_no_resolution_and_not_an_infinite_one(run, tmp_path):
    folder, truth = run
    noisy = tmp_path / "noisy"
    shutil.copytree(folder, noisy)
    rng = np.random.default_rng(3)
    for half in (1, 2):
        data = rng.normal(size=(BOX,) * 3).astype(np.float32)
        # In shell 1 they are each other's negative.
        axis = np.cos(2 * np.pi * np.arange(BOX) / BOX).astype(np.float32)
        data += (-1) ** half * 50 * (axis[:, None, None] + axis[:, None] + axis)
        write_map(noisy / f"run_half{half}_class001_unfil.mrc", Volume(data, (PIXEL_SIZE,) * 3))
    page = report_of(noisy, truth=truth)
    assert "inf" not in " ".join(checked(page).texts).replace("information", "")
    assert "none" in checked(page).texts
    assert "0.143 nowhere" in page
    assert (resolution_words(4.1), where(np.inf)) == ("4.10 Å", "nowhere")


def test_a_mask_that_is_gone_is_missed_and_one_of_no_use_is_refused(run, random_weights, tmp_path):
    import json

    folder, _ = run
    masked = tmp_path / "masked"
    shutil.copytree(folder, masked)
    described = json.loads((masked / "params.json").read_text())
    described["parameters"]["mask"] = str(tmp_path / "mask.mrc")
    (masked / "params.json").write_text(json.dumps(described))
    events = (masked / "events.jsonl").read_text()
    assert "mask.mrc is not there any more" in report_of(masked)
    mask = tmp_path / "mask.mrc"
    write_map(mask, Volume(soft_sphere((BOX,) * 3, 6.0, 3.0).numpy(), (PIXEL_SIZE,) * 3))
    assert "Inside mask.mrc" in report_of(masked)
    unfinished = "".join(line for line in events.splitlines(keepends=True) if '"kind": "finished"' not in line)
    (masked / "events.jsonl").write_text(unfinished)
    assert "Inside mask.mrc" not in report_of(masked)  # how it stands
    with pytest.raises(BlushError, match="no final half-maps"):
        report_of(masked, mask=mask)


def test_a_run_without_trailing_says_so_beside_its_resolution(run):
    folder, _ = run
    facts = read_facts(folder)
    rows = tuple(
        replace(row, value=False) if row.name == "spectral_trailing" else row for row in facts.parameters
    )
    measured = Measured(measure_halves(facts, None))
    assert "no spectral trailing" not in tiles(facts, measured)
    assert "FSC 0.143, unmasked, no spectral trailing" in tiles(replace(facts, parameters=rows), measured)


def test_what_the_denoiser_took_is_in_the_chart_of_the_times(run):
    told = checked(report_of(run[0]))
    assert "of it the denoiser" in told.texts
    assert "denoising (s)" in told.texts
