"""Images as the comparison takes them, the first noise spectrum, and how finely poses can be told."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from inference_problem import BOX, PIXEL_SIZE, make_problem

from blushcore.inference import NoiseEstimate, circular_mask, estimate_accuracy
from blushcore.inference.images import apply_mask, prepare_images, shift_whole_pixels
from blushcore.inference.noise import noise_images
from blushcore.protocol import BlushError
from blushcore.shells import PlaneComponents, transform_images


def test_whole_pixel_shifts_bring_in_zeros():
    images = torch.arange(2 * 25, dtype=torch.float32).view(2, 5, 5) + 1
    moved = shift_whole_pixels(images, torch.tensor([[2, -1], [0, 0]]))
    assert torch.equal(moved[1], images[1])
    assert torch.equal(moved[0, :4, 2:], images[0, 1:, :3])
    assert moved[0, 4].abs().sum() == 0
    assert moved[0, :, :2].abs().sum() == 0


def test_the_mask_is_a_disc_with_an_edge_outwards():
    mask = circular_mask(64, 20.0, 5.0)
    radius = torch.hypot(*torch.meshgrid(torch.arange(64.0) - 32, torch.arange(64.0) - 32, indexing="ij"))
    assert (mask[radius <= 20] == 1).all()
    assert (mask[radius >= 25] == 0).all()
    assert mask[32, 32 + 22] == pytest.approx(0.5 + 0.5 * np.cos(np.pi * 2 / 5))


def test_what_is_masked_away_gets_its_own_mean():
    mask = circular_mask(32, 8.0)
    image = 3.0 + torch.randn(1, 32, 32)
    masked = apply_mask(image, mask)
    outside = 1 - mask
    expected = (image[0] * outside).sum() / outside.sum()
    assert masked[0, 0, 0] == pytest.approx(float(expected), rel=1e-5)
    assert torch.equal(masked[0][mask == 1], image[0][mask == 1])
    filled = apply_mask(image, mask, torch.full((1, 32, 32), 7.0))
    assert filled[0, 0, 0] == 7


def test_prepared_images_are_masked_and_unmasked_transforms():
    problem = make_problem()
    plane = PlaneComponents.of(BOX, 12)
    mask = circular_mask(BOX, 6.0)
    shifts = torch.zeros(6, 2, dtype=torch.int64)
    factors = torch.linspace(0.5, 2, 6)
    prepared = prepare_images(problem.images, plane, shifts_px=shifts, factors=factors, mask=mask)
    scaled = problem.images * factors[:, None, None]
    torch.testing.assert_close(prepared.unmasked, transform_images(scaled, plane))
    torch.testing.assert_close(prepared.masked, transform_images(apply_mask(scaled, mask), plane))
    everything = PlaneComponents.of(BOX)
    power = transform_images(apply_mask(scaled, mask), everything).abs().square()
    torch.testing.assert_close(prepared.power, everything.shell_sums(power)[:, : BOX // 2 + 1])
    turned = torch.polar(torch.ones(everything.count), torch.linspace(0, 3, everything.count))
    with_phases = prepare_images(
        problem.images, plane, shifts_px=shifts, factors=factors, mask=mask, phases=turned
    )
    torch.testing.assert_close(with_phases.masked, prepared.masked * turned[: plane.count])
    torch.testing.assert_close(with_phases.unmasked, prepared.unmasked * turned[: plane.count])


def test_the_first_noise_is_that_of_the_images_without_their_mean():
    n = 32
    torch.manual_seed(0)
    mask = circular_mask(n, 100.0)  # nothing masked
    signal = torch.zeros(n, n)
    signal[10:20, 12:22] = 2.0
    estimate = NoiseEstimate(n, mask)
    for _ in range(10):
        estimate.add(signal + 3 * torch.randn(100, n, n))
    expected = 9 / n**2 / 2  # of the real part
    assert estimate.variance()[1:-1].numpy() == pytest.approx(expected, rel=0.15)
    assert estimate.variance().shape == (n // 2 + 1,)


def test_a_shell_without_noise_takes_the_one_before():
    n = 16
    estimate = NoiseEstimate(n, circular_mask(n, 100.0))
    picture = torch.randn(1, n, n, generator=torch.Generator().manual_seed(1))
    estimate.add(picture + 1e-3 * torch.randn(50, n, n, generator=torch.Generator().manual_seed(2)))
    assert (estimate.variance() > 0).all()


def test_a_single_image_is_taken_for_noise():
    n = 24
    picture = torch.randn(1, n, n, generator=torch.Generator().manual_seed(3))
    alone, many = (NoiseEstimate(n, circular_mask(n, 100.0)) for _ in range(2))
    alone.add(picture)
    many.add(torch.randn(200, n, n, generator=torch.Generator().manual_seed(4)))
    ratio = alone.variance()[2:-1] / many.variance()[2:-1]
    assert 0.3 < ratio.min() < ratio.max() < 3  # and not 1e-9, which made one image outweigh all others


def test_images_that_are_all_the_same_tell_no_noise():
    estimate = NoiseEstimate(16, circular_mask(16, 100.0))
    estimate.add(torch.zeros(4, 16, 16))
    with pytest.raises(BlushError, match="all the same"):
        estimate.variance()


def test_noise_images_have_the_spectrum_and_depend_on_row_and_seed_alone():
    n = 32
    variance = torch.linspace(1, 0.1, n // 2 + 1, dtype=torch.float64)
    images = noise_images(variance, n, np.arange(300), seed=5)
    plane = PlaneComponents.of(n)
    power = plane.shell_sums(transform_images(images, plane).abs().square()).mean(
        0
    ) / plane.shell_counts().clamp(min=1)
    assert (power[2:16] / 2).numpy() == pytest.approx(variance[2:16].numpy(), rel=0.15)
    torch.testing.assert_close(noise_images(variance, n, np.array([7]), 5)[0], images[7])
    assert (noise_images(variance, n, np.array([7]), 6)[0] - images[7]).std() > images[7].std()


def test_poses_are_told_more_finely_with_less_noise_and_more_detail():
    found = {}
    for noise in (0.5, 2.0):
        problem = make_problem(count=20, noise=noise)
        for size in (12, 20):
            found[noise, size] = estimate_accuracy(
                problem.reference, PIXEL_SIZE, size, problem.particles, problem.model, seed=1
            )
    assert found[0.5, 20].angle_deg < found[2.0, 20].angle_deg
    assert found[0.5, 20].offset_angstrom < found[2.0, 20].offset_angstrom
    assert found[0.5, 20].angle_deg <= found[0.5, 12].angle_deg
    # Twice the noise makes an offset twice as hard to tell: the likelihood ratio is quadratic in both.
    finer = make_problem(count=20, noise=1.0)
    one = estimate_accuracy(finer.reference, PIXEL_SIZE, 20, finer.particles, finer.model, seed=1)
    assert one.offset_angstrom / found[0.5, 20].offset_angstrom == pytest.approx(2, rel=0.25)


def test_the_accuracy_is_the_same_for_the_same_seed():
    problem = make_problem(count=10)
    one, two = (
        estimate_accuracy(problem.reference, PIXEL_SIZE, 20, problem.particles, problem.model, seed=3)
        for _ in range(2)
    )
    assert one == two
