"""``blush local-resolution`` from its command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from blushcore.cli import main
from blushcore.shells.local_resolution import local_resolution
from blushcore.volumes import MapHeader, Volume, gaussian_lowpass, read_map, write_map

BOX, SIZE = 32, 2.0
HEADER = MapHeader(origin=(4.0, 5.0, 6.0))


@pytest.fixture
def halves(tmp_path, monkeypatch) -> list[np.ndarray]:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    common = torch.from_numpy(rng.normal(size=(BOX,) * 3).astype(np.float32))
    signal = gaussian_lowpass(common, 3.0, SIZE).numpy()
    noise = 0.05 * rng.normal(size=(2, *signal.shape)).astype(np.float32)
    maps = [signal + noise[0], signal + noise[1]]
    mask = np.zeros((BOX,) * 3, np.float32)
    mask[12:20, 12:20, 12:20] = 1
    for name, data in (("one", maps[0]), ("two", maps[1]), ("mask", mask)):
        write_map(Path(f"{name}.mrc"), Volume(data, (SIZE,) * 3, HEADER))
    return maps


def run(capsys, *words: str) -> tuple[int, str, str]:
    code = main(["local-resolution", *words])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_map_is_in_angstrom_on_the_grid_of_the_halves(halves, capsys):
    code, out, _ = run(
        capsys, "one.mrc", "two.mrc", "-o", "out.mrc", "--mask", "mask.mrc", "--window", "40", "--json"
    )
    assert code == 0
    figures = json.loads(out)["figures"]
    written, mask = read_map(Path("out.mrc")), read_map(Path("mask.mrc")).data
    expected = local_resolution(*halves, voxel_size=SIZE, window_angstrom=40.0, mask=mask)
    np.testing.assert_allclose(written.data, expected.map, rtol=1e-5)
    assert written.position == HEADER.origin
    assert figures["angstrom"] == pytest.approx(expected.percentiles(5, 25, 50, 75, 95))
    assert figures["window_angstrom"] == 40


def test_the_window_follows_the_resolution_of_the_whole(halves, capsys):
    code, _, err = run(capsys, "one.mrc", "two.mrc", "-o", "out.mrc", "--mask", "mask.mrc")
    assert code == 0
    assert "Wrote out.mrc: half of it is at" in err
    assert "local resolution: " in err  # progress
    code, _, err = run(capsys, "one.mrc", "two.mrc", "-o", "out.mrc")
    assert (code, "exists already" in err) == (1, True)
    code, _, err = run(capsys, "one.mrc", "two.mrc", "-o", "one.mrc", "--overwrite")
    assert (code, "one of the files to be read" in err) == (1, True)
    code, _, err = run(capsys, "one.mrc", "one.mrc", "-o", "new.mrc")
    assert (code, "are the same map" in err) == (1, True)
