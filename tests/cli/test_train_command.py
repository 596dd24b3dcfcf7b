"""``blush train`` and going on with ``blush resume``, with the real network for as few steps as prove it."""

from __future__ import annotations

import json

import pytest
import torch

from blushcore.cli import main
from blushcore.cli.train import read_parameters
from blushcore.denoiser.weights import load_network
from blushcore.jobs.train import session as job_module
from blushcore.jobs.train.job import JOB
from blushcore.jobs.train.parameters import TrainParameters
from blushcore.protocol import BlushError
from blushcore.runs import read_run
from synthetic_models import write_model_table
from tiny_training import TinyBlocks, tiny_network

TOML = """
models = "models.tsv"
name = "small"
steps = {steps}
batch_size = 1
report_every = 1
checkpoint_every = 1e-9
validation_blocks = 0
recycles = 0
device = "cpu"
precision = "float32"
workers = 0
"""


def write_parameters(folder, text: str = TOML, **values):
    path = folder / "params.toml"
    path.write_text(text.format(**{"steps": 2, **values}))
    return path


@pytest.fixture
def folder(tmp_path):
    write_model_table(tmp_path, train=1, validation=1)
    return tmp_path


@pytest.fixture
def _tiny(monkeypatch):
    monkeypatch.setattr(job_module, "new_network", tiny_network)
    monkeypatch.setattr(job_module, "TrainingBlocks", TinyBlocks)


def test_the_real_network_is_trained_and_its_weights_can_be_used(folder, capsys):
    parameters = write_parameters(folder, steps=1)
    assert main(["train", str(parameters), "-o", str(folder / "run"), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["files"] == {"weights": "small.safetensors"}
    network, info = load_network(folder / "run" / "small.safetensors")
    assert (info.name, info.training["steps"]) == ("small", 1)
    assert str(folder) not in json.dumps(dict(info.training))  # no paths of the machine it was trained on
    start = job_module.new_network(0, 0.0)
    change = network.outc.weight.detach() - start.outc.weight.detach().half().float()
    assert 0 < float(change.abs().max()) < 1e-2


@pytest.mark.usefixtures("_tiny")
def test_a_stopped_run_is_resumed_to_the_same_end(folder, capsys, monkeypatch):
    parameters = write_parameters(folder, steps=4)
    assert main(["train", str(parameters), "-o", str(folder / "whole")]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert [line[:12] for line in lines if line.startswith("step")] == [
        f"step {step:6d}," for step in (1, 2, 3, 4)
    ]
    assert lines[-1].startswith("done in 0:00:0")
    assert lines[-1].endswith(f"; the weights are {folder / 'whole' / 'small.safetensors'}")

    original = job_module.Training.step

    def step(self, batch):
        if self.trainer.step == 2:
            raise MemoryError
        original(self, batch)

    monkeypatch.setattr(job_module.Training, "step", step)
    assert main(["train", str(parameters), "-o", str(folder / "parts")]) == 1
    assert list(read_run(folder / "parts").summary.checkpoints) == [1, 2]
    monkeypatch.setattr(job_module.Training, "step", original)
    assert main(["train", str(parameters), "-o", str(folder / "parts")]) == 1  # there is a run already
    assert "blush resume" in capsys.readouterr().err
    assert main(["resume", str(folder / "parts")]) == 0
    assert f"; the weights are {folder / 'parts' / 'small.safetensors'}" in capsys.readouterr().err

    from safetensors.torch import load_file

    whole, parts = (load_file(folder / name / "small.safetensors") for name in ("whole", "parts"))
    assert whole.keys() == parts.keys()
    for name, tensor in whole.items():
        assert torch.allclose(parts[name].float(), tensor.float(), rtol=2e-3, atol=1e-5)


def test_paths_are_relative_to_the_file(folder, monkeypatch):
    (folder / "start.safetensors").write_bytes(b"x")
    path = write_parameters(folder, TOML + 'initial_weights = "start.safetensors"\n')
    monkeypatch.chdir("/")
    params = read_parameters(path)
    assert params.models == folder / "models.tsv"
    assert params.initial_weights == str(folder / "start.safetensors")
    named = read_parameters(write_parameters(folder, TOML + 'initial_weights = "v2"\n'))
    assert named.initial_weights == "v2"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (TOML + "batchsize = 3\n", r"params.toml: batchsize is not a known parameter\."),
        (TOML + "dropout = 1.5\n", r"params.toml: dropout should be less than 1 \(it is 1.5\)"),
        ("steps = = 3\n", r"params.toml is no TOML file"),
    ],
)
def test_faulty_parameters_are_named(folder, text, sentence):
    with pytest.raises(BlushError, match=sentence):
        read_parameters(write_parameters(folder, text))


def test_a_training_on_nothing_is_refused(folder, capsys):
    parameters = write_parameters(folder, "steps = 3\n")
    assert main(["train", str(parameters), "-o", str(folder / "run")]) == 1
    assert "There is nothing to train on" in capsys.readouterr().err
    assert not (folder / "run").exists()


def test_what_cannot_begin_leaves_no_run_behind(folder, capsys):
    parameters = write_parameters(folder, TOML.replace("models.tsv", "nowhere.tsv"))
    assert main(["train", str(parameters), "-o", str(folder / "run")]) == 1
    assert "There is no table of models" in capsys.readouterr().err
    assert main(["train", str(folder / "none.toml"), "-o", str(folder / "run")]) == 1
    assert "none.toml cannot be read" in capsys.readouterr().err
    assert not (folder / "run").exists()


def test_the_guide_names_every_parameter_and_every_live_change(repository):
    guide = (repository / "docs" / "train.md").read_text(encoding="utf-8")
    assert [name for name in TrainParameters.model_fields if f"`{name}`" not in guide] == []
    assert [name for name in JOB.live_changes if f"`{name}`" not in guide] == []
