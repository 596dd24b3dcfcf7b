"""One pair of half-maps in two parts: nothing that is judged by was trained on."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from blushcore.denoiser.network import BLOCK_SIZE
from blushcore.protocol import BlushError
from blushcore.training.augmentation import HalfMapPair, PreparedVolume
from blushcore.training.held_out import OnePair, TrainedPart, continued, held_out_blocks, split_in_parts
from blushcore.volumes.masks import soft_sphere

N = 84


def numbered(n: int) -> PreparedVolume:
    """A volume whose input is the number of its plane, from 1."""
    planes = torch.arange(1, n + 1, dtype=torch.float16)[:, None, None].expand(n, n, n).contiguous()
    both, mask = torch.stack([planes, planes]), soft_sphere((n,) * 3, 30, 3).half()
    return PreparedVolume(both, both, both, mask, torch.ones(n, n, n).half(), torch.tensor(6.0))


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
def test_no_voxel_is_in_both_parts(share, monkeypatch):
    mask = soft_sphere((N,) * 3, 30, 3)
    parts = split_in_parts(mask, share)
    blocks = TrainedPart(lambda _: None, 0, 0, parts=parts)
    volume = continued(numbered(N))
    trained = [blocks.cut(index, volume) for index in range(20)]
    last = max(float(example[0].max()) for example in trained)

    monkeypatch.setattr("blushcore.training.held_out.prepare", lambda *_, **__: numbered(N))
    held_out = held_out_blocks(None, parts, 8)
    first = min(float(example[0][example[0] > 0].min()) for example in held_out)
    assert first - last > 8
    assert all(float(example[3].mean()) > 0.01 for example in held_out)  # some particle is in each
    beyond = float(mask[int(last) :].sum() / mask.sum())
    assert beyond > share * 0.8
    assert torch.equal(held_out[0][0], held_out_blocks(None, parts, 2)[0][0])
    assert len({float(example[3].mean()) for example in held_out}) > 1


def test_the_continuation_is_empty_and_the_rest_is_as_it_was():
    volume = numbered(N)
    longer = continued(volume)
    assert longer.inputs.shape == (2, N + 2 * BLOCK_SIZE, N, N)
    assert torch.equal(longer.inputs[:, BLOCK_SIZE:-BLOCK_SIZE], volume.inputs)
    assert not longer.mask[:BLOCK_SIZE].any()
    assert longer.resolution is volume.resolution


def test_both_directions_and_all_orientations_are_trained_on():
    volume = continued(numbered(N))
    volume = PreparedVolume(torch.stack([volume.inputs[0], -volume.inputs[1]]), *volume.parts()[1:])
    blocks = TrainedPart(lambda _: None, 3, 0, parts=split_in_parts(soft_sphere((N,) * 3, 30, 3), 0.25))
    made = [blocks.cut(index, volume)[0] for index in range(24)]
    assert {float(block.min()) < 0 for block in made} == {True, False}
    along = {int(np.argmax([float(block.diff(dim=axis).abs().mean()) for axis in range(3)])) for block in made}
    assert along == {0, 1, 2}
    assert torch.equal(blocks.cut(5, volume)[0], made[5])


def test_an_empty_mask_is_refused():
    with pytest.raises(BlushError, match="mask is empty"):
        split_in_parts(torch.zeros(80, 80, 80), 0.25)


def test_one_pair_is_the_same_each_time():
    pair = HalfMapPair(*(torch.zeros(1, 1, 1),) * 3, 6.0, 10.0)
    source = OnePair(pair)
    assert source(np.random.default_rng(0)) is source(np.random.default_rng(1))
