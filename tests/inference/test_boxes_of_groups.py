"""Optics groups whose images have another box or pixel size than the reference."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from inference_problem import BOX, PIXEL_SIZE, Problem, make_problem
from torch import Tensor

from blushcore.inference import Sampling, estimate_accuracy, expectation
from blushcore.poses import OffsetGrid, OrientationGrid, SymmetryGroup, angular_distance_deg, euler_to_matrix
from blushcore.shells import PlaneComponents, images_from, transform_images

SIZE, OTHER_BOX = 20, 32


@dataclass(frozen=True)
class TwoBoxes:
    """Images of one problem, those of the second optics group on another grid."""

    images: Tensor
    others: Tensor
    group: Tensor

    def batches(self, indices, batch_size):
        for first in range(0, len(indices), batch_size):
            rows = torch.from_numpy(indices[first : first + batch_size])
            yield rows.numpy(), (self.others if self.group[rows[0]] else self.images)[rows]


def finer(images: Tensor) -> Tensor:
    """The same images in a larger box of smaller pixels."""
    plane, larger = PlaneComponents.of(BOX, BOX - 2), PlaneComponents.of(OTHER_BOX, BOX - 2)
    assert torch.equal(plane.kx, larger.kx)
    return images_from(transform_images(images, plane), larger)


def wider(images: Tensor) -> Tensor:
    """The same images with a margin."""
    margin = (OTHER_BOX - BOX) // 2
    return torch.nn.functional.pad(images, (margin,) * 4)


def with_other_box(problem: Problem, others: Tensor, pixel_size: float, variance: float):
    """The problem, every second image of it on another grid; `variance` is that of the noise there."""
    first, second = problem.particles.optics
    optics = [first, replace(second, box=OTHER_BOX, pixel_size_angstrom=pixel_size)]
    own = problem.model.noise_variance[0]
    noise = [own, torch.full((OTHER_BOX // 2 + 1,), float(own[0]) * variance, dtype=torch.float64)]
    source = TwoBoxes(problem.images, others, problem.particles.optics_index)
    return replace(problem.particles, optics=optics), replace(problem.model, noise_variance=noise), source


def run(problem, particles, model, source):
    grid = OrientationGrid(1, SymmetryGroup.of("C1"), 0.2)
    plan = Sampling(grid, OffsetGrid(2.0, 1.0, 0.3), SIZE, SIZE)
    steps = expectation(problem.reference, PIXEL_SIZE, particles, source, plan, model)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


@pytest.mark.parametrize(
    ("resampled", "pixel_size", "variance"),
    [(finer, PIXEL_SIZE * BOX / OTHER_BOX, 1.0), (wider, PIXEL_SIZE, (BOX / OTHER_BOX) ** 4)],
    ids=["finer pixels", "wider box"],
)
def test_images_of_another_grid_say_the_same(resampled, pixel_size, variance):
    problem = make_problem(noise=0.5, groups=2)
    whole, expected = run(problem, problem.particles, problem.model, problem)
    changed = with_other_box(problem, resampled(problem.images), pixel_size, variance)
    sums, found = run(problem, *changed)
    angle = angular_distance_deg(euler_to_matrix(found.angles_deg), euler_to_matrix(expected.angles_deg))
    same = angle < 1e-3
    assert same.sum() >= 5  # of 6: a margin makes all components correlated, which may tip a close call
    scale = torch.tensor([1.0, PIXEL_SIZE / pixel_size])[problem.particles.optics_index]
    assert (found.offsets_px / scale[:, None] - expected.offsets_px)[same].abs().max() < 1e-6
    if resampled is finer:  # a margin makes for other components, and more of them
        one, two = (both.slices.data.flatten() for both in (whole, sums))
        assert torch.vdot(one, two).real > 0.99 * one.norm() * two.norm()
    assert len(sums.noise_power[1]) == OTHER_BOX // 2 + 1
    accuracies = [
        estimate_accuracy(problem.reference, PIXEL_SIZE, SIZE, particles, model)
        for particles, model in ((problem.particles, problem.model), changed[:2])
    ]
    np.testing.assert_allclose(accuracies[1].offset_angstrom, accuracies[0].offset_angstrom, rtol=0.3)
