"""``blush fsc`` from its command line: what it prints and writes, and what it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import mrcfile
import numpy as np
import pytest

from blushcore.cli import main
from blushcore.cli.app import COMMANDS
from blushcore.cli.fsc_plot import draw_fsc, round_resolutions
from blushcore.cli.fsc_table import bar, resolution_sentence, shown_shells
from blushcore.denoiser.provenance import denoised_label
from blushcore.shells import FscCurves, fsc, resolution
from blushcore.volumes import MapHeader, Volume, write_map

BOX, VOXEL_SIZE = 40, 1.5


def write(path: Path, data: np.ndarray, voxel_size: float = VOXEL_SIZE) -> Path:
    with mrcfile.new(path, overwrite=True) as file:
        file.set_data(np.asarray(data, np.float32))
        file.voxel_size = voxel_size
    return path


def ball(radius: float, edge: float) -> np.ndarray:
    z, y, x = np.indices((BOX,) * 3) - BOX // 2
    beyond = np.sqrt(z**2 + y**2 + x**2) - radius
    return 0.5 + 0.5 * np.cos(np.pi * np.clip(beyond / edge, 0, 1))


@pytest.fixture(scope="module")
def maps() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    k = np.fft.fftfreq(BOX, 1 / BOX)
    squared = k[:, None, None] ** 2 + k[None, :, None] ** 2 + k[None, None, : BOX // 2 + 1] ** 2
    texture = np.fft.irfftn(
        np.fft.rfftn(rng.normal(size=(BOX,) * 3)) * np.exp(-squared / 60), s=(BOX,) * 3, axes=(0, 1, 2)
    )
    particle = (texture / texture.std() + 1) * ball(11, 3)
    noise = rng.normal(0, 1.0, (2, BOX, BOX, BOX))
    return (particle + noise[0]).astype(np.float32), (particle + noise[1]).astype(np.float32)


@pytest.fixture
def files(maps, tmp_path, monkeypatch):
    """Two halves and a mask in the working folder."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "half1.mrc", maps[0])
    write(tmp_path / "half2.mrc", maps[1])
    write(tmp_path / "mask.mrc", ball(14, 5))
    return tmp_path


def run(capsys, *words: str) -> tuple[int, str, str]:
    code = main(["fsc", *words])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_resolution_comes_first_in_a_sentence_then_the_table(files, maps, capsys):
    code, out, err = run(capsys, "half1.mrc", "half2.mrc")
    expected = resolution(fsc(*maps, counting="half"), BOX * VOXEL_SIZE)
    assert (code, err) == (0, "")
    assert out.startswith(
        f"Resolution {expected.angstrom:.2f} Å, the last shell ({expected.shell}) before the unmasked FSC "
        f"falls below 0.143 (interpolated {expected.interpolated_angstrom:.2f} Å)."
    )
    row = next(line for line in out.splitlines() if line.split()[:1] == [str(expected.shell)])
    assert f"{expected.angstrom:.2f}" in row
    assert f"{fsc(*maps, counting='half')[expected.shell]:.3f}" in row


def test_json_on_the_terminal_is_json_alone(files, maps, capsys):
    code, out, err = run(capsys, "half1.mrc", "half2.mrc", "--json", "-")
    report = json.loads(out)
    assert (code, err) == (0, "")
    assert report["curves"]["unmasked"] == pytest.approx(fsc(*maps, counting="half"))
    assert report["curves"]["voxel_size_angstrom"] == pytest.approx(VOXEL_SIZE)
    assert report["mask"] is None
    assert report["curves"]["corrected"] is None


def test_json_file_holds_the_curves_and_the_resolution(files, capsys):
    code, out, _ = run(
        capsys, "half1.mrc", "half2.mrc", "--mask", "mask.mrc", "--json", "fsc.json", "--seed", "7"
    )
    report = json.loads((files / "fsc.json").read_text())
    curves = FscCurves.from_dict(report["curves"])
    found = curves.resolution()
    assert code == 0
    assert report["resolution"]["shell"] == found.shell
    assert report["resolution"]["interpolated_angstrom"] == found.interpolated_angstrom
    assert report["seed"] == 7
    assert report["warnings"] == []
    assert f"Resolution {found.angstrom:.2f} Å, the last shell ({found.shell}) before the corrected FSC" in out
    assert "Without it:" in out


def test_seeds_differ_and_repeat(files, capsys):
    curves = []
    for seed in ("1", "1", "2"):
        _, out, _ = run(capsys, "half1.mrc", "half2.mrc", "--mask", "mask.mrc", "--json", "-", "--seed", seed)
        curves.append(json.loads(out)["curves"]["randomised"])
    assert curves[0] == curves[1] != curves[2]


def test_threshold_and_counting_reach_the_computation(files, maps, capsys):
    _, out, _ = run(
        capsys, "half1.mrc", "half2.mrc", "--json", "-", "--threshold", "0.5", "--counting", "sphere"
    )
    report = json.loads(out)
    assert report["curves"]["unmasked"] == pytest.approx(fsc(*maps, counting="sphere"))
    assert report["resolution"]["threshold"] == 0.5
    assert (
        report["resolution"]["shell"] == resolution(fsc(*maps, counting="sphere"), BOX * VOXEL_SIZE, 0.5).shell
    )


@pytest.mark.parametrize(("name", "magic"), [("a.png", b"\x89PNG"), ("a.SVG", b"<?xml"), ("a.pdf", b"%PDF")])
def test_plot_is_of_the_kind_its_name_says(files, capsys, name, magic):
    code, _, _ = run(capsys, "half1.mrc", "half2.mrc", "--mask", "mask.mrc", "--plot", name)
    assert code == 0
    assert (files / name).read_bytes().startswith(magic)
    assert sorted(p.name for p in files.iterdir()) == sorted([name, "half1.mrc", "half2.mrc", "mask.mrc"])


def test_voxel_size_can_be_given_where_the_headers_have_none(files, maps, capsys):
    for half, data in zip(("half1.mrc", "half2.mrc"), maps, strict=True):
        write(files / half, data, voxel_size=0)
    code, _, err = run(capsys, "half1.mrc", "half2.mrc")
    assert code == 1
    assert "half1.mrc has no voxel size" in err
    code, out, _ = run(capsys, "half1.mrc", "half2.mrc", "--voxel-size", "2", "--json", "-")
    assert code == 0
    assert json.loads(out)["curves"]["voxel_size_angstrom"] == 2.0


def expect_refusal(capsys, sentence: str, *words: str, code: int = 1) -> None:
    answer, out, err = run(capsys, *words)
    assert answer == code
    assert out == ""
    assert sentence in err
    assert err.count("\n") == 1


def test_identical_maps_are_refused(files, maps, capsys):
    write(files / "copy.mrc", maps[0])
    (files / "link.mrc").symlink_to("half1.mrc")
    for other in ("half1.mrc", "copy.mrc", "link.mrc"):
        expect_refusal(capsys, "are the same map, whose FSC is 1 everywhere", "half1.mrc", other)


def test_other_boxes_and_voxel_sizes_are_refused(files, maps, capsys):
    write(files / "small.mrc", maps[1][2:-2, 2:-2, 2:-2])
    expect_refusal(
        capsys,
        "half1.mrc (40 × 40 × 40 voxels of 1.5 Å) and small.mrc (36 × 36 × 36 voxels",
        "half1.mrc",
        "small.mrc",
    )
    write(files / "flat.mrc", maps[1][2:-2])
    expect_refusal(capsys, "flat.mrc has 40 × 40 × 36 voxels", "half1.mrc", "flat.mrc")
    write(files / "scaled.mrc", maps[1], voxel_size=VOXEL_SIZE * 1.002)
    expect_refusal(capsys, "scaled.mrc (40 × 40 × 40 voxels of 1.503 Å)", "half1.mrc", "scaled.mrc")


def test_voxel_sizes_within_a_thousandth_are_one(files, maps, capsys):
    write(files / "close.mrc", maps[1], voxel_size=VOXEL_SIZE * 1.0005)
    assert run(capsys, "half1.mrc", "close.mrc")[0] == 0


def test_masks_that_do_not_fit_are_refused(files, capsys):
    def refuse(sentence: str, mask: np.ndarray, voxel_size: float = VOXEL_SIZE) -> None:
        write(files / "bad.mrc", mask, voxel_size)
        expect_refusal(capsys, sentence, "half1.mrc", "half2.mrc", "--mask", "bad.mrc")

    refuse("bad.mrc (36 × 36 × 36", ball(14, 5)[2:-2, 2:-2, 2:-2])
    refuse("bad.mrc (40 × 40 × 40 voxels of 2 Å)", ball(14, 5), 2.0)
    refuse("bad.mrc holds values from -0.1 to 0.9", ball(14, 5) - 0.1)
    refuse("bad.mrc holds values from 0 to 3", 3 * ball(14, 5))
    refuse("bad.mrc is an empty mask", 0 * ball(14, 5))


def test_nan_is_refused_with_its_file(files, maps, capsys):
    with mrcfile.mmap(write(files / "broken.mrc", maps[1]), mode="r+") as file:
        file.data[1, 2, 3] = np.nan
    code, _, err = run(capsys, "half1.mrc", "broken.mrc")
    assert code == 1
    assert "broken.mrc" in err
    assert "nan" in err.lower()


def test_outputs_are_checked_before_anything_is_read(files, capsys):
    missing = ["nowhere1.mrc", "nowhere2.mrc"]
    expect_refusal(capsys, "a.txt", *missing, "--plot", "a.txt", code=2)
    expect_refusal(capsys, "does not exist", *missing, "--plot", "no/a.png")
    expect_refusal(capsys, "does not exist", *missing, "--json", "no/a.json")
    expect_refusal(capsys, "--json wants a file name", *missing, "--json", "--plot", code=2)
    expect_refusal(capsys, "both be written to a.png", *missing, "--json", "a.png", "--plot", "a.png", code=2)


def test_files_that_exist_are_replaced_only_when_told(files, capsys):
    (files / "fsc.json").write_text("precious")
    words = ("half1.mrc", "half2.mrc", "--json", "fsc.json")
    expect_refusal(capsys, "fsc.json exists already. Give --overwrite", *words)
    assert (files / "fsc.json").read_text() == "precious"
    assert run(capsys, *words, "--overwrite")[0] == 0
    assert json.loads((files / "fsc.json").read_text())["resolution"]


def test_a_refusal_is_json_where_the_result_would_be(files, capsys):
    code, out, err = run(capsys, "missing.mrc", "half2.mrc", "--json", "-")
    assert (code, json.loads(out)["problem"]) == (1, "missing.mrc does not exist.")
    assert err.startswith("blush: missing.mrc does not exist.")


def test_denoised_halves_and_shifted_masks_are_warned_about(files, maps, capsys):
    header = MapHeader().with_label(denoised_label("w", "0" * 64))
    for name, data in zip(("d1.mrc", "d2.mrc"), maps, strict=True):
        write_map(files / name, Volume(data, (VOXEL_SIZE,) * 3, header))
    mask = Volume(ball(14, 5).astype(np.float32), (VOXEL_SIZE,) * 3, MapHeader(origin=(0.0, 0.0, 9.0)))
    write_map(files / "shifted.mrc", mask)
    _, out, _ = run(capsys, "d1.mrc", "d2.mrc", "--mask", "shifted.mrc")
    assert "d1.mrc and d2.mrc were denoised: this FSC is no resolution estimate" in out
    assert "shifted.mrc begins at 9, 0, 0 Å and d1.mrc at 0, 0, 0 Å" in out
    assert "was denoised" not in run(capsys, "half1.mrc", "half2.mrc")[1]


def test_maps_are_not_overwritten(files, capsys):
    before = (files / "half2.mrc").read_bytes()
    expect_refusal(capsys, "one of the files to be read", "half1.mrc", "half2.mrc", "--json", "./half2.mrc")
    assert (files / "half2.mrc").read_bytes() == before


def test_wrong_usage_is_told_apart(files, capsys):
    assert run(capsys, "half1.mrc")[0] == 2
    assert run(capsys, "half1.mrc", "half2.mrc", "--seed", "-1")[0] == 2
    assert run(capsys, "half1.mrc", "half2.mrc", "--threshold", "1.5")[0] == 2
    assert run(capsys, "half1.mrc", "half2.mrc", "--voxel-size", "-1")[0] == 2


def test_a_tight_mask_is_warned_about_everywhere(files, capsys):
    write(files / "tight.mrc", ball(5, 0.01))
    _, out, err = run(capsys, "half1.mrc", "half2.mrc", "--mask", "tight.mrc")
    assert "Warning: The mask looks too tight" in out
    assert err == ""
    _, out, err = run(capsys, "half1.mrc", "half2.mrc", "--mask", "tight.mrc", "--json", "-")
    assert "too tight" in json.loads(out)["warnings"][0]
    assert err.startswith("warning: The mask looks too tight")


def test_halves_masked_before_and_copies_are_doubted(files, maps, capsys):
    for name, data in zip(("masked1.mrc", "masked2.mrc"), maps, strict=True):
        write(files / name, data * (ball(14, 4) > 0))
    assert "look masked already" in run(capsys, "masked1.mrc", "masked2.mrc")[1]
    write(files / "twice.mrc", 2 * maps[0])
    assert "copies of one" in run(capsys, "half1.mrc", "twice.mrc")[1]
    assert "Warning" not in run(capsys, "half1.mrc", "half2.mrc")[1]


def test_nyquist_is_said(files, maps, capsys):
    write(files / "near.mrc", maps[0] + 0.1 * maps[1])
    out = run(capsys, "half1.mrc", "near.mrc")[1]
    assert out.startswith("The halves agree up to Nyquist, 3.00 Å")


def test_noise_has_no_resolution(files, capsys):
    # A far threshold makes the first shell, of 18 components, fail for certain.
    rng = np.random.default_rng(4)
    for name in ("noise1.mrc", "noise2.mrc"):
        write(files / name, rng.normal(size=(BOX,) * 3))
    _, out, _ = run(
        capsys, "noise1.mrc", "noise2.mrc", "--threshold", "0.9", "--json", "-", "--plot", "none.png"
    )
    assert json.loads(out)["resolution"]["angstrom"] is None
    _, out, _ = run(capsys, "noise1.mrc", "noise2.mrc", "--threshold", "0.9")
    assert out.startswith("The halves do not agree")


def test_wrong_names_are_told_without_waiting_for_torch(tmp_path):
    script = (
        "import sys; from blushcore.cli import main; code = main(['fsc', 'a.mrc', 'b.mrc']);"
        "sys.exit(code + 10 * ('torch' in sys.modules) + 20 * ('matplotlib' in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert "a.mrc does not exist" in done.stderr


def test_the_command_is_in_the_table():
    assert COMMANDS["fsc"].target == "blushcore.cli.fsc:fsc"


def curves(box: int, unmasked: np.ndarray, **more) -> FscCurves:
    return FscCurves(box=box, voxel_size=1.0, unmasked=unmasked, **more)


def test_plot_shows_the_curves_the_threshold_and_the_resolution():
    shells = np.linspace(0, 1, 33)
    drawn = {
        "unmasked": 1 - shells,
        "masked": 1 - shells**2,
        "randomised": np.exp(-10 * shells),
        "corrected": 1 - shells**1.9,
    }
    all_curves = curves(64, randomised_from_shell=7, mask_fraction=0.2, **drawn)
    found = all_curves.resolution()
    figure = draw_fsc(all_curves, found, title="a title")
    axes = figure.axes[0]
    lines = {line.get_label(): line for line in axes.get_lines()}
    for label, name in {
        "unmasked": "unmasked",
        "masked": "masked",
        "corrected for the mask": "corrected",
    }.items():
        assert np.array_equal(lines[label].get_ydata(), drawn[name][1:])
        assert lines[label].get_xdata() == pytest.approx(np.arange(1, 33) / 64)
    assert any(list(line.get_ydata()) == [0.143, 0.143] for line in axes.get_lines())
    told = f"{found.angstrom:.2f} Å (interpolated {found.interpolated_angstrom:.2f} Å)"
    assert told in [text.get_text() for text in axes.texts]
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["corrected for the mask", "masked", "unmasked", "phases randomised, masked"]


def test_plot_without_a_mask_has_one_curve_and_keeps_negative_values_in_sight():
    values = np.cos(np.linspace(0, np.pi, 17))
    alone = curves(32, values)
    figure = draw_fsc(alone, alone.resolution())
    axes = figure.axes[0]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["FSC of the halves"]
    assert axes.get_ylim()[0] < values.min()


@pytest.mark.parametrize("highest", [1 / 1.1, 1 / 2, 1 / 3.3, 1 / 5, 1 / 8, 1 / 20])
def test_angstrom_axis_has_a_few_round_ticks_that_do_not_touch(highest):
    ticks = round_resolutions(highest)
    places = np.array([1 / angstrom / highest for angstrom in ticks])
    assert 3 <= len(ticks) <= 15
    assert places.min() > 0
    assert places.max() <= 1
    assert np.diff(places).min() >= 0.065


def test_table_shows_the_crossing_however_many_shells_there_are():
    for shells in (3, 17, 33, 129, 257):
        curve = np.linspace(1, 0, shells)
        found = resolution(curve, 100.0)
        shown = shown_shells(shells, found)
        assert {found.shell, found.shell + 1, shells - 1} <= set(shown)
        assert 0 not in shown
        assert len(shown) <= 28


@pytest.mark.parametrize(
    ("value", "text"), [(0, ""), (-0.3, ""), (1.2, "█" * 12), (0.5, "█" * 6), (1.5 / 12, "█▌")]
)
def test_bars_are_as_long_as_their_value(value, text):
    assert bar(value) == text


def test_sentence_names_the_curve_it_speaks_of():
    shells = np.linspace(1, 0, 17)
    masked = curves(32, shells, masked=shells, corrected=shells, mask_fraction=0.5)
    assert "before the corrected FSC falls below 0.5" in resolution_sentence(masked, masked.resolution(0.5))
    assert "before the unmasked FSC falls" in resolution_sentence(
        curves(32, shells), curves(32, shells).resolution()
    )


def test_a_constant_map_is_refused(files, capsys):
    write(files / "flat.mrc", np.ones((BOX,) * 3))
    assert main(["fsc", "flat.mrc", "half1.mrc"]) == 1
    assert capsys.readouterr().err == (
        "blush: flat.mrc is constant: there is nothing to compare. Check that it is the right map.\n"
    )


@pytest.mark.parametrize("size", ["0", "-1", "inf", "nan"])
def test_a_voxel_size_is_a_positive_number(files, capsys, size):
    assert main(["fsc", "half1.mrc", "half2.mrc", "--voxel-size", size]) == 2
    assert "--voxel-size" in capsys.readouterr().err
