"""Finitely many particles in the fast route."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from blushcore.simulation import PreferredView, ReconstructionStatistics, simulate_half_maps
from blushcore.simulation.finite_coverage import coverage_by_particles
from blushcore.simulation.half_maps import coverage_of_directions
from blushcore.volumes import soft_sphere

N, VOXEL = 40, 2.0
ONE_VIEW = (PreferredView((0.0, 0.0, 1.0), 8.0, 6.0),)


def wave_vector():
    full, half = torch.fft.fftfreq(N), torch.fft.rfftfreq(N)
    kz, ky, kx = torch.meshgrid(full, full, half, indexing="ij")
    return kx, ky, kz


def coverage(particles, views=(), seed=0):
    return coverage_by_particles(wave_vector(), N, particles, views, np.random.default_rng(seed))


@pytest.fixture(scope="module")
def ring():
    kx, ky, kz = wave_vector()
    radius = torch.sqrt(kx**2 + ky**2 + kz**2)
    return (radius > 0.3) & (radius < 0.5)


def test_few_particles_see_directions_unevenly_as_their_number_says(ring):
    spread = {count: float(coverage(count)[ring].std()) for count in (200, 800, 3200)}
    assert float(coverage(800)[ring].mean()) == pytest.approx(1, abs=0.02)
    assert spread[200] / spread[800] == pytest.approx(2, rel=0.15)
    assert spread[800] / spread[3200] == pytest.approx(2, rel=0.15)
    # N/s planes weighed by a triangle (mean of squares 2/3 of the mean) and by CTF² (3/2): about √(s/N).
    assert spread[800] == pytest.approx(np.sqrt(0.4 * N / 800), rel=0.3)


def test_many_particles_see_what_the_closed_form_says(ring):
    kx, ky, kz = wave_vector()
    radius = torch.sqrt(kx**2 + ky**2 + kz**2).clamp_min(1e-9)
    expected = coverage_of_directions((kx / radius, ky / radius, kz / radius), ONE_VIEW)
    found = coverage(15_000, ONE_VIEW)
    assert float(torch.corrcoef(torch.stack((found[ring], expected[ring])))[0, 1]) > 0.97
    assert float((found[ring] / expected[ring]).mean()) == pytest.approx(1, abs=0.03)


def test_coverage_goes_with_the_direction_along_the_radius():
    found = coverage(300)
    # kx = ky = 0: outwards along z, shells 10 to 19.
    along = found[10:20, 0, 0]
    others = found[15, :, 5:15].flatten()
    assert float(along.std()) < 0.6 * float(others.std())


@pytest.fixture(scope="module")
def particle():
    generator = torch.Generator().manual_seed(0)
    mask = soft_sphere((N,) * 3, 12, 3)
    noise = torch.randn((N,) * 3, generator=generator)
    return mask * torch.nn.functional.avg_pool3d(noise[None, None], 3, 1, 1)[0, 0], mask


def halves(particle, seed=0, **values):
    statistics = ReconstructionStatistics(8.0, **values)
    return simulate_half_maps(*particle, VOXEL, statistics, torch.Generator().manual_seed(seed))


def test_many_particles_are_what_no_number_is(particle):
    plain, many = halves(particle), halves(particle, particles=10**6)
    assert torch.equal(plain.half1, many.half1)


def test_offset_errors_blur_as_a_gaussian(particle):
    exact, off = (halves(particle, offset_error=error, b_factor=0.0).signal for error in (0.0, 1.5))
    ratio = torch.fft.rfftn(off).abs() / torch.fft.rfftn(exact).abs()
    frequency = 8 / (N * VOXEL)
    assert float(ratio[8, 0, 0]) == pytest.approx(np.exp(-2 * (np.pi * 1.5 * frequency) ** 2), rel=0.02)


def test_each_half_has_particles_of_its_own_and_the_same_ones_again(particle):
    made, again = halves(particle, particles=100), halves(particle, particles=100)
    assert torch.equal(made.half1, again.half1)
    # What 100 particles leave out differs: the halves' signals do, and their mean is told.
    assert not torch.equal(made.signal, halves(particle).signal)
