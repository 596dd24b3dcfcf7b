"""What devices without compiled kernels do instead, by plain tensor operations, against the kernels."""

from __future__ import annotations

import pytest
import torch
from inference_problem import PIXEL_SIZE, make_problem

from blushcore.devices import kernel_threads
from blushcore.inference import LocalSearch, Sampling, expectation, fine_kernels, posterior_sums
from blushcore.inference.fine import half_power_on_device
from blushcore.inference.poses_kept import starts
from blushcore.inference.significance import ragged_significant
from blushcore.poses import OffsetGrid, OrientationGrid, SymmetryGroup

SIZE = 20
SEARCHES = {
    "global": (0, {}),
    "local": (2, {"local": LocalSearch(30.0, 30.0)}),
    "correlation": (0, {"first_iteration_cc": True}),
}


@pytest.fixture
def without_kernels(monkeypatch):
    """From here on no device has kernels, as if the processor were a graphics card."""

    def switch() -> None:
        monkeypatch.setattr(kernel_threads, "has_kernels", lambda _device: False)

    return switch


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("search", SEARCHES)
def test_a_whole_e_step_is_the_same_without_kernels(search, without_kernels):
    problem = make_problem(noise=5.0)
    order, options = SEARCHES[search]
    grid = OrientationGrid(order, SymmetryGroup.of("C1"), 0.2)
    plan = Sampling(grid, OffsetGrid(1.0, 1.0, 0.3), SIZE, SIZE, **options)

    def run():
        steps = expectation(problem.reference, PIXEL_SIZE, problem.particles, problem, plan, problem.model)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                return end.value

    sums, results = run()
    without_kernels()
    others, other = run()
    torch.testing.assert_close(other.p_max, results.p_max, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(other.log_likelihood, results.log_likelihood, rtol=1e-5, atol=1e-3)
    assert (other.significant - results.significant).abs().max() <= 1  # one may lie at the edge of a bin
    torch.testing.assert_close(other.angles_deg, results.angles_deg)
    for name in ("data", "weight"):
        one, two = getattr(sums.slices, name), getattr(others.slices, name)
        assert (one - two).abs().max() < 1e-4 * one.abs().max()
    torch.testing.assert_close(others.noise_power[0], sums.noise_power[0], rtol=1e-4, atol=1e-9)


def test_half_the_power_of_slices():
    slices, powers = normal(7, 2 * 30), normal(3, 30, seed=1).abs()
    image_of_row = torch.tensor([0, 0, 2, 1, 1, 2, 0])
    rows, halves = torch.tensor([4, 4, 0, 6, 1, 2, 3]), torch.empty(7)
    fine_kernels.half_power(slices.numpy(), rows.numpy(), image_of_row.numpy(), powers.numpy(), halves.numpy())
    torch.testing.assert_close(half_power_on_device(slices[rows], image_of_row, powers), halves)


@pytest.mark.parametrize("correlate", [False, True])
@pytest.mark.parametrize("components", [30, 1300])  # in one block, and in two
@pytest.mark.parametrize("asked", ["some", "all"])
def test_only_what_is_asked_for_is_compared(components, correlate, asked):
    slices, ramps, image = (normal(n, 2 * components, seed=seed) for seed, n in enumerate((30, 12, 1)))
    rows, offsets = torch.arange(30).flip(0)[:23], torch.tensor([8, 9, 10, 11, 0, 1, 2, 3])
    if asked == "all":
        offsets = offsets[:7]  # of no parents
    width, halves = len(offsets), normal(23, seed=3).abs()
    marks = torch.tensor([[True, False], [False, True], [True, True]])
    # The first row is the second of the image's own: seven children of the first parent are looked at.
    chunks = torch.tensor([[0, 11, 0, 0, width, 0, 1, 0], [11, 23, 0, 0, width, 11 * width, 12, 0]])
    values = torch.full((23, width), torch.nan)
    fine_kernels.compare_rows(
        *(values_in.numpy() for values_in in (slices, rows, halves, chunks, offsets)),
        marks.numpy().ravel() if asked == "some" else torch.empty(0, dtype=torch.bool).numpy(),
        ramps.numpy(),
        image.numpy(),
        correlate,
        values.view(-1).numpy(),
    )
    moved = torch.complex(*ramps.double().chunk(2, 1))[offsets] * torch.complex(*image.double().chunk(2, 1))
    found = slices.double()[rows] @ torch.cat((moved.real, moved.imag), 1).T
    halves = halves.double()[:, None]
    found = found / (2 * halves).sqrt() if correlate else found - halves
    if asked == "some":
        found[~marks[torch.arange(1, 24) // 8].repeat_interleave(4, 1)] = torch.nan
    torch.testing.assert_close(values.double(), found, equal_nan=True, rtol=1e-4, atol=1e-3)


def test_images_may_be_added_a_few_at_a_time(monkeypatch):
    problem = make_problem(noise=5.0)
    grid = OrientationGrid(0, SymmetryGroup.of("C1"), 0.2)
    plan = Sampling(grid, OffsetGrid(1.0, 1.0, 0.3), SIZE, SIZE)

    def run():
        steps = expectation(problem.reference, PIXEL_SIZE, problem.particles, problem, plan, problem.model)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                return end.value[0]

    sums = run()
    monkeypatch.setattr(posterior_sums, "_CROSS_BYTES", 1)
    others = run()
    torch.testing.assert_close(others.slices.data, sums.slices.data)
    torch.testing.assert_close(others.noise_power[0], sums.noise_power[0])


@pytest.mark.parametrize("only_best", [False, True])
def test_lists_of_poses_that_count(only_best, without_kernels):
    values, start = 3 * normal(60), starts(torch.tensor([7, 1, 52]))
    expected = ragged_significant(values, start, 0.99, only_best=only_best)
    without_kernels()
    found = ragged_significant(values, start, 0.99, only_best=only_best)
    assert (found != expected).sum() <= 1  # a weight may lie at the very edge of a bin
    if only_best:
        assert torch.equal(found, expected)


def test_an_image_without_poses_has_none_that_count(without_kernels):
    without_kernels()
    values = torch.tensor([0.0, -50.0])
    found = ragged_significant(values, torch.tensor([0, 0, 2]), 0.999, only_best=False)
    assert found.tolist() == [True, False]
