"""The network as it runs on the processor: against PyTorch's own operations, part by part and whole."""

from __future__ import annotations

import numba
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F  # noqa: N812

from blushcore.denoiser.fused import FusedNetwork
from blushcore.denoiser.fused_kernels import (
    apply_silu,
    instance_norm,
    max_pool,
    silu_and_project,
    to_stored,
    upsample,
)
from blushcore.denoiser.network import BlushNetwork


def random_network(seed=0) -> BlushNetwork:
    """A network whose norms do something too."""
    torch.manual_seed(seed)
    network = BlushNetwork().eval().requires_grad_(False)
    for name, parameter in network.named_parameters():
        if "norm" in name:
            parameter.copy_(torch.randn_like(parameter) * 0.3 + ("weight" in name))
    return network


def bits(x: torch.Tensor) -> np.ndarray:
    return x.bfloat16().view(torch.uint16).numpy()


def from_bits(x: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(x).view(torch.bfloat16).float()


@pytest.fixture
def two_threads():
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("shape", [(1, 32, 32, 64), (3, 64, 32, 32)])
def test_same_as_pytorchs_operations_and_as_float64(shape, two_threads):
    network = random_network()
    blocks, std = torch.randn(shape) * 7 + 3, torch.rand(shape)
    ours, theirs = FusedNetwork(network, torch.float32)(blocks, std), network(blocks, std)
    exact = network.double()(blocks.double(), std.double())
    for got, peer, want in zip(ours, theirs, exact, strict=True):
        scale = want.std()
        assert (got - want).abs().max() / scale < 1e-4
        assert (got - want).std() / scale < 2 * (peer - want).std() / scale + 1e-7


def test_in_bfloat16_within_the_stated_bound_and_no_worse_than_autocast(two_threads):
    network = random_network(1)
    blocks, std = torch.randn(2, 64, 64, 64), torch.rand(2, 64, 64, 64)
    want = network(blocks, std).blocks
    with torch.autocast("cpu", dtype=torch.bfloat16):
        peer = network(blocks, std).blocks
    got = FusedNetwork(network, torch.bfloat16)(blocks, std).blocks
    error, allowed = ((x - want).std() / want.std() for x in (got, peer))
    assert 0 < error < 0.02
    assert error < 1.2 * allowed


def test_a_block_does_not_depend_on_the_others_nor_on_the_threads(two_threads):
    network = FusedNetwork(random_network(), torch.bfloat16)
    blocks, std = torch.randn(3, 32, 32, 32), torch.rand(3, 32, 32, 32)
    together = network(blocks, std)
    assert torch.get_num_threads() == 2
    for index in range(3):
        alone = network(blocks[index : index + 1], std[index : index + 1])
        assert torch.equal(alone.blocks[0], together.blocks[index])
        assert torch.equal(alone.mask_logits[0], together.mask_logits[index])


def test_the_number_of_threads_survives_a_failure(two_threads, monkeypatch):
    def fail(*_):
        raise MemoryError("no room for a block")

    network = FusedNetwork(random_network(), torch.float32)
    monkeypatch.setattr(network, "_block", fail)
    with pytest.raises(MemoryError, match="no room"):
        network(torch.randn(2, 32, 32, 32), torch.rand(2, 32, 32, 32))
    assert torch.get_num_threads() == 2


def test_blocks_that_cannot_be_halved_five_times_are_refused():
    with pytest.raises(ValueError, match="multiples of 32"):
        FusedNetwork(random_network(), torch.float32)(torch.randn(1, 32, 32, 48), torch.rand(1, 32, 32, 48))


@settings(deadline=None, max_examples=20)
@given(
    voxels=st.integers(2, 5000),
    channels=st.sampled_from([1, 3, 16, 256]),
    mean=st.sampled_from([0, -4, 300]),
    reduced=st.booleans(),
)
def test_norm_and_silu_against_float64(voxels, channels, mean, reduced):
    torch.manual_seed(voxels)
    x = torch.randn(voxels, channels) * 3 + mean
    weight, bias = torch.randn(channels), torch.randn(channels)
    stored = bits(x) if reduced else x.numpy()
    x = from_bits(stored) if reduced else x
    factors = np.empty((2, channels), np.float32)
    instance_norm(stored, weight.numpy(), bias.numpy(), 1e-5, factors)
    wide = torch.full((voxels, channels + 3), -1.0)
    out = bits(wide) if reduced else wide.numpy()
    apply_silu(stored, factors, out, 2)
    got = from_bits(out) if reduced else torch.from_numpy(out)
    normalised = F.instance_norm(x.double().T[None], weight=weight.double(), bias=bias.double())[0].T
    want = F.silu(normalised)
    # What is left of float32 after the mean has gone, and for bfloat16 its rounding.
    tolerance = 3e-6 * (10 + abs(mean)) + 0.004 * reduced * want.abs()
    assert torch.all((got[:, 2:-1] - want).abs() < tolerance)
    assert torch.all(got[:, [0, 1, -1]] == -1)
    head, summand = torch.randn(2, channels), torch.randn(2)
    projected = np.empty((2, voxels), np.float32)
    silu_and_project(stored, factors, head.numpy(), summand.numpy(), projected)
    wanted = head.double() @ want.T + summand.double()[:, None]
    assert (torch.from_numpy(projected) - wanted).abs().max() < 3e-5 * (10 + abs(mean)) * channels**0.5


def test_silu_far_out_and_in_place():
    x = torch.tensor([[-1e30, -200.0, -88.0, -20.0, 0.0, 20.0, 88.0, 200.0, 1e30]])
    values = x.numpy().copy()
    factors = np.stack([np.ones(9, np.float32), np.zeros(9, np.float32)])
    apply_silu(values, factors, values, 0)
    assert np.allclose(values, F.silu(x.double()).float(), rtol=1e-6, atol=1e-7 * 200)
    assert np.isfinite(values).all()


def test_bfloat16_is_rounded_to_nearest_even():
    @numba.njit
    def store(values, stored):
        for i in range(len(values)):
            stored[i] = to_stored(values[i], stored[i])

    halfway = torch.arange(1, 257) / 128 + 2**-8
    x = torch.cat([halfway, -halfway, torch.randn(4000) * 10.0 ** torch.randint(-30, 30, (4000,))])
    stored = np.zeros(len(x), np.uint16)
    store(x.numpy(), stored)
    assert torch.equal(from_bits(stored), x.bfloat16().float())


@settings(deadline=None, max_examples=15)
@given(
    shape=st.tuples(*[st.integers(1, 6)] * 3),
    channels=st.sampled_from([1, 5, 16, 64]),
    reduced=st.booleans(),
)
def test_pooling_and_upsampling_as_pytorchs(shape, channels, reduced):
    torch.manual_seed(sum(shape))
    x = torch.randn(*shape, channels)
    x = x.bfloat16().float() if reduced else x
    store = bits if reduced else (lambda t: t.numpy().copy())
    load = from_bits if reduced else torch.from_numpy
    raised = store(torch.zeros(*(2 * n for n in shape), channels + 4))
    upsample(store(x), raised, 4)
    ncdhw = x.permute(3, 0, 1, 2)[None].double()
    want = F.interpolate(ncdhw, scale_factor=2, mode="trilinear", align_corners=True)[0].permute(1, 2, 3, 0)
    tolerance = 1e-5 + 0.004 * reduced * want.abs()
    assert torch.all((load(raised)[..., 4:] - want).abs() <= tolerance)
    assert not load(raised)[..., :4].any()
    pooled = store(torch.zeros(*shape, channels + 2))
    max_pool(raised, pooled)
    assert torch.equal(
        load(pooled),
        F.max_pool3d(load(raised)[..., : channels + 2].permute(3, 0, 1, 2)[None], 2)[0].permute(1, 2, 3, 0),
    )
