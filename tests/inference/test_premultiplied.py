"""Images that were multiplied by their CTF say what they said before, to rounding."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from inference_problem import BOX, PIXEL_SIZE, Problem, make_problem

from blushcore.inference import NoiseEstimate, Sampling, circular_mask, expectation
from blushcore.inference.noise import noise_images
from blushcore.optics import ctf
from blushcore.poses import OffsetGrid, OrientationGrid, SymmetryGroup
from blushcore.shells import PlaneComponents, images_from, transform_images

PLANE = PlaneComponents.of(BOX)
UNMASKED = 10 * BOX * PIXEL_SIZE
"""A diameter beyond the corners: a mask and a product with the CTF do not commute."""


def plan(size: int = 20, **changes) -> Sampling:
    grid = OrientationGrid(0, SymmetryGroup.of("C1"), 0.2)
    return Sampling(grid, OffsetGrid(2.0, 1.0, 0.3), size, size, **changes)


def contrasts(problem: Problem) -> torch.Tensor:
    return ctf(problem.particles.optics[0], problem.particles.ctf, PLANE.kx, PLANE.ky)


def premultiplied(problem: Problem, groups: tuple[bool, ...] = (True,)) -> Problem:
    """The same problem, the images of some groups multiplied by their CTF."""
    optics = [
        replace(group, ctf_premultiplied=flag)
        for group, flag in zip(problem.particles.optics, groups, strict=True)
    ]
    changed = torch.tensor(groups)[problem.particles.optics_index]
    # The constant and the Nyquist lines, which are never looked at, are lost on the way.
    images = images_from(transform_images(problem.images, PLANE) * contrasts(problem), PLANE)
    images = torch.where(changed[:, None, None], images, problem.images)
    return replace(problem, images=images, particles=replace(problem.particles, optics=optics))


def run(problem: Problem, sampling: Sampling):
    model = replace(problem.model, diameter_angstrom=UNMASKED)
    steps = expectation(problem.reference, PIXEL_SIZE, problem.particles, problem, sampling, model)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


@pytest.mark.parametrize("correlate", [False, True])
@pytest.mark.parametrize("groups", [(True,), (False, True)])
def test_posterior_and_sums_are_those_of_the_images_before(groups, correlate):
    problem = make_problem(noise=5.0, groups=len(groups))
    sampling = plan(first_iteration_cc=correlate)
    sums, results = run(problem, sampling)
    others, other = run(premultiplied(problem, groups), sampling)
    assert torch.equal(other.significant, results.significant)
    torch.testing.assert_close(other.p_max, results.p_max, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(other.log_likelihood, results.log_likelihood, rtol=1e-4, atol=1e-3)
    assert torch.equal(other.angles_deg, results.angles_deg)
    assert torch.equal(other.offsets_px, results.offsets_px)
    for name in ("data", "weight"):
        one, two = getattr(sums.slices, name), getattr(others.slices, name)
        assert (one - two).abs().max() < 1e-5 * one.abs().max()
    for name in ("scale_cross", "scale_power"):
        torch.testing.assert_close(getattr(others, name), getattr(sums, name), rtol=1e-3, atol=1e-9)


def test_the_noise_is_that_before_the_product():
    """Noise of power 2σ² in each component against an empty reference: σ² comes out, and a norm of √(4σ²P)."""
    sigma, problem = 0.03, make_problem(count=4)
    phases = torch.rand(4, PLANE.count, generator=torch.Generator().manual_seed(2)) * 2 * np.pi
    images = images_from(sigma * 2**0.5 * torch.polar(torch.ones_like(phases), phases), PLANE)
    variance = torch.full((BOX // 2 + 1,), sigma**2, dtype=torch.float64)
    model = replace(problem.model, noise_variance=[variance])
    problem = replace(problem, reference=torch.zeros_like(problem.reference), images=images, model=model)
    for each in (problem, premultiplied(problem)):
        sums, results = run(each, plan(adaptive_fraction=1.0))
        (found,) = sums.noise_variance(problem.model.noise_variance)
        assert found[1:-1].numpy() == pytest.approx(sigma**2, rel=1e-4)
        norm = (4 * sigma**2 * PLANE.shell_counts()[: BOX // 2 + 1].sum()) ** 0.5
        assert results.residual.numpy() == pytest.approx(float(norm), rel=1e-2)


def test_the_first_estimate_is_that_before_the_product():
    """Images whose power is a function of the shell alone, each beside its negative: no mean is left."""
    problem = make_problem(count=8)
    contrast = contrasts(problem)
    power = 1.0 / (1 + PLANE.shell.double())
    phases = torch.rand(8, PLANE.count, generator=torch.Generator().manual_seed(1)) * 2 * np.pi
    components = (2 * power).sqrt() * torch.polar(torch.ones_like(phases), phases)
    mask = circular_mask(BOX, 100.0)
    found = []
    for multiplied_by in (None, contrast):
        estimate = NoiseEstimate(BOX, mask)
        given = components if multiplied_by is None else components * multiplied_by
        for sign in (1, -1):
            estimate.add(images_from((sign * given).to(torch.complex64), PLANE), multiplied_by)
        found.append(estimate.variance())
    expected = 1.0 / (1 + torch.arange(BOX // 2 + 1, dtype=torch.float64))
    for variance in found:
        torch.testing.assert_close(variance[1:-1], expected[1:-1], rtol=1e-4, atol=0)
    torch.testing.assert_close(found[1], found[0], rtol=1e-4, atol=0)


def test_noise_to_fill_images_with_was_multiplied_too():
    problem = make_problem()
    contrast = contrasts(problem)
    variance = torch.linspace(1, 0.1, BOX // 2 + 1, dtype=torch.float64)
    plain = transform_images(noise_images(variance, BOX, np.arange(6), 3), PLANE)
    both = transform_images(noise_images(variance, BOX, np.arange(6), 3, contrast), PLANE)
    torch.testing.assert_close(both, plain * contrast, rtol=1e-4, atol=1e-5)
