"""The transform of maps of any shape: that of NumPy, and memory that stays whole."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from blushcore.volumes.transforms import from_half_spectrum, half_spectrum

SHAPES = [(8, 8, 8), (9, 9, 9), (6, 6, 11), (6, 9, 12), (5, 12, 7), (2, 426, 8), (2, 9, 8, 7)]
CRASHING = """
import torch
from blushcore.volumes.fourier import fourier_resample
for shape, other in [((8, 64, 9), (2, 426, 8)), ((8, 400, 8), (54, 2666, 54))]:
    back = fourier_resample(fourier_resample(torch.randn(shape), other), shape)
    assert bool(torch.isfinite(back).all())
    pieces = [torch.zeros(size) for size in (3, 17, 100, 1000, 100_000)]
print("alive")
"""


@pytest.mark.parametrize("norm", ["backward", "ortho", "forward"])
@pytest.mark.parametrize("shape", SHAPES)
def test_there_and_back(shape, norm):
    volume = np.random.default_rng(0).normal(size=shape)
    spectrum = half_spectrum(torch.from_numpy(volume), norm)
    expected = np.fft.rfftn(volume, axes=(-3, -2, -1), norm=norm)
    np.testing.assert_allclose(spectrum.numpy(), expected, atol=1e-10 * np.abs(expected).max())
    back = from_half_spectrum(spectrum, shape[-3:], norm)
    np.testing.assert_allclose(back.numpy(), volume, atol=1e-12)


@pytest.mark.parametrize("shape", [(8, 8, 4), (6, 9, 4)])
def test_missing_components_along_x_count_as_zero(shape):
    spectrum = half_spectrum(torch.randn(shape, generator=torch.Generator().manual_seed(0)))
    longer = (*shape[:2], 9)
    padded = torch.cat([spectrum, torch.zeros(*shape[:2], 2)], dim=-1)
    torch.testing.assert_close(from_half_spectrum(spectrum, longer), from_half_spectrum(padded, longer))


def test_long_boxes_do_not_harm_the_memory():
    """In a process of its own, under the C library's strict checks: a harmed heap ends it."""
    command = [sys.executable, "-c", CRASHING]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "MALLOC_CHECK_": "3"}
    )
    assert (done.returncode, done.stdout.strip()) == (0, "alive"), done.stderr
