"""The published checkpoint's tensors come through; nothing else in such a file does, nothing is executed."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import pickle
import re
import zipfile

import numpy as np
import pytest
import torch
from published_format import content, published, renamed, write

from blushcore.denoiser import checkpoints, load_network, read_checkpoint
from blushcore.protocol import BlushError

TINY = {"outc.bias": torch.ones(2)}
"""A state dict for files that are refused before it is looked at."""


@pytest.fixture(scope="module")
def values():
    return published()


@pytest.fixture(scope="module")
def good() -> bytes:
    """An archive in good order, but for the tensors that it lacks."""
    return content(published(model_state_dict=TINY))


@pytest.fixture(autouse=True)
def nothing_is_executed(tmp_path, monkeypatch):
    monkeypatch.delenv("BLUSH_TEST_EXECUTED", raising=False)
    monkeypatch.chdir(tmp_path)
    yield
    assert "BLUSH_TEST_EXECUTED" not in os.environ
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("name", ["blush_v1.0.ckpt", "blush_v1.0.ckpt.gz"])
def test_tensors_come_through_unchanged(values, tmp_path, name):
    path = write(tmp_path / name, values)
    checkpoint = read_checkpoint(path)
    assert checkpoint.file_name == name
    assert checkpoint.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert checkpoint.no_mask is False
    expected = values["model_state_dict"]
    assert checkpoint.tensors.keys() == expected.keys()
    assert all(torch.equal(tensor, expected[key]) for key, tensor in checkpoint.tensors.items())

    (tmp_path / "w.safetensors").write_bytes(checkpoint.weights("published"))
    network, info = load_network(tmp_path / "w.safetensors")
    assert all(torch.equal(tensor, expected[key]) for key, tensor in network.state_dict().items())
    assert (info.name, info.recorded_name) == ("w", "published")
    assert info.training == {
        "imported_from": name,
        "source_sha256": checkpoint.sha256,
        "no_mask": False,
    }


def with_infix(name: str) -> str:
    name = re.sub(r"^(down\.\d+)\.", r"\1.maxpool_conv.1.", name)
    name = re.sub(r"^(up\.\d+)\.conv\.", r"\1.block.conv.", name)
    return name.replace("outc.", "outc.conv.").replace("inc.", "inc.first.")


@pytest.mark.parametrize(
    "rename",
    [
        with_infix,
        lambda name: "module." + name,
        lambda name: "_orig_mod.module." + with_infix(name),
        lambda name: name.replace(".conv.double_conv", ".double_conv"),
    ],
)
def test_other_wrappers_names_are_understood(values, tmp_path, rename):
    state = renamed(values["model_state_dict"], rename)
    checkpoint = read_checkpoint(write(tmp_path / "a.ckpt", {**values, "model_state_dict": state}))
    for name, tensor in values["model_state_dict"].items():
        assert torch.equal(checkpoint.tensors[name], tensor)


@pytest.mark.parametrize(
    "make",
    [
        lambda tensor: torch.nn.Parameter(tensor),
        lambda tensor: tensor.half().float().half(),
        lambda tensor: tensor.double(),
        lambda tensor: tensor.flip(0).flip(0).t() if tensor.ndim == 2 else tensor,
    ],
)
def test_kinds_of_floating_point_tensors(values, tmp_path, make):
    state = {name: make(tensor) for name, tensor in values["model_state_dict"].items()}
    checkpoint = read_checkpoint(write(tmp_path / "a.ckpt", {**values, "model_state_dict": state}))
    for name, tensor in values["model_state_dict"].items():
        found = checkpoint.tensors[name]
        assert type(found) is torch.Tensor
        assert found.dtype == torch.float32
        assert torch.allclose(found, tensor, atol=1e-3)


def test_numbers_may_be_tensors_and_no_mask_may_be_missing(tmp_path):
    values = published(voxel_size=torch.tensor(1.5), block_size=torch.tensor(64), no_mask=...)
    assert read_checkpoint(write(tmp_path / "a.ckpt", values)).no_mask is None


class Evil:
    """Executes a command when it is unpickled by a naive reader."""

    def __reduce__(self):
        return os.system, ("touch pwned",)


class Sneaky:
    """Likewise, by way of builtins."""

    def __reduce__(self):
        return eval, ("__import__('os').environ.update(BLUSH_TEST_EXECUTED='yes')",)


@pytest.mark.parametrize("evil", [Evil(), Sneaky()])
@pytest.mark.parametrize("place", ["model_definition", "voxel_size", "another", "model_state_dict", "tensor"])
def test_malicious_pickles_are_refused_and_not_executed(tmp_path, evil, place):
    state = {"outc.bias": evil} if place == "tensor" else TINY
    path = write(tmp_path / "evil.ckpt.gz", published(**{"model_state_dict": state, place: evil}))
    with pytest.raises(BlushError, match="something else than tensors and plain values"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"model_state_dict": ...}, "it lacks model_state_dict"),
        ({"voxel_size": ...}, "it lacks voxel_size"),
        ({"block_size": ...}, "it lacks block_size"),
        ({"voxel_size": 1.2}, r"voxels of 1\.2 Å"),
        ({"voxel_size": float("nan")}, "voxel_size is no plausible number"),
        ({"voxel_size": "1.5"}, "voxel_size is no plausible number"),
        ({"voxel_size": torch.ones(2)}, "voxel_size is no plausible number"),
        ({"voxel_size": 10**400}, "voxel_size is no plausible number"),
        ({"block_size": 128}, "blocks of 128³"),
        ({"block_size": None}, "block_size is no plausible number"),
        ({"no_mask": "yes"}, "no_mask is no plausible number"),
        ({"model_state_dict": [1, 2]}, "its model_state_dict is a list"),
        ({"model_state_dict": {}}, "it lacks"),
    ],
)
def test_other_entries_are_refused_with_a_sentence(tmp_path, changes, sentence):
    path = write(tmp_path / "a.ckpt", published(**{"model_state_dict": TINY, **changes}))
    with pytest.raises(BlushError, match=sentence) as caught:
        read_checkpoint(path)
    assert str(path) in caught.value.problem


CONV = "down.3.double_conv.conv1.weight"


@pytest.mark.parametrize(
    ("name", "tensor", "sentence"),
    [
        ("inc.double_conv.norm2.bias", ..., r"lacks inc\.double_conv\.norm2"),
        ("other.weight", torch.ones(2), r"it has other\.weight"),
        (17, torch.ones(2), "it has 17"),
        ("module.outc.bias", torch.ones(2), r"has outc\.bias twice"),
        (CONV, torch.ones(3, 3), "is 3 × 3, the network's 256 × 128 × 3 × 3 × 3"),
        ("outc.bias", torch.ones(1).expand(1 << 40), r"outc\.bias is 1099511627776"),
        ("outc.bias", torch.tensor([1, 2]), r"holds torch\.int64"),
        ("outc.bias", torch.ones(2).to_sparse(), "no ordinary tensor"),
        ("outc.bias", torch.ones(2, device="meta"), "no ordinary tensor"),
        ("outc.bias", "weights", "no ordinary tensor"),
        ("outc.bias", torch.tensor([1, np.nan]), "not numbers"),
        ("outc.bias", torch.tensor([1e300, 0], dtype=torch.float64), "not numbers"),
    ],
)
def test_other_tensors_are_refused_with_a_sentence(values, tmp_path, name, tensor, sentence):
    state = {**values["model_state_dict"], name: tensor}
    if tensor is ...:
        del state[name]
    with pytest.raises(BlushError, match=sentence):
        read_checkpoint(write(tmp_path / "a.ckpt", {**values, "model_state_dict": state}))


def test_other_content_than_a_dict_is_refused(tmp_path):
    for index, other in enumerate([[1, 2], torch.ones(3), {1: 2}, "text"]):
        with pytest.raises(BlushError, match="no dict of named entries"):
            read_checkpoint(write(tmp_path / f"{index}.ckpt", other))


def rezipped(good: bytes, **changes: bytes | None) -> bytes:
    """The archive with members changed (by the end of their name), or left out; or others added."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(good)) as old, zipfile.ZipFile(stream, "w") as new:
        for member in old.infolist():
            changed = [value for name, value in changes.items() if member.filename.endswith(name)]
            if changed == [None]:
                continue
            new.writestr(member.filename, changed[0] if changed else old.read(member))
    return stream.getvalue()


def compressed(good: bytes) -> bytes:
    stream = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(good)) as old,
        zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as new,
    ):
        for member in old.infolist():
            new.writestr(member.filename, old.read(member))
    return stream.getvalue()


def added(good: bytes, name: str) -> bytes:
    stream = io.BytesIO(good)
    with zipfile.ZipFile(stream, "a") as archive:
        archive.writestr(name, b"x")
    return stream.getvalue()


def test_legacy_formats_are_refused(tmp_path):
    small = {"model_state_dict": {"outc.bias": torch.ones(2)}}
    legacy = write(tmp_path / "legacy.ckpt", small, _use_new_zipfile_serialization=False)
    plain = tmp_path / "plain.ckpt"
    plain.write_bytes(pickle.dumps(Evil()))
    for path in (legacy, plain):
        with pytest.raises(BlushError, match=r"no zip archive \(torch's formats before 1\.6"):
            read_checkpoint(path)


def test_archives_that_torch_does_not_make_are_refused(good, tmp_path):
    path = tmp_path / "a.ckpt"
    cases = [
        (compressed(good), "is compressed, which torch never does"),
        (added(good, "archive/constants.pkl"), "TorchScript"),
        (added(good, "archive/code/__torch__.py"), "TorchScript"),
        (added(good, "other/data.pkl"), "not one data.pkl"),
        (rezipped(good, **{"data.pkl": None}), "not one data.pkl"),
        (rezipped(good, **{"data.pkl": bytes(5 << 20)}), "not one data.pkl"),
        (rezipped(good, **{"data.pkl": b"garbage"}), "damaged|something else"),
        (rezipped(good, **{"data/0": b"short"}), "damaged"),
        (rezipped(good, **{"data/0": None}), "damaged"),
        (good[: len(good) // 2], "damaged or truncated"),
        (b"PK\x03\x04", "damaged or truncated"),
    ]
    for spoilt, sentence in cases:
        path.write_bytes(spoilt)
        with pytest.raises(BlushError, match=sentence):
            read_checkpoint(path)


def test_members_given_twice_are_refused(good, tmp_path):
    path = tmp_path / "a.ckpt"
    with pytest.warns(UserWarning, match="Duplicate name"):
        path.write_bytes(
            added(good, next(n for n in zipfile.ZipFile(io.BytesIO(good)).namelist() if "data/0" in n))
        )
    with pytest.raises(BlushError, match="some twice"):
        read_checkpoint(path)


def test_a_memo_index_beyond_reason_does_not_take_memory(good, tmp_path):
    """The C unpickler would make room for 2³¹ entries."""
    bomb = b"\x80\x02}r\xff\xff\xff\x7f."
    path = tmp_path / "a.ckpt"
    path.write_bytes(rezipped(good, **{"data.pkl": bomb}))
    with pytest.raises(BlushError, match="it lacks model_state_dict"):
        read_checkpoint(path)


def test_a_gzip_bomb_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "LARGEST_FILE_BYTES", 8 << 20)
    path = tmp_path / "bomb.ckpt.gz"
    path.write_bytes(gzip.compress(bytes(64 << 20)))
    assert path.stat().st_size < 1 << 20
    with pytest.raises(BlushError, match="more than 8 MiB"):
        read_checkpoint(path)
    path.write_bytes(bytes(9 << 20))
    with pytest.raises(BlushError, match="more than 8 MiB"):
        read_checkpoint(path)


def test_damaged_gzip_missing_files_and_folders(good, tmp_path):
    path = tmp_path / "a.ckpt.gz"
    packed = gzip.compress(good, 1)
    for spoilt in (packed[:-20], packed[:-6] + b"\0\0\0\0\0\0", packed + b"junk"):
        path.write_bytes(spoilt)
        with pytest.raises(BlushError, match="damaged or truncated gzip"):
            read_checkpoint(path)
    with pytest.raises(BlushError, match="does not exist"):
        read_checkpoint(tmp_path / "missing.ckpt")
    with pytest.raises(BlushError, match="cannot be read"):
        read_checkpoint(tmp_path)
