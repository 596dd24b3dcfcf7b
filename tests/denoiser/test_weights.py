"""Weights files: found by name, path or environment; refused when anything about them is not right."""

from __future__ import annotations

import hashlib
import json
import shutil

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save

from blushcore.denoiser import BlushNetwork, Denoiser, find_weights, load_network
from blushcore.denoiser import weights as weights_module
from blushcore.denoiser.weights import (
    DEFAULT_WEIGHTS,
    list_weights,
    read_weights_info,
    user_weights_folder,
    weights_bytes,
)
from blushcore.protocol import BlushError
from blushcore.shipped import shipped_files


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty place for a user's own weights, and nothing in the environment."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.delenv("BLUSH_WEIGHTS", raising=False)
    user_weights_folder().mkdir(parents=True)
    return user_weights_folder()


@pytest.fixture
def parts(random_weights):
    """Tensors and metadata of a good file, to be spoilt."""
    with safe_open(str(random_weights), framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata())  # noqa: SIM118


def test_what_was_written_is_read(tmp_path):
    torch.manual_seed(4)
    state = BlushNetwork().state_dict()
    path = tmp_path / "mine.safetensors"
    content = weights_bytes(state, name="step7", version="3", training={"steps": 7}, dtype=torch.float32)
    path.write_bytes(content)
    network, info = load_network(path)
    assert (info.name, info.recorded_name) == ("mine", "step7")  # a file that is renamed goes by its new name
    assert (info.version, info.voxel_size, info.block_size) == ("3", 1.5, 64)
    assert info.training == {"steps": 7}
    assert all(torch.equal(tensor, state[name]) for name, tensor in network.state_dict().items())
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_a_network_in_channels_last_order_is_written_and_read(network, tmp_path):
    """The order that loaded networks are in: a 1³ convolution's strides are odd then."""
    path = tmp_path / "again.safetensors"
    path.write_bytes(weights_bytes(network.state_dict(), name="again", version="1", training={}))
    again = load_network(path)[0].state_dict()
    assert all(torch.equal(tensor, again[name]) for name, tensor in network.state_dict().items())


def test_half_precision_is_the_nearest(random_weights, network):
    with safe_open(str(random_weights), framework="pt") as file:
        stored = file.get_tensor("inc.double_conv.conv1.weight")
    assert stored.dtype == torch.float16
    assert random_weights.stat().st_size < 2 * 12_974_578 + 20_000
    assert torch.equal(network.state_dict()["inc.double_conv.conv1.weight"], stored.float())


def test_found_by_path_name_and_environment(home, random_weights, monkeypatch):
    assert find_weights(random_weights) == random_weights
    shutil.copy(random_weights, home / "mine.safetensors")
    assert find_weights("mine") == home / "mine.safetensors"
    monkeypatch.setenv("BLUSH_WEIGHTS", "mine")
    assert find_weights() == home / "mine.safetensors"
    monkeypatch.setenv("BLUSH_WEIGHTS", str(random_weights))
    assert find_weights() == random_weights
    assert find_weights("mine") == home / "mine.safetensors", "what is asked for goes before the environment"


def test_a_name_goes_before_a_file_beside_you(home, random_weights, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(random_weights, home / "mine.safetensors")
    (tmp_path / "mine").write_text("a note of mine")
    assert find_weights("mine") == home / "mine.safetensors"


def test_own_weights_do_not_take_the_place_of_the_packages(home, random_weights, tmp_path, monkeypatch):
    monkeypatch.setattr(weights_module, "shipped_files", lambda _: [tmp_path / "shipped-1.safetensors"])
    shutil.copy(random_weights, tmp_path / "shipped-1.safetensors")
    shutil.copy(random_weights, home / "shipped-1.safetensors")
    assert find_weights("shipped-1") == tmp_path / "shipped-1.safetensors"


def test_unknown_names_are_answered_with_the_known(home, random_weights, monkeypatch):
    shutil.copy(random_weights, home / "mine.safetensors")
    with pytest.raises(BlushError, match=r"no network weights 'other'\. Known by name: .*mine"):
        find_weights("other")
    monkeypatch.setenv("BLUSH_WEIGHTS", "gone")
    with pytest.raises(BlushError, match=r"'gone' \(from BLUSH_WEIGHTS\)"):
        find_weights()


def test_a_damaged_file_is_told_and_does_not_hide_the_others(home, random_weights):
    shutil.copy(random_weights, home / "good.safetensors")
    (home / "bad.safetensors").write_bytes(b"not weights at all")
    known, errors = list_weights()
    assert "good" in [info.path.stem for info in known]
    assert [str(home / "bad.safetensors") in error.problem for error in errors] == [True]


def change_tensor(tensors, metadata):
    tensors["outc.bias"] += 1


def drop_tensor(tensors, metadata):
    del tensors["up.2.conv.double_conv.norm1.bias"]


def add_tensor(tensors, metadata):
    tensors["extra.weight"] = torch.zeros(3)


def reshape_tensor(tensors, metadata):
    tensors["outc.weight"] = tensors["outc.weight"].reshape(16, 2, 1, 1, 1).contiguous()


def scalar_tensor(tensors, metadata):
    tensors["outc.bias"] = torch.tensor(1.0)


def other_grid(tensors, metadata):
    metadata["voxel_size"] = "1.2"


def other_format(tensors, metadata):
    metadata["format"] = "someone-elses/1"


def no_name(tensors, metadata):
    del metadata["name"]


def torn_record(tensors, metadata):
    metadata["training"] = metadata["training"][:-1]


def many_steps(tensors, metadata):
    metadata["training"] = '{"steps": "many"}'


def odd_data_sets(tensors, metadata):
    metadata["training"] = '{"finetuned_on": [{"half1": "a.mrc"}]}'


def not_a_number(tensors, metadata):
    tensors["outc.bias"] = torch.full_like(tensors["outc.bias"], torch.nan)
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode() + tensors[name].contiguous().view(torch.uint8).numpy().tobytes())
    metadata["sha256"] = digest.hexdigest()


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (change_tensor, "do not match their hash"),
        (drop_tensor, r"it lacks up\.2\.conv\.double_conv\.norm1\.bias"),
        (add_tensor, r"it has extra\.weight"),
        (reshape_tensor, r"outc\.weight is 16 × 2 × 1 × 1 × 1, the network's 2 × 16 × 1 × 1 × 1"),
        (scalar_tensor, r"outc\.bias is a single number"),
        (other_grid, r"64³ voxels of 1\.2 Å; this program has 64³ of 1\.5 Å"),
        (other_format, "holds no weights of this program"),
        (no_name, "its record of the weights cannot be read"),
        (torn_record, "its record of the weights cannot be read"),
        (many_steps, r"its record of the weights cannot be read \(steps is 'many'\)"),
        (odd_data_sets, r"its record of the weights cannot be read \(finetuned_on is "),
        (not_a_number, r"holds values that are not numbers \(in outc\.bias\)"),
    ],
)
def test_spoilt_files_are_refused_with_a_sentence(parts, tmp_path, spoil, sentence):
    tensors, metadata = parts
    spoil(tensors, metadata)
    path = tmp_path / "spoilt.safetensors"
    path.write_bytes(save(tensors, metadata))
    with pytest.raises(BlushError, match=sentence) as caught:
        load_network(path)
    assert str(path) in caught.value.problem


@pytest.mark.parametrize("content", [b"", b"MAP \x00" * 100, b"\xff" * 64])
def test_other_files_are_refused_with_a_sentence(tmp_path, content):
    path = tmp_path / "other.safetensors"
    path.write_bytes(content)
    with pytest.raises(BlushError, match="cannot be read as network weights"):
        read_weights_info(path)


def test_the_record_is_json(random_weights):
    with safe_open(str(random_weights), framework="pt") as file:
        assert json.loads(file.metadata()["training"]) == {"steps": 0}


def test_the_shipped_default_loads_and_matches_its_hash(home):
    names = [path.stem for path in shipped_files("weights/*.safetensors")]
    assert DEFAULT_WEIGHTS in names
    denoiser = Denoiser.load(device="cpu")
    assert denoiser.info is not None
    assert denoiser.info.name == DEFAULT_WEIGHTS
    assert denoiser.info.path in shipped_files("weights/*.safetensors")
