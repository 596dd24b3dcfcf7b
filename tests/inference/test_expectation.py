"""The E-step against the posterior gone through pose by pose in float64."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from brute_force import kept, log_weights
from inference_problem import BOX, DIAMETER, PIXEL_SIZE, make_problem

from blushcore.inference import LocalSearch, MemoryPlan, Sampling, circular_mask, expectation
from blushcore.inference.images import prepare_images
from blushcore.optics import ctf
from blushcore.poses import OffsetGrid, OrientationGrid, SymmetryGroup, angular_distance_deg, euler_to_matrix
from blushcore.projection import FourierVolume, SliceSums
from blushcore.shells import PlaneComponents

SIZE = 20


def run(problem, sampling, **options):
    steps = expectation(
        problem.reference, PIXEL_SIZE, problem.particles, problem, sampling, problem.model, **options
    )
    counts = []
    while True:
        try:
            counts.append(next(steps))
        except StopIteration as end:
            assert counts[-1] == problem.particles.count
            return end.value


def sampling(order=0, local=None, coarse_size=SIZE, **changes) -> Sampling:
    grid = OrientationGrid(order, SymmetryGroup.of("C1"), 0.2)
    return Sampling(grid, OffsetGrid(2.0, 1.0, 0.3), SIZE, coarse_size, local, **changes)


def everything(problem, plan):
    """Prepared images, transfer, slices of all children, ramps, and log-weights of all fine poses."""
    plane = PlaneComponents.of(BOX, SIZE)
    count = problem.particles.count
    prepared = prepare_images(
        problem.images,
        plane,
        shifts_px=torch.zeros(count, 2, dtype=torch.int64),
        factors=torch.ones(count),
        mask=circular_mask(BOX, DIAMETER / 2 / PIXEL_SIZE),
    )
    transfer = ctf(problem.particles.optics[0], problem.particles.ctf, plane.kx, plane.ky)
    grid = plan.orientations
    rotations = grid.rotations(torch.arange(8 * grid.count), 1)
    slices = FourierVolume.of(problem.reference, SIZE).slices(rotations, plane)
    offsets = plan.offsets.children()
    log_offset = -(offsets * PIXEL_SIZE).square().sum(1) / (2 * problem.model.offset_sigma_angstrom**2)
    weights = log_weights(
        prepared.masked,
        transfer,
        slices,
        plane.phase_ramps(offsets),
        problem.model.noise_variance[0][plane.shell],
        log_offset.expand(count, 8 * grid.count, -1),
    )
    return (
        plane,
        prepared,
        transfer,
        rotations,
        slices,
        offsets,
        torch.softmax(weights.flatten(1), 1).view(weights.shape),
    )


@pytest.mark.parametrize("noise", [4.0, 8.0])
def test_the_sums_are_those_of_the_whole_posterior(noise):
    """With nothing left out (fraction 1), every figure is the one of the formulas."""
    problem = make_problem(noise=noise)
    plan = sampling(adaptive_fraction=1.0)
    sums, results = run(problem, plan)
    plane, prepared, transfer, rotations, slices, offsets, weights = everything(problem, plan)

    # Poses that the first look finds to be less than e^-28 of the best are not looked at again.
    best = weights.flatten(1).argmax(1)
    assert torch.equal(results.p_max > 0.5, weights.flatten(1).amax(1) > 0.5)
    torch.testing.assert_close(results.p_max, weights.flatten(1).amax(1), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(results.offsets_px, offsets[best % len(offsets)])
    angle = angular_distance_deg(
        euler_to_matrix(results.angles_deg), rotations[best // len(offsets)].double(), SymmetryGroup.of("C1")
    )
    assert angle.max() < 0.1

    squares = (offsets * PIXEL_SIZE).square().sum(1)
    expected = float((weights.sum(1) @ squares).sum())
    assert sums.offset_square == pytest.approx(expected, rel=1e-3)
    by_direction = weights.sum((0, 2)).view(plan.orientations.direction_count, -1).sum(1)
    torch.testing.assert_close(sums.direction_weight, by_direction, rtol=1e-3, atol=1e-4)

    variance = problem.model.noise_variance[0][plane.shell]
    data = torch.zeros(len(slices), plane.count, dtype=torch.complex128)
    weight = torch.zeros(len(slices), plane.count, dtype=torch.float64)
    residual = torch.zeros(plane.count, dtype=torch.float64)
    ramps = plane.phase_ramps(offsets).to(torch.complex128)
    for b in range(problem.particles.count):
        moved = weights[b].to(torch.complex128) @ ramps
        data += moved * (prepared.unmasked[b] * transfer[b] / variance)
        weight += weights[b].sum(1)[:, None] * transfer[b].double().square() / variance
        x = prepared.masked[b].to(torch.complex128)
        cross = (moved * x * slices.conj()).real.sum(0) * transfer[b]
        power = (weights[b].sum(1) @ slices.abs().square().double()) * transfer[b].square()
        residual += x.abs().square() - 2 * cross + power
    found = sums.noise_power[0][1 : SIZE // 2 + 1]
    torch.testing.assert_close(found, plane.shell_sums(residual)[1:], rtol=1e-3, atol=1e-9)

    reference = SliceSums(BOX, SIZE)
    reference.insert(rotations, data.to(torch.complex64), weight.float(), plane)
    scale = reference.data.abs().max()
    assert (sums.slices.data - reference.data).abs().max() < 1e-3 * scale
    assert (sums.slices.weight - reference.weight).abs().max() < 1e-3 * reference.weight.max()


def test_what_is_kept_is_within_a_thousandth_of_the_whole_posterior():
    problem = make_problem(noise=6.0)
    plan = sampling(adaptive_fraction=0.999)
    sums, results = run(problem, plan)
    *_, weights = everything(problem, plan)
    assert sums.weight == pytest.approx(problem.particles.count, rel=3e-3)
    torch.testing.assert_close(results.p_max, weights.flatten(1).amax(1), rtol=5e-3, atol=1e-4)


def test_the_first_look_keeps_the_fewest_poses_that_make_up_the_fraction():
    problem = make_problem(noise=6.0)
    plan = sampling()
    _, results = run(problem, plan)
    plane, prepared, transfer, *_ = everything(problem, plan)
    grid = plan.orientations
    slices = FourierVolume.of(problem.reference, SIZE).slices(grid.rotations(torch.arange(grid.count)), plane)
    offsets = plan.offsets.coarse()
    log_offset = -(offsets * PIXEL_SIZE).square().sum(1) / (2 * problem.model.offset_sigma_angstrom**2)
    weights = log_weights(
        prepared.masked,
        transfer,
        slices,
        plane.phase_ramps(offsets),
        problem.model.noise_variance[0][plane.shell],
        log_offset.expand(len(transfer), grid.count, -1),
    )
    weights = torch.softmax(weights.flatten(1), 1).numpy()
    for b, count in enumerate(results.significant.tolist()):
        exact = kept(weights[b], 0.999).sum()
        assert exact <= count <= 1.02 * exact + 1


def test_the_coarse_size_leaves_out_what_lies_beyond():
    problem = make_problem(noise=3.0)
    _, small = run(problem, sampling(coarse_size=8))
    _, large = run(problem, sampling())
    assert small.significant.sum() > large.significant.sum()


@pytest.mark.parametrize(
    "memory", [MemoryPlan(slices=1 << 17, products=1 << 15, tables=1 << 15), MemoryPlan(slices=1 << 20)]
)
def test_memory_does_not_change_the_result(memory):
    problem = make_problem(noise=4.0)
    sums, results = run(problem, sampling())
    other_sums, other = run(problem, sampling(), memory=memory)
    torch.testing.assert_close(
        other_sums.slices.data, sums.slices.data, rtol=1e-3, atol=float(sums.slices.data.abs().max()) * 1e-5
    )
    torch.testing.assert_close(other.p_max, results.p_max, rtol=1e-4, atol=1e-6)
    assert torch.equal(other.significant, results.significant)


def test_the_same_twice_is_the_same_bit_by_bit():
    problem = make_problem(noise=4.0)
    (one, one_results), (two, two_results) = (run(problem, sampling()) for _ in range(2))
    assert torch.equal(one.slices.data, two.slices.data)
    assert torch.equal(one.slices.weight, two.slices.weight)
    assert torch.equal(one.noise_power[0], two.noise_power[0])
    assert torch.equal(one_results.log_likelihood, two_results.log_likelihood)


def test_poses_are_found_and_local_searches_find_them_better():
    problem = make_problem(count=20, noise=0.1)
    # A mask would cut the rings of the CTF.
    problem = replace(problem, model=replace(problem.model, diameter_angstrom=200.0))
    symmetry = SymmetryGroup.of("C1")
    true = euler_to_matrix(problem.angles_deg)
    _, found = run(problem, sampling(order=1))
    error = angular_distance_deg(euler_to_matrix(found.angles_deg), true, symmetry)
    assert error.median() < 12
    start = replace(problem.particles, angles_deg=found.angles_deg, offsets_px=found.offsets_px)
    problem = replace(problem, particles=start)
    local = replace(sampling(order=4, local=LocalSearch(7.5, 7.5)), offsets=OffsetGrid(1.5, 0.5, 0.3))
    _, better = run(problem, local)
    finer = angular_distance_deg(euler_to_matrix(better.angles_deg), true, symmetry)
    assert finer.median() < 3
    assert (better.offsets_px - problem.offsets_px).norm(dim=1).median() < 0.15


def test_a_local_search_that_reaches_everywhere_is_a_global_one():
    """Up to its prior, which is flat when its sigma is large."""
    problem = make_problem(noise=3.0)
    whole, one = run(problem, sampling())
    local, two = run(problem, sampling(local=LocalSearch(1e5, 1e5)))
    torch.testing.assert_close(two.p_max, one.p_max, rtol=1e-3, atol=1e-5)
    assert torch.equal(two.significant, one.significant)
    assert local.noise_power[0].sum() == pytest.approx(float(whole.noise_power[0].sum()), rel=1e-4)


def test_the_first_iteration_gives_the_best_correlation_all_the_weight():
    problem = make_problem(noise=0.5)
    plan = sampling(first_iteration_cc=True)
    sums, results = run(problem, plan)
    assert torch.equal(results.p_max, torch.ones(6, dtype=torch.float64))
    assert torch.equal(results.significant, torch.ones(6, dtype=torch.int64))
    scaled = replace(problem, reference=problem.reference * 1e4)
    other, again = run(scaled, plan)  # a reference of unknown scale
    torch.testing.assert_close(again.angles_deg, results.angles_deg)
    torch.testing.assert_close(other.slices.weight, sums.slices.weight)


def test_groups_of_optics_add_up():
    one, several = make_problem(noise=2.0), make_problem(noise=2.0, groups=3)
    whole, results = run(one, sampling())
    parts, others = run(several, sampling())
    torch.testing.assert_close(others.p_max, results.p_max)
    torch.testing.assert_close(sum(parts.noise_power), whole.noise_power[0])
    for weight in parts.noise_weight:
        assert weight.tolist() == pytest.approx([2.0] * len(weight), rel=5e-3)


def test_images_move_with_their_last_offset():
    problem = make_problem(noise=0.5)
    _, results = run(problem, sampling(order=1))
    moved = torch.stack([torch.roll(image, (3, -4), (0, 1)) for image in problem.images])
    last = torch.tensor([[4.0, -3.0]], dtype=torch.float64).expand(6, 2)
    shifted = replace(problem, images=moved, particles=replace(problem.particles, offsets_px=last))
    # The prior of the offsets is about 0, and they are large now: leave it out.
    model = replace(problem.model, offset_sigma_angstrom=1e4)
    _, again = run(replace(shifted, model=model), sampling(order=1))
    assert (again.offsets_px - results.offsets_px - last).abs().median() < 0.26
    angle = angular_distance_deg(
        euler_to_matrix(again.angles_deg), euler_to_matrix(results.angles_deg), SymmetryGroup.of("C1")
    )
    assert np.median(angle) < 1e-3
