"""``blush validate`` from its command line, with a denoiser that does nothing and one that invents."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from blushcore.cli import main
from blushcore.denoiser import Denoised, Denoiser
from blushcore.shells import fsc
from blushcore.volumes import MapHeader, Volume, gaussian_lowpass, read_map, soft_sphere, write_map
from synthetic_models import write_bundle

BOX, SIZE = 32, 1.5


class StandIn:
    """Adds the same detail to every block."""

    def __init__(self, strength: float) -> None:
        self.device, self.batch_size = torch.device("cpu"), 4
        self.info = SimpleNamespace(name="stand-in")
        self.detail = strength * torch.randn((64,) * 3, generator=torch.Generator().manual_seed(1))

    def __call__(self, blocks, _local_std):
        return Denoised(blocks + self.detail, torch.zeros_like(blocks))


@pytest.fixture
def halves(tmp_path, monkeypatch) -> tuple[np.ndarray, np.ndarray]:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    common = torch.from_numpy(rng.normal(size=(BOX,) * 3).astype(np.float32))
    signal = 3 * gaussian_lowpass(common, 1.0, SIZE).numpy()
    noise = 0.3 * rng.normal(size=(2, *signal.shape)).astype(np.float32)
    maps = signal + noise[0], signal + noise[1]
    for name, data in zip(("one", "two"), maps, strict=True):
        write_map(Path(f"{name}.mrc"), Volume(data, (SIZE,) * 3))
    return maps


def run(capsys, monkeypatch, strength: float, *words: str) -> tuple[int, str]:
    monkeypatch.setattr(Denoiser, "load", lambda *_: StandIn(strength))
    code = main(["validate", "one.mrc", "two.mrc", *words])
    return code, capsys.readouterr().out


def test_only_the_inventing_denoiser_is_blamed(halves, capsys, monkeypatch):
    idle = json.loads(run(capsys, monkeypatch, 0.0, "--json")[1])["figures"]
    assert idle["cross_validation_gain"] == pytest.approx(0, abs=1e-6)
    assert abs(idle["made_up"]) < 0.143
    assert set(idle["curves"]) == {"raw", "cross", "transfer_signal", "transfer_noise", "chance"}
    assert len(idle["curves"]["raw"]) == BOX // 2 + 1
    inventing = json.loads(run(capsys, monkeypatch, 3.0, "--json")[1])["figures"]
    assert inventing["cross_validation_gain"] < -0.1
    assert inventing["made_up"] > 0.5
    assert inventing["curves"]["raw"] == idle["curves"]["raw"]


def test_the_figures_stand_in_a_table_under_two_sentences(halves, capsys, monkeypatch):
    code, out = run(capsys, monkeypatch, 3.0)
    assert code == 0
    assert "It takes signal away or invents." in out
    assert "That is what it makes up" in out
    assert "No mask was given" in out
    code, out = run(capsys, monkeypatch, 0.0, "--mask", "mask.mrc")
    assert code == 1
    mask = soft_sphere((BOX,) * 3, 3.0, 2.0).numpy()  # within the denoiser's sphere
    write_map(Path("mask.mrc"), Volume(mask, (SIZE,) * 3))
    code, out = run(capsys, monkeypatch, 0.0, "--mask", "mask.mrc", "--json")
    np.testing.assert_allclose(
        json.loads(out)["figures"]["curves"]["raw"], fsc(*(half * mask for half in halves)), atol=1e-4
    )


def test_halves_that_agree_everywhere_leave_nothing_to_randomise(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    signal = rng.normal(size=(BOX,) * 3).astype(np.float32)
    for name in ("one", "two"):
        noise = 0.01 * rng.normal(size=signal.shape).astype(np.float32)
        write_map(Path(f"{name}.mrc"), Volume(signal + noise, (SIZE,) * 3))
    assert "none are left to be random" in run(capsys, monkeypatch, 0.0)[1]
    assert json.loads(run(capsys, monkeypatch, 0.0, "--json")[1])["figures"]["made_up"] is None


def test_finer_than_the_denoisers_grid_there_is_nothing_to_tell(tmp_path, monkeypatch, capsys):
    """Halves that agree far beyond 3 Å: shells without a denoised map neither blame nor comfort."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    common = torch.from_numpy(rng.normal(size=(48,) * 3).astype(np.float32))
    signal = 4 * gaussian_lowpass(common, 0.55, 1.0).numpy()
    for name in ("one", "two"):
        noise = 0.2 * rng.normal(size=signal.shape).astype(np.float32)
        write_map(Path(f"{name}.mrc"), Volume(signal + noise, (1.0,) * 3))
    found = json.loads(run(capsys, monkeypatch, 0.0, "--json")[1])["figures"]
    assert (found["box"], found["voxel_size_angstrom"]) == (48, 1.0)
    assert found["angstrom"][0] is None
    assert found["angstrom"][-1] == pytest.approx(3.0)
    assert all(len(curve) == 17 for curve in found["curves"].values())
    assert found["shell_at_0.143"] <= 16
    assert abs(found["cross_validation_gain"]) < 0.01


def test_the_model_is_told_and_one_that_lies_elsewhere_is_refused_at_once(tmp_path, monkeypatch, capsys):
    from blushcore.simulation import read_structure
    from blushcore.simulation.map_model import density_on_grid_of

    monkeypatch.chdir(tmp_path)
    model = write_bundle(tmp_path / "model.pdb")
    grid = Volume(np.zeros((BOX,) * 3, np.float32), (2.5,) * 3, MapHeader(origin=(-40.0,) * 3))
    density = density_on_grid_of(read_structure(model), grid)
    rng = np.random.default_rng(0)
    for name in ("one", "two"):
        noise = density.std() * rng.normal(size=density.shape).astype(np.float32)
        write_map(Path(f"{name}.mrc"), grid.with_data(density + noise))
    code, out = run(capsys, monkeypatch, 0.0, "--model", "model.pdb")
    assert code == 0
    assert "Weights stand-in, on cpu." in out
    told = next(line for line in out.splitlines() if "with the model" in line)
    assert told.count("falls below 0.5 at") + told.count("is above 0.5 up to") == 2
    for name in ("one", "two"):  # the same, as a program that drops origins would write it
        write_map(Path(f"{name}.mrc"), Volume(read_map(Path(f"{name}.mrc")).data, (2.5,) * 3))
    monkeypatch.setattr(Denoiser, "load", lambda *_: pytest.fail("the network was loaded"))
    assert main(["validate", "one.mrc", "two.mrc", "--model", "model.pdb"]) == 1
    assert "does not lie within the map" in capsys.readouterr().err
