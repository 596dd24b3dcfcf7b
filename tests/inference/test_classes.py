"""The posterior over classes, orientations and offsets against float64, pose by pose."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from brute_force import log_weights
from inference_problem import BOX, DIAMETER, PIXEL_SIZE, blobs, make_problem

from blushcore.inference import Sampling, circular_mask, expectation
from blushcore.inference.images import prepare_images
from blushcore.inference.model import LocalSearch
from blushcore.optics import ctf
from blushcore.poses import OffsetGrid, OrientationGrid, SymmetryGroup, euler_to_matrix
from blushcore.projection import FourierVolume, SliceSums
from blushcore.shells import PlaneComponents

SIZE = 20
SHARES = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)


@pytest.fixture(scope="module")
def problem():
    problem = make_problem(count=5, noise=9.0)
    angles = problem.angles_deg
    offsets = torch.tensor([[0.3, -0.2], [1.4, 0.0], [0.0, 0.6], [-0.7, 0.2], [0.1, 0.1]], dtype=torch.float64)
    particles = replace(problem.particles, angles_deg=angles, offsets_px=offsets)
    return replace(problem, particles=particles)


@pytest.fixture(scope="module")
def maps(problem):
    return torch.stack([problem.reference, blobs(seed=6), blobs(seed=7)])


def run(problem, maps, plan):
    model = replace(problem.model, log_class=SHARES.log().float())
    steps = expectation(maps, PIXEL_SIZE, problem.particles, problem, plan, model)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def exact(problem, maps, rotations, offsets, log_prior):
    """Posterior ``(B, K, O, T)`` over classes and the given poses; offsets ``(T, 2)`` from the whole shift."""
    plane = PlaneComponents.of(BOX, SIZE)
    shifts = problem.particles.offsets_px.round()
    prepared = prepare_images(
        problem.images,
        plane,
        shifts_px=shifts.long(),
        factors=torch.ones(len(shifts)),
        mask=circular_mask(BOX, DIAMETER / 2 / PIXEL_SIZE),
    )
    transfer = ctf(problem.particles.optics[0], problem.particles.ctf, plane.kx, plane.ky)
    whole = (shifts[:, None] + offsets) * PIXEL_SIZE
    log_offset = -whole.square().sum(-1) / (2 * problem.model.offset_sigma_angstrom**2)
    weights = []
    for share, each in zip(SHARES, maps, strict=True):
        slices = FourierVolume.of(each, SIZE).slices(rotations, plane)
        prior = log_offset[:, None] + log_prior[None, :, None] + share.log()
        variance = problem.model.noise_variance[0][plane.shell]
        weights.append(
            log_weights(prepared.masked, transfer, slices, plane.phase_ramps(offsets), variance, prior)
        )
    stacked = torch.stack(weights, 1)
    return torch.softmax(stacked.flatten(1), 1).view(stacked.shape), plane, prepared, transfer


def test_global_searches_weigh_classes_and_poses_at_once(problem, maps):
    grid = OrientationGrid(0, SymmetryGroup.of("C1"), 0.2)
    plan = Sampling(grid, OffsetGrid(2.0, 1.0, 0.3), SIZE, SIZE, adaptive_fraction=1.0)
    sums, results = run(problem, maps, plan)
    rotations = grid.rotations(torch.arange(8 * grid.count), 1)
    weights, plane, prepared, transfer = exact(
        problem, maps, rotations, plan.offsets.children(), torch.zeros(len(rotations))
    )
    torch.testing.assert_close(results.class_probability, weights.sum((2, 3)), rtol=2e-3, atol=1e-4)
    torch.testing.assert_close(results.p_max, weights.flatten(1).amax(1), rtol=2e-3, atol=1e-4)
    best = weights.flatten(1).argmax(1)
    assert torch.equal(results.class_index, best // weights[0, 0].numel())
    torch.testing.assert_close(sums.class_weight, weights.sum((0, 2, 3)), rtol=2e-3, atol=1e-4)
    by_direction = weights.sum((0, 3)).view(3, grid.direction_count, -1).sum(2)
    torch.testing.assert_close(sums.direction_weight, by_direction.flatten(), rtol=2e-3, atol=1e-4)
    # What is summed for each class is what its share of the posterior says.
    variance = problem.model.noise_variance[0][plane.shell]
    ramps = plane.phase_ramps(plan.offsets.children()).to(torch.complex128)
    for c, own in enumerate(sums.of_classes):
        data = torch.zeros(len(rotations), plane.count, dtype=torch.complex128)
        weight = torch.zeros(len(rotations), plane.count, dtype=torch.float64)
        for b in range(len(weights)):
            gamma = weights[b, c]
            data += (gamma.to(torch.complex128) @ ramps) * (prepared.unmasked[b] * transfer[b] / variance)
            weight += gamma.sum(1)[:, None] * transfer[b].double().square() / variance
        expected = SliceSums(BOX, SIZE)
        expected.insert(rotations, data.to(torch.complex64), weight.float(), plane)
        assert (own.data - expected.data).abs().max() < 2e-3 * expected.data.abs().max()
        assert (own.weight - expected.weight).abs().max() < 2e-3 * expected.weight.max()


@pytest.mark.parametrize("keeps", ["orientation", "pose"])
def test_kept_orientations_and_poses_leave_classes_and_offsets(problem, maps, keeps):
    grid = OrientationGrid(0, SymmetryGroup.of("C1"), 0.2)
    plan = Sampling(grid, OffsetGrid(2.0, 1.0, 0.3), SIZE, SIZE, keeps=keeps)
    sums, results = run(problem, maps, plan)
    rotations = euler_to_matrix(problem.particles.angles_deg).float()
    shifts = problem.particles.offsets_px.round()
    for b in range(problem.particles.count):
        offsets = plan.offsets.children()
        if keeps == "pose":
            offsets = (problem.particles.offsets_px - shifts)[b : b + 1]
        weights, *_ = exact(problem, maps, rotations[b : b + 1], offsets, torch.zeros(1))
        own = weights[b, :, 0]
        torch.testing.assert_close(results.class_probability[b], own.sum(1), rtol=1e-3, atol=1e-5)
        best = int(own.argmax())
        assert int(results.class_index[b]) == best // own.shape[1]
        torch.testing.assert_close(results.offsets_px[b], shifts[b] + offsets[best % own.shape[1]])
    torch.testing.assert_close(results.angles_deg, problem.particles.angles_deg)
    assert sums.weight == problem.particles.count
    assert float(sums.class_weight.sum()) == pytest.approx(problem.particles.count)


def test_local_searches_weigh_classes_too(problem, maps):
    grid = OrientationGrid(1, SymmetryGroup.of("C1"), 0.2)
    local = LocalSearch(20.0, 20.0)
    plan = Sampling(grid, OffsetGrid(1.0, 1.0, 0.3), SIZE, SIZE, local, adaptive_fraction=1.0)
    _, results = run(problem, maps, plan)
    near = grid.nearby(problem.particles.angles_deg, 20.0, 20.0)
    for b in range(problem.particles.count):
        mine = slice(int(near.start[b]), int(near.start[b + 1]))
        rotations = grid.rotations(grid.children(near.orientations[mine]).flatten(), 1)
        prior = near.log_prior[mine].double().repeat_interleave(8)
        weights, *_ = exact(problem, maps, rotations, plan.offsets.children(), prior)
        torch.testing.assert_close(results.class_probability[b], weights[b].sum((1, 2)), rtol=3e-3, atol=1e-4)


def test_one_class_among_equals_has_its_share(problem):
    """Where all maps are alike, the posterior of the classes is their prior."""
    grid = OrientationGrid(0, SymmetryGroup.of("C1"), 0.2)
    same = problem.reference.expand(3, -1, -1, -1).contiguous()
    _, results = run(problem, same, Sampling(grid, OffsetGrid(1.0, 1.0), SIZE, SIZE, adaptive_fraction=1.0))
    np.testing.assert_allclose(results.class_probability.mean(0), SHARES, atol=2e-3)
