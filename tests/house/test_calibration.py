"""The figures that two routes to half-maps are compared by, and the command that compares them."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from blushcore.simulation import ReconstructionStatistics, simulate_half_maps
from blushcore.volumes import soft_sphere
from synthetic_models import write_model_table

N, VOXEL = 40, 2.0
BY_CHANCE = 0.08
"""Streaks of a map this small: 70 components a direction have means that scatter by 0.12, known to 6 %."""
MODULES = ("half_map_figures", "quality_cases", "calibration")


@pytest.fixture(scope="module")
def bench(repository: Path):
    """The benchmark's modules by name."""
    folder = str(repository / "benchmarks")
    sys.path.insert(0, folder)
    try:
        yield SimpleNamespace(**{name: importlib.import_module(name) for name in MODULES})
    finally:
        sys.path.remove(folder)
        for name in MODULES:
            sys.modules.pop(name, None)


def wave_vector():
    full, half = torch.fft.fftfreq(N), torch.fft.rfftfreq(N)
    kz, ky, kx = torch.meshgrid(full, full, half, indexing="ij")
    return kx, ky, kz


@pytest.fixture(scope="module")
def particle():
    generator = torch.Generator().manual_seed(0)
    mask = soft_sphere((N,) * 3, 12, 3)
    noise = torch.randn((N,) * 3, generator=generator)
    return mask * torch.nn.functional.avg_pool3d(noise[None, None], 3, 1, 1)[0, 0], mask


def test_few_particles_leave_speckle_and_streaks(bench, particle):
    measure, figures = bench.half_map_figures.half_map_figures, {}
    for count in (None, 5000, 100):
        statistics = ReconstructionStatistics(8.0, particles=count)
        made = simulate_half_maps(*particle, VOXEL, statistics, torch.Generator().manual_seed(0))
        figures[count] = measure(made.half1, made.half2, particle[1], (0.0, 0.0, 1.0))
    assert np.abs(figures[None].speckle[8:18] - 1).mean() < 0.05
    assert figures[None].streaks < BY_CHANCE
    assert figures[100].speckle[8:18].mean() > 1.08
    assert figures[5000].streaks < BY_CHANCE < figures[100].streaks


def test_streaks_are_what_differs_from_direction_to_direction(bench):
    generator = torch.Generator().manual_seed(1)
    noise = torch.fft.rfftn(torch.randn((N,) * 3, generator=generator))
    kx, ky, kz = wave_vector()
    angle = torch.atan2(ky, kx)
    even = torch.fft.irfftn(noise, s=(N,) * 3)
    # Power from 0.5 to 1.5 times the mean, once around.
    uneven = torch.fft.irfftn(noise * torch.sqrt(1 + 0.5 * torch.sin(2 * angle)), s=(N,) * 3)
    coloured = torch.fft.irfftn(noise * torch.exp(-3 * (kx**2 + ky**2 + kz**2)), s=(N,) * 3)
    streaks = bench.half_map_figures.streaks
    assert streaks(even) < BY_CHANCE
    assert streaks(coloured) < BY_CHANCE
    assert streaks(uneven) == pytest.approx(0.5 / np.sqrt(2), rel=0.2)


def test_cones_tell_directions_apart(bench):
    generator = torch.Generator().manual_seed(2)
    signal = torch.randn((N,) * 3, generator=generator)
    kx, ky, kz = wave_vector()
    radius = torch.sqrt(kx**2 + ky**2 + kz**2).clamp_min(1e-9)
    noisy = [
        signal
        + torch.fft.irfftn(
            torch.fft.rfftn(torch.randn((N,) * 3, generator=generator)) * 3 * (kz.abs() / radius > 0.8),
            s=(N,) * 3,
        )
        for _ in range(2)
    ]
    along, across = bench.half_map_figures.cone_fsc(noisy[0], noisy[1], (0.0, 0.0, 1.0))
    assert along[5:].mean() < 0.25
    assert across[3:].min() > 0.99
    across_x, _ = bench.half_map_figures.cone_fsc(noisy[0], noisy[1], (1.0, 0.0, 0.0))
    assert across_x[3:].min() > 0.99


def test_the_command_compares_routes_and_keeps_what_it_measured(bench, tmp_path, monkeypatch, capsys):
    table = write_model_table(tmp_path, test=1)
    words = ["--table", str(table), "--models", "b000", "--resolutions", "8", "--particles", "60"]
    words += ["--work", str(tmp_path / "work"), "-o", str(tmp_path / "images")]
    assert bench.calibration.main(words) == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| b000")]
    assert len(rows) == 2 * 3
    by_images = [row for row in rows if "by way of images" in row]
    assert all("1.00 to 1.00" in row for row in by_images)
    pictures = sorted(path.name for path in (tmp_path / "images").iterdir())
    assert pictures == ["calibration-directions.png", "calibration-spectra.png"]
    monkeypatch.setattr(bench.calibration, "measure", lambda *_: pytest.fail("this was measured before"))
    assert bench.calibration.main(words) == 0
