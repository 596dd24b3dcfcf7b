"""``blush finetune`` and ``blush train --pack`` from the command line, as far as they come without training."""

from __future__ import annotations

import json

import numpy as np
import pytest

from blushcore.cli import main
from blushcore.protocol import Finished, Started
from blushcore.runs import read_run
from blushcore.simulation.model_pack import read_models
from blushcore.volumes import Volume, write_map
from synthetic_models import write_model_table


@pytest.fixture
def halves(tmp_path):
    rng = np.random.default_rng(0)
    signal = rng.normal(size=(24, 24, 24)).astype(np.float32)
    for number in (1, 2):
        noisy = signal + rng.normal(scale=0.5, size=signal.shape).astype(np.float32)
        write_map(tmp_path / f"half{number}.mrc", Volume(noisy, (1.5,) * 3))
    z, y, x = np.mgrid[:24, :24, :24] - 12
    mask = (z**2 + y**2 + x**2 < 64).astype(np.float32)
    write_map(tmp_path / "mask.mrc", Volume(mask, (1.5,) * 3))
    return tmp_path


def test_halves_are_given_by_position_and_the_rest_by_options(halves, monkeypatch, capsys):
    from blushcore.jobs.finetune import job as module

    def tune(params, control, state=None):
        yield Started(job="finetune", parameters={})
        yield Finished(figures={"helped": False, "weights": "v1", "steps": params.steps, "seconds": 61.0})

    monkeypatch.setattr(
        module, "JOB", type(module.JOB)(name="finetune", parameters=module.JOB.parameters, run=tune)
    )
    command = [
        "finetune",
        str(halves / "half1.mrc"),
        str(halves / "half2.mrc"),
        "--mask",
        str(halves / "mask.mrc"),
    ]
    assert (
        main([*command, "-o", str(halves / "run"), "--steps", "7", "--resolution", "8", "--device", "cpu"]) == 0
    )
    assert (
        "done in 0:01:01, 7 steps: the weights v1 are kept; fine-tuning was no better"
        in capsys.readouterr().err
    )
    parameters = read_run(halves / "run").summary.parameters
    assert (parameters["steps"], parameters["half2"]) == (7, str(halves / "half2.mrc"))
    assert main([*command, "-o", str(halves / "run"), "--resolution", "8", "--device", "cpu"]) == 1
    assert "holds a run already" in capsys.readouterr().err


def test_one_map_twice_is_refused_before_there_is_a_run(halves, capsys):
    half = str(halves / "half1.mrc")
    assert main(["finetune", half, half, "-o", str(halves / "run"), "--device", "cpu"]) == 1
    assert "are the same map" in capsys.readouterr().err
    assert not (halves / "run").exists()


def test_models_are_packed_for_a_machine_that_has_none(tmp_path, capsys):
    write_model_table(tmp_path, train=2, validation=1, test=1)
    (tmp_path / "params.toml").write_text('models = "models.tsv"\n')
    command = ["train", str(tmp_path / "params.toml")]
    assert main([*command, "--pack", str(tmp_path / "models.npz"), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["models"], result["bytes"]) == (3, (tmp_path / "models.npz").stat().st_size)
    assert [entry.split for entry in read_models(tmp_path / "models.npz")] == ["train", "train", "validation"]
    assert main([*command, "--pack", str(tmp_path / "models.npz")]) == 1
    assert "exists already" in capsys.readouterr().err
    assert main([*command, "--pack", str(tmp_path / "models.tar")]) == 2
    assert main(command) == 2
    assert "Give either a run directory (-o) or a pack" in capsys.readouterr().err


def test_what_is_not_shared_by_processes_is_refused_to_all_but_the_first(halves, monkeypatch, capsys):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    maps = [str(halves / f"half{number}.mrc") for number in (1, 2)]
    assert main(["finetune", *maps, "-o", str(halves / "run"), "--device", "cpu"]) == 2
    assert "'finetune' runs in one process. Start it without torchrun." in capsys.readouterr().err
    assert not (halves / "run").exists()
