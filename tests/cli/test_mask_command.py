"""``blush mask`` from its command line: the mask in Å, what is told of it, and what is refused."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage

from blushcore.cli import main
from blushcore.denoiser.provenance import denoised_label
from blushcore.volumes import MapHeader, Volume, lowpass, lowpass_at_shell, read_map, soft_mask, write_map

BOX, VOXEL_SIZE = 48, 2.0
HEADER = MapHeader(origin=(10.0, -20.0, 30.0))


@pytest.fixture
def particle(tmp_path, monkeypatch) -> np.ndarray:
    """A noisy ball of 16 Å radius in map.mrc of the working folder."""
    monkeypatch.chdir(tmp_path)
    z, y, x = np.indices((BOX,) * 3) - BOX // 2
    ball = ndimage.gaussian_filter((z**2 + y**2 + x**2 < 8**2).astype(np.float32), 1)
    noisy = (ball + 0.3 * np.random.default_rng(0).normal(size=ball.shape)).astype(np.float32)
    write_map(Path("map.mrc"), Volume(noisy, (VOXEL_SIZE,) * 3, HEADER))
    return noisy


def run(capsys, *words: str) -> tuple[int, str, str]:
    code = main(["mask", *words])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_lengths_are_in_angstrom_and_the_mask_lies_where_the_map_lies(particle, capsys):
    options = ["--threshold", "0.4", "--lowpass", "12", "--extend", "4", "--soft-edge", "6"]
    assert run(capsys, "map.mrc", "-o", "mask.mrc.gz", *options)[0] == 0
    made = read_map(Path("mask.mrc.gz"))
    smooth = lowpass_at_shell(torch.from_numpy(particle), 8).numpy()  # of a box of 96 Å: 12 Å
    np.testing.assert_array_equal(made.data, soft_mask(smooth, threshold=0.4, extend=2, soft_edge=3))
    assert made.voxel_size == (VOXEL_SIZE,) * 3
    assert made.position == HEADER.origin


def test_suggested_threshold_is_told_and_finds_the_particle(particle, capsys):
    code, out, err = run(capsys, "map.mrc", "-o", "mask.mrc", "--json")
    result = json.loads(out)
    assert (code, err) == (0, "")
    assert (result["outcome"], result["files"], result["warnings"]) == ("done", {"mask": "mask.mrc"}, [])
    figures = result["figures"]
    assert 0.2 < figures["threshold"] < 0.8
    # A ball of 16 Å radius, 6 Å more and half of the 8 Å edge: 26 Å, 74 nm³.
    assert 55 < figures["volume_nm3"] < 90
    assert figures["share_of_box"] == pytest.approx(figures["volume_nm3"] / (BOX * VOXEL_SIZE / 10) ** 3)
    code, out, err = run(capsys, "map.mrc", "-o", "mask.mrc", "--overwrite")
    assert (code, out) == (0, "")
    assert err.startswith(f"Wrote mask.mrc: threshold {figures['threshold']:.4g}, ")


def test_a_mask_without_lowpass_and_edge_is_the_threshold_itself(particle, capsys):
    options = ["--threshold", "0.5", "--lowpass", "0", "--extend", "0", "--soft-edge", "0"]
    assert run(capsys, "map.mrc", "-o", "mask.mrc", *options)[0] == 0
    np.testing.assert_array_equal(read_map(Path("mask.mrc")).data, particle >= 0.5)


def test_doubts_are_told(particle, capsys):
    _, out, _ = run(capsys, "map.mrc", "-o", "mask.mrc", "--threshold", "-9", "--json")
    assert "reaches the faces of the box" in json.loads(out)["warnings"][0]
    label = denoised_label("v1", "0" * 64)
    write_map(Path("denoised.mrc"), Volume(particle, (VOXEL_SIZE,) * 3, HEADER.with_label(label)))
    _, _, err = run(capsys, "denoised.mrc", "-o", "mask2.mrc")
    assert "warning: The map was denoised" in err


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["map.mrc", "-o", "mask.txt"], 2, "mask.txt does not look like the name of a map."),
        (["map.mrc", "-o", "mask.mrc", "--soft-edge", "-1"], 2, "--soft-edge"),
        (["map.mrc", "-o", "mask.mrc", "--threshold", "nan"], 2, "--threshold"),
        (["map.mrc", "-o", "mask.mrc", "--extend", "1e9"], 2, "--extend"),
        (["map.mrc", "-o", "mask.mrc", "--threshold", "99"], 1, "No voxel reaches the mask's threshold of 99"),
        (["missing.mrc", "-o", "mask.mrc"], 1, "missing.mrc does not exist."),
        (["map.mrc", "-o", "map.mrc", "--overwrite"], 1, "map.mrc is one of the files to be read."),
        (["map.mrc", "-o", "folder/mask.mrc"], 1, "does not exist. Make it"),
        (["flat.mrc", "-o", "mask.mrc"], 1, "flat.mrc is constant"),
        (["oblong.mrc", "-o", "mask.mrc"], 1, "oblong.mrc has 48 × 48 × 48 voxels of 2 × 2 × 3 Å"),
    ],
)
def test_refusals(particle, capsys, words, code, sentence):
    write_map(Path("flat.mrc"), Volume(np.ones_like(particle), (VOXEL_SIZE,) * 3))
    write_map(Path("oblong.mrc"), Volume(particle, (3.0, 2.0, 2.0)))
    found, _, err = run(capsys, *words)
    assert found == code
    assert sentence in err
    assert not Path("mask.mrc").exists()
    np.testing.assert_array_equal(read_map(Path("map.mrc")).data, particle)


def test_nothing_is_replaced_untold(particle, capsys):
    Path("mask.mrc").write_bytes(b"precious")
    code, out, _ = run(capsys, "map.mrc", "-o", "mask.mrc", "--json")
    assert code == 1
    assert json.loads(out)["problem"] == "mask.mrc exists already."
    assert Path("mask.mrc").read_bytes() == b"precious"


@pytest.mark.relion
@pytest.mark.parametrize(("resolution", "threshold"), [(15, 0.35), (11, 0.35), (0.5, 1.2)])
def test_it_is_the_mask_of_relion_mask_create_low_pass_included(particle, capsys, resolution, threshold):
    """Of a box of 96 Å, 15 Å is shell 6.4 and 11 Å shell 8.7: RELION rounds; 0.5 Å is beyond Nyquist."""
    command = ["relion_mask_create", "--i", "map.mrc", "--o", "theirs.mrc", "--angpix", str(VOXEL_SIZE)]
    command += ["--lowpass", str(resolution), "--ini_threshold", str(threshold)]
    command += ["--extend_inimask", "2", "--width_soft_edge", "3"]
    subprocess.run(command, check=True, capture_output=True)
    options = ["--threshold", str(threshold), "--lowpass", str(resolution), "--extend", "4", "--soft-edge", "6"]
    assert run(capsys, "map.mrc", "-o", "ours.mrc", *options)[0] == 0
    theirs, ours = read_map(Path("theirs.mrc")).data, read_map(Path("ours.mrc")).data
    assert 0 < (theirs == 1).mean() < 0.95
    np.testing.assert_array_equal(ours == 1, theirs == 1)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)


def test_a_map_that_is_no_cube_is_low_passed_where_it_was_asked_for(particle, capsys):
    write_map(Path("oblong.mrc"), Volume(particle[4:-4].copy(), (VOXEL_SIZE,) * 3))
    options = ["--threshold", "0.4", "--lowpass", "15", "--extend", "0", "--soft-edge", "0"]
    assert run(capsys, "oblong.mrc", "-o", "mask.mrc", *options)[0] == 0
    smooth = lowpass(torch.from_numpy(particle[4:-4].copy()), 15.0, VOXEL_SIZE).numpy()
    np.testing.assert_array_equal(read_map(Path("mask.mrc")).data, smooth >= 0.4)
