"""Simulated half-maps against closed forms: resolution, noise, anisotropy, blur."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from blushcore.protocol import BlushError
from blushcore.shells import fsc, power_spectrum, resolution
from blushcore.simulation import (
    PreferredView,
    ReconstructionStatistics,
    draw_statistics,
    electron_density,
    in_solvent,
    particle_mask,
    random_rotation,
    read_structure,
    simulate_half_maps,
)
from blushcore.simulation.half_maps import coverage_of_directions
from synthetic_models import write_bundle

BOX, VOXEL_SIZE = 48, 1.5


@pytest.fixture(scope="module")
def particle(tmp_path_factory) -> tuple[torch.Tensor, torch.Tensor]:
    """A small protein's density in solvent, and its mask."""
    model = read_structure(write_bundle(tmp_path_factory.mktemp("model") / "bundle.pdb"))
    density = electron_density(model, BOX, VOXEL_SIZE)
    return in_solvent(density, VOXEL_SIZE), particle_mask(density, VOXEL_SIZE)


def simulate(particle, statistics, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return simulate_half_maps(*particle, VOXEL_SIZE, statistics, generator)


@pytest.mark.parametrize("wanted", [4.5, 6.0, 9.0])
@pytest.mark.parametrize("views", [(), (PreferredView((0, 0, 1), 10, 10),)], ids=["even", "preferred"])
def test_the_masked_fsc_is_a_seventh_at_the_resolution_asked_for(particle, wanted, views):
    crossings = []
    for seed in range(6):
        halves = simulate(particle, ReconstructionStatistics(wanted, views=views), seed)
        curve = fsc(halves.half1 * particle[1], halves.half2 * particle[1])
        found = resolution(curve, BOX * VOXEL_SIZE, 1 / 7)
        crossings.append(BOX * VOXEL_SIZE / found.interpolated_angstrom)
    # Single seeds scatter by about a shell: near the crossing the curve of so small a particle is flat.
    assert np.mean(crossings) == pytest.approx(BOX * VOXEL_SIZE / wanted, abs=1.5)


def test_a_seed_gives_the_same_maps_again_and_another_does_not(particle):
    statistics = ReconstructionStatistics(6.0, flexibility=2.0, angular_error=2.0)
    first, again, other = (simulate(particle, statistics, seed) for seed in (3, 3, 4))
    assert torch.equal(first.half1, again.half1)
    assert torch.equal(first.half2, again.half2)
    assert not torch.equal(first.half1, other.half1)


def test_the_halves_share_the_signal_and_nothing_else(particle):
    halves = simulate(particle, ReconstructionStatistics(6.0))
    noise1, noise2 = halves.half1 - halves.signal, halves.half2 - halves.signal
    curve = fsc(noise1, noise2)[3:]
    counts = 2 * math.pi * np.arange(3, len(curve) + 3) ** 2  # independent components a shell
    assert np.abs(curve * np.sqrt(counts)).max() < 4.5
    assert abs(float((curve * np.sqrt(counts)).mean())) < 4 / math.sqrt(len(curve))
    assert abs(float(fsc(noise1, halves.signal)[8:].mean())) < 0.1
    assert float(noise1.std() / noise2.std()) == pytest.approx(1, abs=0.03)


def test_the_noise_has_the_spectrum_of_a_reconstruction(particle):
    statistics = ReconstructionStatistics(6.0, defocus=(9000.0, 18000.0), voltage=200.0, noise_colour=3.0)
    power = np.mean(
        [
            power_spectrum(halves.half1 - halves.signal)
            for halves in (simulate(particle, statistics, seed) for seed in range(4))
        ],
        axis=0,
    )
    # σ²(k)/W(k): noise falling to white, over the mean CTF² thinned out as 1/|k| beyond 1/100 Å.
    fine = np.arange(1, 24 * 40 + 20) / (40 * BOX * VOXEL_SIZE)
    wavelength = 12.2643247 / math.sqrt(200e3 + 0.978466e-6 * 200e3**2)
    defoci = np.linspace(9000, 18000, 200)[:, None]
    phase = math.pi * wavelength * defoci * fine**2 - math.pi / 2 * 2.7e7 * wavelength**3 * fine**4
    ctf = np.sin(phase + math.asin(0.1))
    expected = (1 + 3 * np.exp(-((fine / 0.03) ** 2))) * np.maximum(fine / 0.01, 1) / (ctf**2).mean(0)
    shells = np.array([expected[40 * s - 21 : 40 * s + 19].mean() for s in range(1, 25)])
    ratio = power[4:24] / shells[3:23]
    assert np.abs(ratio / np.median(ratio) - 1).max() < 0.12


def test_the_coverage_is_the_mean_over_great_circles_and_one_on_average():
    axis = np.array([0.6, 0.0, 0.8])
    views = (PreferredView((0.6, 0.0, 0.8), 8.0, 3.0),)
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(400, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    x, y, z = torch.from_numpy(directions).T
    found = coverage_of_directions((x, y, z), views).numpy()

    angles = np.linspace(0, 2 * np.pi, 720, endpoint=False)
    watson = []
    for direction in directions:
        first = np.cross(direction, rng.normal(size=3))
        first /= np.linalg.norm(first)
        circle = np.cos(angles)[:, None] * first + np.sin(angles)[:, None] * np.cross(direction, first)
        watson.append(np.exp(8.0 * ((circle @ axis) ** 2 - 1)).mean())
    cosine = np.linspace(-1, 1, 20001)  # the mean of a Watson density over the sphere
    mean = np.trapezoid(np.exp(8.0 * (cosine**2 - 1)), cosine) / 2
    assert np.allclose(found, (1 + 3 * np.array(watson) / mean) / 4, rtol=2e-3)
    tilts = torch.linspace(-1, 1, 4001, dtype=torch.float64)
    on_a_meridian = ((1 - tilts**2).sqrt(), torch.zeros_like(tilts), tilts)
    one_view = (PreferredView((0.0, 0.0, 1.0), 20.0, 10.0),)
    even = torch.trapezoid(coverage_of_directions(on_a_meridian, one_view), tilts) / 2
    assert float(even) == pytest.approx(1, rel=1e-3)


def test_directions_that_are_seldom_seen_are_noisier_as_their_coverage_says(particle):
    views = (PreferredView((0.0, 0.0, 1.0), 10.0, 20.0),)
    power = 0.0
    for seed in range(3):
        halves = simulate(particle, ReconstructionStatistics(6.0, views=views), seed)
        noise = (halves.half1 - halves.signal).numpy()
        power = power + np.abs(np.fft.fftn(noise)) ** 2
    k = np.fft.fftfreq(BOX, 1 / BOX)
    kz, ky, kx = np.meshgrid(k, k, k, indexing="ij")
    length = np.sqrt(kx**2 + ky**2 + kz**2)
    shell = (length > 12) & (length < 20)
    along, across = shell & (np.abs(kz) > 0.95 * length), shell & (np.abs(kz) < 0.1 * length)
    grid = torch.tensor([[0.0, 1.0], [0.0, 0.0], [1.0, 0.0]], dtype=torch.float64)
    coverage = coverage_of_directions((grid[0], grid[1], grid[2]), views)
    # Within 18° of the axis the coverage is a little higher than on it.
    ratio = float(coverage[1] / coverage[0])
    assert 0.75 * ratio < power[along].mean() / power[across].mean() < 1.05 * ratio


@pytest.mark.parametrize("distance", [0, 10, 20])
def test_orientation_errors_blur_with_the_distance_from_the_centre(distance):
    """The variance of a blob at radius r grows by ⅔(rσ)² along each axis."""
    n, voxel_size, degrees = 64, 1.5, 5.0
    z, y, x = torch.meshgrid(*(3 * [(torch.arange(n) - n // 2).double()]), indexing="ij")
    variance = 3.0  # voxels²
    blob = torch.exp(-((x - distance) ** 2 + y**2 + z**2) / (2 * variance))
    statistics = ReconstructionStatistics(6.0, b_factor=0.0, angular_error=degrees)
    generator = torch.Generator().manual_seed(0)
    halves = simulate_half_maps(blob.float(), torch.ones(n, n, n), voxel_size, statistics, generator)
    signal = halves.signal.double()
    found = float((signal * (y**2 + z**2)).sum() / signal.sum()) / 2
    mean_square_radius = distance**2 + 3 * variance  # the blob is no point
    expected = variance + 2 / 3 * mean_square_radius * math.radians(degrees) ** 2
    # Mixing few blurred copies voxel by voxel widens the tails; the growth to tell apart is 0, 0.6, 2.1.
    assert found == pytest.approx(expected, abs=0.25)


def test_flexibility_blurs_some_places_and_not_others(particle):
    stiff = simulate(particle, ReconstructionStatistics(6.0, b_factor=0.0))
    soft = simulate(particle, ReconstructionStatistics(6.0, b_factor=0.0, flexibility=3.0))
    change = (stiff.signal - soft.signal).abs()[particle[1] > 0.9] / stiff.signal.std()
    assert float(change.quantile(0.05)) < 0.05
    assert float(change.quantile(0.95)) > 0.2


def test_a_larger_b_factor_damps_as_its_formula_says(particle):
    low, high = (simulate(particle, ReconstructionStatistics(6.0, b_factor=b)).signal for b in (20.0, 120.0))
    s = np.arange(1, BOX // 2)
    found = (power_spectrum(high) / power_spectrum(low))[1:-1]
    expected = np.exp(-100 / 2 * (s / (BOX * VOXEL_SIZE)) ** 2)
    assert np.allclose(found, expected, rtol=0.15)


def test_a_resolution_beyond_nyquist_is_refused(particle):
    with pytest.raises(BlushError, match="needs voxels of at most 1 Å"):
        simulate(particle, ReconstructionStatistics(2.0))


def test_drawn_statistics_are_plausible_and_the_seed_s():
    drawn = [draw_statistics(5.0, np.random.default_rng(seed)) for seed in range(200)]
    assert drawn[7] == draw_statistics(5.0, np.random.default_rng(7))
    assert all(0 <= each.b_factor <= 600 and 0 <= each.angular_error <= 2.5 for each in drawn)
    assert 0.4 < np.mean([len(each.views) > 0 for each in drawn]) < 0.6
    lengths = [np.linalg.norm(view.axis) for each in drawn for view in each.views]
    assert np.allclose(lengths, 1)
    assert not any(draw_statistics(5.0, np.random.default_rng(s), anisotropy=0).views for s in range(50))
    assert np.median(
        [draw_statistics(8.0, np.random.default_rng(s)).b_factor for s in range(99)]
    ) > 1.5 * np.median([each.b_factor for each in drawn])
    assert replace(drawn[0], resolution=6.0).resolution == 6.0


def test_random_rotations_are_rotations_and_uniform():
    rng = np.random.default_rng(0)
    drawn = np.array([random_rotation(rng) for _ in range(4000)])
    assert np.allclose(drawn @ drawn.transpose(0, 2, 1), np.eye(3), atol=1e-12)
    assert np.allclose(np.linalg.det(drawn), 1)
    assert np.abs(drawn.mean(0)).max() < 4 / math.sqrt(3 * 4000)
    assert np.abs((drawn**2).mean(0) - 1 / 3).max() < 0.03
    # The rotation angle of a uniform rotation has density (1 − cos ω)/π: mean π/2 + 2/π.
    angle = np.arccos(np.clip((np.trace(drawn, axis1=1, axis2=2) - 1) / 2, -1, 1))
    assert angle.mean() == pytest.approx(math.pi / 2 + 2 / math.pi, abs=0.04)


def test_a_share_of_the_drawn_statistics_is_of_few_particles():
    drawn = [draw_statistics(6.0, np.random.default_rng(seed), few_particles=0.4) for seed in range(200)]
    few = [one for one in drawn if one.particles is not None]
    assert 50 < len(few) < 110
    assert all(300 <= one.particles <= 10_000 and 0 <= one.offset_error <= 0.9 for one in few)
    plain = draw_statistics(6.0, np.random.default_rng(3))
    assert replace(drawn[3], particles=None, offset_error=0.0) == plain  # what else is drawn stays the same
