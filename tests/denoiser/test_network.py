"""The network is the published one, and computes what it should in every precision."""

from __future__ import annotations

import copy

import pytest
import torch

from blushcore.denoiser import BlushNetwork, Denoiser, local_standard_deviation

FLOAT32_BOUND, BFLOAT16_BOUND = 1e-4, 0.02

PAIR = [f"{layer}.{kind}" for layer in ("conv1", "norm1", "conv2", "norm2") for kind in ("weight", "bias")]


def relative(a: torch.Tensor, b: torch.Tensor) -> float:
    """Root mean square difference, relative to the standard deviation of `b`."""
    return float((a.double() - b.double()).square().mean().sqrt() / b.double().std())


def test_number_of_parameters_is_the_published_one():
    assert sum(p.numel() for p in BlushNetwork().parameters()) == 12_974_578


def test_names_are_those_of_the_published_checkpoint():
    pairs = [
        "inc.double_conv",
        *(f"down.{i}.double_conv" for i in range(5)),
        *(f"up.{i}.conv.double_conv" for i in range(5)),
    ]
    expected = [f"{pair}.{name}" for pair in pairs for name in PAIR] + ["outc.weight", "outc.bias"]
    assert sorted(BlushNetwork().state_dict()) == sorted(expected)


def test_widths_are_the_published_ones():
    shapes = {name: tuple(tensor.shape) for name, tensor in BlushNetwork().state_dict().items()}
    encoder = [shapes["inc.double_conv.conv2.weight"][0]]
    encoder += [shapes[f"down.{i}.double_conv.conv2.weight"][0] for i in range(5)]
    decoder = [shapes[f"up.{i}.conv.double_conv.conv2.weight"][0] for i in range(5)]
    middle = [shapes[f"up.{i}.conv.double_conv.conv1.weight"][:2] for i in range(5)]
    assert encoder == [16, 32, 64, 128, 256, 256]
    assert decoder == [128, 64, 32, 16, 16]
    assert middle == [(256, 512), (128, 256), (64, 128), (32, 64), (16, 32)]
    assert shapes["inc.double_conv.conv1.weight"] == (16, 2, 3, 3, 3)
    assert shapes["outc.weight"] == (2, 16, 1, 1, 1)


@pytest.fixture(scope="module")
def exact(network, blob):
    """The block's second channel, and what the network makes of both in float64."""
    std = local_standard_deviation(blob)
    with torch.inference_mode():
        return std, copy.deepcopy(network).double()(blob[None].double(), std[None].double())


def test_float32_is_within_a_ten_thousandth_of_float64(network, blob, exact):
    std, expected = exact
    out = Denoiser(network, None, torch.device("cpu"), "float32")(blob[None], std[None])
    assert out.blocks.dtype == out.mask_logits.dtype == torch.float32
    assert relative(out.blocks, expected.blocks) < FLOAT32_BOUND
    assert float((out.blocks - expected.blocks).abs().max() / expected.blocks.std()) < FLOAT32_BOUND
    assert relative(out.mask_logits, expected.mask_logits) < FLOAT32_BOUND


def test_bfloat16_is_within_its_stated_bound(network, blob, exact):
    std, expected = exact
    denoiser = Denoiser(network, None, torch.device("cpu"), "bfloat16")
    out = denoiser(blob[None], std[None])
    assert denoiser.dtype == torch.bfloat16
    assert out.blocks.dtype == torch.float32
    assert 1e-5 < relative(out.blocks, expected.blocks) < BFLOAT16_BOUND


def test_each_block_is_standardised_by_itself(network, blob):
    """Scale and offset of a block come back in its output, whatever block is beside it in the batch."""
    blocks = torch.stack([blob, 250 * blob.flip(0) - 40])
    stds = torch.stack([local_standard_deviation(block) for block in blocks])
    with torch.inference_mode():
        together = network(blocks, stds)
        alone = network(blob.flip(0)[None], stds[1:])
    assert relative(together.blocks[1], 250 * alone.blocks[0] - 40) < 1e-5
    assert relative(together.mask_logits[1], alone.mask_logits[0]) < 1e-5


def test_block_of_zeros_stays_zero(network):
    zeros = torch.zeros((1, 64, 64, 64))
    with torch.inference_mode():
        out = network(zeros, zeros)
    assert float(out.blocks.abs().max()) < 1e-9
    assert torch.isfinite(out.mask_logits).all()


def test_auto_precision_is_what_the_device_is_fast_with(network, monkeypatch):
    for fast, dtype in ((torch.bfloat16, torch.bfloat16), (None, torch.float32)):
        monkeypatch.setattr("blushcore.devices.precision.fast_reduced_precision", lambda _, fast=fast: fast)
        assert Denoiser(network, None, torch.device("cpu"), "auto").dtype == dtype
