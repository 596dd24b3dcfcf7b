"""Filters do to plane waves what their definition says, on boxes and voxels of any shape."""

from __future__ import annotations

import math
import subprocess

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from blushcore.volumes import (
    Volume,
    gaussian_lowpass,
    highpass,
    lowpass,
    lowpass_at_shell,
    read_map,
    write_map,
)

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)]


def plane_wave(shape, index, phase=0.3):
    """cos(2π k·r/n) with whole numbers k = `index` (z, y, x)."""
    grids = torch.meshgrid(*[torch.arange(n, dtype=torch.float64) / n for n in shape], indexing="ij")
    return torch.cos(2 * math.pi * sum(k * g for k, g in zip(index, grids, strict=True)) + phase)


def gain(filtered, wave):
    """By how much a filter multiplied a wave; fails if it did anything else to it."""
    factor = float((filtered * wave).sum() / (wave**2).sum())
    torch.testing.assert_close(filtered, factor * wave, rtol=0, atol=1e-10)
    return factor


CASES = st.fixed_dictionaries(
    {
        "shape": st.tuples(*[st.integers(8, 15)] * 3),
        "voxel_size": st.tuples(*[st.floats(0.5, 4)] * 3),
        "index": st.tuples(*[st.integers(-3, 3)] * 3),
        "resolution": st.floats(2, 40),
    }
)


def frequency(shape, voxel_size, index):
    return math.sqrt(sum((k / (n * a)) ** 2 for k, n, a in zip(index, shape, voxel_size, strict=True)))


@given(case=CASES, edge=st.floats(0, 6))
def test_lowpass_and_highpass(case, edge):
    shape, sizes = case["shape"], case["voxel_size"]
    wave = plane_wave(shape, case["index"])
    width = edge / max(n * a for n, a in zip(shape, sizes, strict=True))
    below = 1 / case["resolution"] - frequency(shape, sizes, case["index"])
    if abs(below) < 1e-9:
        return  # on the step of a hard edge
    expected = (
        0.5 + 0.5 * math.sin(math.pi * min(max(below / width, -0.5), 0.5))
        if width > 1e-12
        else float(below > 0)
    )
    low = gain(lowpass(wave, case["resolution"], sizes, edge_shells=edge), wave)
    high = gain(highpass(wave, case["resolution"], sizes, edge_shells=edge), wave)
    assert low == pytest.approx(expected, abs=1e-6)
    assert high == pytest.approx(1 - expected, abs=1e-6)


@given(case=CASES, sigma=st.floats(0, 10))
def test_gaussian(case, sigma):
    wave = plane_wave(case["shape"], case["index"])
    k = frequency(case["shape"], case["voxel_size"], case["index"])
    factor = gain(gaussian_lowpass(wave, sigma, case["voxel_size"]), wave)
    assert factor == pytest.approx(math.exp(-2 * (math.pi * sigma * k) ** 2), abs=1e-9)


def test_gaussian_widens_a_gaussian():
    """Convolution in closed form, the voxels no cubes: variances add, the integral stays."""
    sizes = (1.2, 0.8, 1.0)
    shape = (36, 48, 40)

    def gaussian(variance):
        grids = [(torch.arange(n, dtype=torch.float64) - n // 2) * a for n, a in zip(shape, sizes, strict=True)]
        z, y, x = torch.meshgrid(*grids, indexing="ij")
        return torch.exp(-(z**2 + y**2 + x**2) / (2 * variance)) / (2 * math.pi * variance) ** 1.5

    torch.testing.assert_close(gaussian_lowpass(gaussian(9.0), 2.0, sizes), gaussian(13.0), rtol=0, atol=1e-9)


def test_the_shells_about_the_cut_off():
    shape = (24, 24, 24)
    for shell, expected in [(0, 1), (5, 1), (6, 0.5), (7, 0), (12, 0)]:
        wave = plane_wave(shape, (0, shell, 0))
        assert gain(lowpass_at_shell(wave, 6), wave) == pytest.approx(expected, abs=1e-9)
    with pytest.raises(ValueError, match="cubic"):
        lowpass_at_shell(torch.zeros(4, 4, 5), 1)


@given(case=CASES)
def test_a_constant_stays_or_goes(case):
    constant = torch.full(case["shape"], 2.5, dtype=torch.float64)
    torch.testing.assert_close(
        lowpass(constant, case["resolution"], case["voxel_size"], edge_shells=0), constant
    )
    gone = highpass(constant, case["resolution"], case["voxel_size"], edge_shells=0)
    torch.testing.assert_close(gone, torch.zeros_like(constant), rtol=0, atol=1e-12)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [(torch.float64, 1e-12), (torch.float32, 1e-5), (torch.float16, 5e-3), (torch.bfloat16, 4e-2)],
)
def test_dtype_device_and_batches_are_kept(device, dtype, tolerance):
    volume = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 9, 10, 11)))
    result = lowpass(volume.to(device, dtype), 4.0, 1.3)
    assert result.dtype == dtype
    assert result.device.type == device
    expected = torch.stack([lowpass(v, 4.0, (1.3, 1.3, 1.3)) for v in volume])
    torch.testing.assert_close(result.double().cpu(), expected, rtol=0, atol=tolerance)


@pytest.mark.relion
@pytest.mark.parametrize("kind", ["lowpass", "highpass"])
@pytest.mark.parametrize("resolution", [7.5, 8.0, 13.3])
def test_as_relion(tmp_path, kind, resolution):
    """RELION rounds the cut-off to a whole shell of the box."""
    values = np.random.default_rng(1).normal(size=(40, 40, 40)).astype(np.float32)
    write_map(tmp_path / "in.mrc", Volume(values, (1.5, 1.5, 1.5)))
    subprocess.run(
        [
            "relion_image_handler",
            "--i",
            "in.mrc",
            "--o",
            "out.mrc",
            f"--{kind}",
            str(resolution),
            "--angpix",
            "1.5",
        ],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    theirs = read_map(tmp_path / "out.mrc").data
    shell = math.floor(40 * 1.5 / resolution + 0.5)
    volume = torch.from_numpy(values)
    if kind == "lowpass":
        np.testing.assert_allclose(lowpass_at_shell(volume, shell), theirs, rtol=0, atol=5e-6)
    ours = {"lowpass": lowpass, "highpass": highpass}[kind](volume, 60 / shell, 1.5)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=5e-6)
