"""The way back through the network on the processor: against autograd's, in float64 where it can be."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from blushcore.denoiser.fused_gradients import TrainedNetwork
from blushcore.denoiser.fused_kernels import instance_norm
from blushcore.denoiser.gradient_kernels import (
    max_pool_gradient,
    norm_and_silu_gradient,
    projection_gradient,
    upsample_gradient,
)
from blushcore.denoiser.network import BlushNetwork

SHAPE = (2, 32, 32, 64)


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    assert torch.get_num_threads() == 2
    torch.set_num_threads(before)


def random_network(dropout: float = 0.0) -> BlushNetwork:
    torch.manual_seed(0)
    network = BlushNetwork(dropout)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "norm" in name:
                parameter.copy_(torch.randn_like(parameter) * 0.3 + ("weight" in name))
    return network


def gradients(network: BlushNetwork, apply, dtype: torch.dtype = torch.float32):
    """Result and gradients for fixed blocks, slopes and dropout."""
    generator = torch.Generator().manual_seed(1)
    blocks, std, slope, mask_slope = (torch.randn(SHAPE, generator=generator).to(dtype) for _ in range(4))
    network.zero_grad(set_to_none=True)
    torch.manual_seed(5)
    denoised = apply(blocks * 3 + 1, std.abs())
    ((denoised.blocks * slope).sum() + (denoised.mask_logits * mask_slope).sum()).backward()
    found = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
    return denoised, found


def distance(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return ((found.double() - wanted.double()).norm() / wanted.double().norm()).item()


def test_gradients_are_no_farther_from_float64_than_autograds(two_threads):
    network = random_network(dropout=0.4)
    ours, found = gradients(network, TrainedNetwork(network, torch.float32))
    _, peers = gradients(network, network)
    network.double()
    exact, wanted = gradients(network, network, torch.float64)
    assert distance(ours.blocks, exact.blocks) < 1e-4
    assert distance(ours.mask_logits, exact.mask_logits) < 1e-4
    # The norm takes a convolution's bias out again: its gradient is nothing but rounding.
    assert wanted.keys() - found.keys() == {
        name for name in wanted if "conv" in name and name.endswith(".bias") and "norm" not in name
    }
    # Rounding grows a thousandfold on its way back through a random network, whoever computes it.
    errors, allowed = ({name: distance(g[name], wanted[name]) for name in found} for g in (found, peers))
    assert max(errors.values()) < 5 * max(allowed.values())
    assert max(errors.values()) < 5e-3


def test_in_bfloat16_the_gradients_point_where_autocasts_do(two_threads):
    network = random_network()
    _, wanted = gradients(network, network)
    _, ours = gradients(network, TrainedNetwork(network, torch.bfloat16))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        _, autocast = gradients(network, network)
    # A random network is chaotic upstream of its deepest level, whatever computes it: from there on.
    names = [name for name in ours if name.startswith(("up", "outc"))]
    assert len(names) == 32
    for name in names:
        assert distance(ours[name], wanted[name]) < 1.5 * distance(autocast[name], wanted[name]) + 1e-3, name


def test_the_sum_over_blocks_does_not_depend_on_the_threads(two_threads):
    network = random_network()
    _, side_by_side = gradients(network, TrainedNetwork(network, torch.bfloat16))
    torch.set_num_threads(1)
    try:
        _, one_by_one = gradients(network, TrainedNetwork(network, torch.bfloat16))
    finally:
        torch.set_num_threads(2)
    for name, gradient in side_by_side.items():
        assert distance(gradient, one_by_one[name]) < 1e-5, name


def test_evaluation_mode_drops_nothing():
    network = random_network(0.5).eval()
    blocks, std = torch.randn(SHAPE), torch.rand(SHAPE)
    with torch.no_grad():
        ours, theirs = TrainedNetwork(network, torch.float32)(blocks, std), network(blocks, std)
    assert distance(ours.blocks, theirs.blocks) < 1e-4


def test_recycles_are_steps_without_a_way_back_dropout_included():
    network = random_network(0.5)
    blocks, std = torch.randn(SHAPE), torch.rand(SHAPE)
    found = []
    for with_gradient in (True, False):
        torch.manual_seed(3)
        with torch.set_grad_enabled(with_gradient):
            found.append(TrainedNetwork(network, torch.float32)(blocks, std).blocks.detach())
    assert distance(found[1], found[0]) < 1e-5
    torch.manual_seed(4)
    with torch.no_grad():
        other = TrainedNetwork(network, torch.float32)(blocks, std).blocks
    assert distance(other, found[0]) > 1e-3  # other channels are dropped


@pytest.mark.parametrize("wider", [0, 3])
def test_norm_and_silu(wider):
    x = torch.randn(700, 5, dtype=torch.float64) * 3 + 10
    weight, bias = torch.randn(5).double().requires_grad_(), torch.randn(5).double().requires_grad_()
    slope = torch.randn(700, 5 + wider, dtype=torch.float64)
    leaf = x.clone().requires_grad_()
    F.silu(F.instance_norm(leaf.T[None], weight=weight, bias=bias)[0].T).backward(slope[:, :5])
    factors, found, of_norm = np.empty((4, 5), "f"), np.empty((700, 5), "f"), np.empty((2, 5), "f")
    scale, shift = (t.detach().float().numpy() for t in (weight, bias))
    values = x.float().numpy()
    instance_norm(values, scale, shift, 1e-5, factors)
    np.testing.assert_allclose(factors[2], x.mean(0), rtol=1e-6)
    np.testing.assert_allclose(factors[3], (x.var(0, unbiased=False) + 1e-5) ** -0.5, rtol=1e-5)
    norm_and_silu_gradient(values, factors, slope.float().numpy(), found, of_norm)
    np.testing.assert_allclose(found, leaf.grad, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(of_norm, torch.stack([weight.grad, bias.grad]), rtol=1e-4, atol=1e-4)


def test_max_pool_passes_on_to_the_first_of_equals():
    x = torch.randint(0, 3, (4, 6, 8, 5)).float()
    leaf = x.permute(3, 0, 1, 2)[None].clone().requires_grad_()
    pooled = F.max_pool3d(leaf, 2)
    slope = torch.randn(2, 3, 4, 5)
    pooled.backward(slope.permute(3, 0, 1, 2)[None])
    wider, found = torch.cat([x, torch.zeros(4, 6, 8, 2)], -1), torch.ones(4, 6, 8, 7)
    flat = pooled.detach()[0].permute(1, 2, 3, 0).contiguous()
    max_pool_gradient(wider.numpy(), flat.numpy(), slope.numpy(), found.numpy())
    torch.testing.assert_close(found[..., :5], 1 + leaf.grad[0].permute(1, 2, 3, 0))
    assert (found[..., 5:] == 1).all()


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 1, 3), (4, 5, 3)])
def test_upsampling_is_transposed(shape):
    leaf = torch.randn(1, 5, *shape).requires_grad_()
    up = F.interpolate(leaf, size=tuple(2 * n for n in shape), mode="trilinear", align_corners=True)
    slope = torch.randn(*(2 * n for n in shape), 7)
    up.backward(slope[..., 2:].permute(3, 0, 1, 2)[None])
    found = torch.zeros(*shape, 5)
    upsample_gradient(slope.numpy(), 2, found.numpy())
    torch.testing.assert_close(found, leaf.grad[0].permute(1, 2, 3, 0), rtol=1e-4, atol=1e-5)


def test_projection():
    x, weight = torch.randn(300, 6), torch.randn(2, 6).requires_grad_()
    factors, slope = torch.randn(4, 6), torch.randn(2, 300)
    activated = F.silu(x * factors[0] + factors[1]).requires_grad_()
    (weight @ activated.T).backward(slope)
    found, of_head = np.empty((300, 6), "f"), np.empty((2, 7), "f")
    projection_gradient(x.numpy(), factors.numpy(), weight.detach().numpy(), slope.numpy(), found, of_head)
    np.testing.assert_allclose(found, activated.grad, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(of_head[:, :-1], weight.grad, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(of_head[:, -1], slope.sum(1), rtol=1e-4, atol=1e-4)
