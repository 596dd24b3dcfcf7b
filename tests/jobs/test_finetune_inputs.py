"""What a fine-tuning reads: halves that are none, masks that do not fit, and whom the error blames."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from blushcore.jobs.finetune.parameters import FinetuneParameters
from blushcore.jobs.finetune.preflight import check_inputs
from blushcore.protocol import BlushError
from blushcore.volumes import lowpass
from blushcore.volumes.masks import soft_sphere
from small_halves import VOXEL_SIZE, small_halves, write, written

N = 80


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Two halves of a particle at some 8 Å, and what people take for halves."""
    pair = small_halves(N)
    one, two, mask = pair.half1, pair.half2, pair.mask
    folder = written(tmp_path_factory.mktemp("halves"), pair)
    maps = {
        "other": torch.randn(one.shape, generator=torch.Generator().manual_seed(2)),
        "scaled": 3 * one + 1,
        "whole": (one + two) / 2,
        "masked1": one * mask,
        "masked2": two * mask,
        "smooth1": lowpass(one, 7.0, VOXEL_SIZE),
        "smooth2": lowpass(two, 7.0, VOXEL_SIZE),
        "flat": torch.ones_like(one),
        "empty": torch.zeros_like(mask),
        "small_mask": mask[2:-2, 2:-2, 2:-2],
    }
    for name, data in maps.items():
        write(folder / f"{name}.mrc", data)
    return folder


def asked(folder: Path, half1: str = "half1", half2: str = "half2", **more: object) -> FinetuneParameters:
    mask = folder / f"{more.pop('mask', 'mask')}.mrc"
    one, two = (folder / f"{name}.mrc" for name in (half1, half2))
    return FinetuneParameters(half1=one, half2=two, mask=mask, device="cpu", **more)


def test_honest_halves_raise_no_doubt(folder):
    found = check_inputs(asked(folder))
    assert found.warnings == ()
    assert 5 < found.pair.resolution < 12
    assert check_inputs(asked(folder, "half2", "half1")).pair.resolution == pytest.approx(
        found.pair.resolution
    )  # either may be the first


@pytest.mark.parametrize(
    ("halves", "field", "sentence"),
    [
        (("half1", "half1"), "half2", "are the same map"),
        (("half1", "scaled"), "half2", "copies of one"),
        (("half1", "other"), "half2", "agree (only to|nowhere)"),
        (("flat", "half2"), "half1", "is constant"),
        (("half1", "small_mask"), "half2", "not on one grid"),
        (("half1", "none"), "half2", "none.mrc does not exist"),
    ],
)
def test_maps_that_are_no_halves_are_refused(folder, halves, field, sentence):
    with pytest.raises(BlushError, match=sentence) as caught:
        check_inputs(asked(folder, *halves))
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("change", "field", "sentence"),
    [
        ({"mask": "small_mask"}, "mask", "not on one grid"),
        ({"mask": "empty"}, "mask", "empty mask"),
        ({"mask": "half1"}, "mask", "a mask lies between 0"),
        ({"weights": "no-such"}, "weights", "no network weights"),
        ({"device": "cuda:77"}, "device", "cuda:77"),
    ],
)
def test_the_field_that_is_to_be_mended_is_blamed(folder, change, field, sentence):
    params = asked(folder, **{name: value for name, value in change.items() if name != "device"})
    if "device" in change:
        params = params.replace(device=change["device"])
    with pytest.raises(BlushError, match=sentence) as caught:
        check_inputs(params)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("halves", "sentence"),
    [
        (("half1", "whole"), "Outside the mask the two maps agree"),
        (("masked1", "masked2"), "look masked already"),
        (("smooth1", "smooth2"), "the halves look filtered"),
    ],
)
def test_halves_that_share_more_than_their_signal_are_told(folder, halves, sentence):
    [said] = check_inputs(asked(folder, *halves)).warnings
    assert sentence in said


def test_headers_that_lie_can_be_overruled(folder, tmp_path):
    """The remedy that errors about voxel sizes name is there."""
    for name in ("half1", "half2", "mask"):
        source = (folder / f"{name}.mrc").read_bytes()
        (tmp_path / f"{name}.mrc").write_bytes(source[:40] + bytes(12) + source[52:])  # no cell, no voxel size
    with pytest.raises(BlushError, match=r"no voxel size.*--voxel-size"):
        check_inputs(asked(tmp_path))
    assert check_inputs(asked(tmp_path, voxel_size=1.5)).pair.half1.shape == (N,) * 3


def test_a_tiny_map_is_padded_to_what_blocks_need(tmp_path):
    cut = slice(N // 2 - 9, N // 2 + 9)
    pair = small_halves(N)
    for name in ("half1", "half2"):
        write(tmp_path / f"{name}.mrc", getattr(pair, name)[cut, cut, cut], 3.0)
    write(tmp_path / "mask.mrc", soft_sphere((18,) * 3, 6, 2), 3.0)
    found = check_inputs(asked(tmp_path, resolution=9.0))
    assert found.pair.half1.shape == (80,) * 3
    assert found.pair.resolution == 9
