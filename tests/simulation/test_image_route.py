"""Half-maps by way of images: resolution, what errors of poses do, and the acquisitions that are drawn from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from blushcore.shells import fsc
from blushcore.simulation import (
    Acquisition,
    ImageStatistics,
    acquisitions,
    draw_image_statistics,
    half_maps_from_images,
)
from blushcore.volumes import soft_sphere

N, VOXEL = 32, 3.0
MASK = soft_sphere((N,) * 3, 9, 3)
UNEVEN = max(
    acquisitions(), key=lambda entry: 0 if entry.direction_shares is None else entry.direction_shares.max()
)


@pytest.fixture(scope="module")
def density() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    k = torch.fft.fftfreq(N)
    squared = k[:, None, None] ** 2 + k[:, None] ** 2 + k[: N // 2 + 1] ** 2
    spectrum = torch.fft.rfftn(torch.randn((N,) * 3, generator=generator)) * torch.exp(-12 * squared)
    return torch.fft.irfftn(spectrum, s=(N,) * 3) * MASK


def made(density, seed: int = 0, acquisition: Acquisition = UNEVEN, **changes):
    values = {"resolution": 12.0, "particles": 300, "angular_error_deg": 2.0, "b_factor": 100.0} | changes
    statistics = ImageStatistics(**values)
    return half_maps_from_images(density, MASK, VOXEL, acquisition, statistics, np.random.default_rng(seed))


@pytest.mark.parametrize("wanted", [9.0, 14.0])
def test_the_halves_agree_up_to_the_resolution_wanted(density, wanted):
    halves = made(density, resolution=wanted)
    curve = fsc(halves.half1 * MASK, halves.half2 * MASK, counting="sphere")
    shell = round(N * VOXEL / wanted)
    assert curve[shell - 1 : shell + 2].mean() == pytest.approx(1 / 7, abs=0.06)
    assert curve[1 : shell - 2].min() > 0.25


def test_the_signal_is_what_the_halves_share(density):
    halves = made(density)
    noise1, noise2 = halves.half1 - halves.signal, halves.half2 - halves.signal
    alike = float((noise1 * noise2).sum() / (noise1.norm() * noise2.norm()))
    assert abs(alike) < 0.1
    with_truth = fsc(halves.signal * MASK, density * MASK)[1:6]
    assert with_truth.min() > 0.95


def test_errors_of_poses_cost_fine_detail(density):
    exact, wrong = (
        made(density, angular_error_deg=degrees, offset_error_angstrom=0.0, wrong_share=share).signal
        for degrees, share in ((0.0, 0.0), (12.0, 0.2))
    )
    power = [torch.fft.rfftn(volume).abs().square() for volume in (exact, wrong)]
    fine = (slice(None), slice(None), slice(6, 10))
    assert float(power[1][fine].sum()) < 0.7 * float(power[0][fine].sum())


def test_flexible_parts_are_blurred(density):
    still, moving = (made(density, flexibility_angstrom=motion).signal for motion in (0.0, 8.0))
    agreement = [fsc(volume * MASK, density * MASK)[8:11].mean() for volume in (still, moving)]
    assert agreement[1] < agreement[0] - 0.02


def test_the_same_seed_makes_the_same_maps(density):
    one, again, other = (made(density, seed).half1 for seed in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.allclose(one, other)


def test_acquisitions_are_drawn_as_the_tables_have_them():
    generator = np.random.default_rng(0)
    for entry in acquisitions():
        u, v, angle = entry.draw_defocus(4000, generator).T
        assert np.median((u + v) / 2) == pytest.approx(np.median(entry.defocus_angstrom), rel=0.1)
        assert np.all(u >= v)
        assert np.all((angle >= 0) & (angle < 180))
        assert entry.voltage_kilovolts in (200.0, 300.0)


def test_views_are_as_uneven_as_the_table_s_and_lie_elsewhere_each_time():
    def inertia(acquisition, seed):
        rot, tilt, _ = np.radians(acquisition.draw_angles(6000, np.random.default_rng(seed))).T
        axes = np.stack((np.sin(tilt) * np.cos(rot), np.sin(tilt) * np.sin(rot), np.cos(tilt)))
        return axes @ axes.T / axes.shape[1]

    even = replace(UNEVEN, direction_shares=None)
    spread = np.ptp(np.linalg.eigvalsh(inertia(even, 0)))
    first, second = (inertia(UNEVEN, seed) for seed in (1, 2))
    assert spread < 0.05 < np.ptp(np.linalg.eigvalsh(first))
    assert np.linalg.eigvalsh(first) == pytest.approx(np.linalg.eigvalsh(second), abs=0.03)
    assert np.abs(first - second).max() > 0.01


def test_drawn_statistics_follow_the_resolution():
    fine, coarse = (
        [draw_image_statistics(angstrom, np.random.default_rng(seed)) for seed in range(40)]
        for angstrom in (4.0, 10.0)
    )
    assert np.mean([s.b_factor for s in coarse]) > 2 * np.mean([s.b_factor for s in fine])
    assert all(500 <= s.particles <= 4000 for s in fine)
    assert {s.wrong_share > 0 for s in fine} == {True, False}
