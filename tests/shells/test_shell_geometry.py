from __future__ import annotations

import numpy as np
import pytest

from blushcore.shells import shell_counts, shell_frequencies, shell_indices, shell_resolutions

BOXES = [4, 5, 8, 15, 16, 33]


def naive_shells(n: int) -> np.ndarray:
    k = np.fft.fftfreq(n, 1 / n)
    radius = np.sqrt(k[:, None, None] ** 2 + k[None, :, None] ** 2 + k[None, None, :] ** 2)
    return np.floor(radius + 0.5).astype(int)


@pytest.mark.parametrize("n", BOXES)
def test_indices_are_rounded_radii_in_the_layout_of_rfftn(n):
    indices = shell_indices(n).numpy()
    assert indices.shape == np.fft.rfftn(np.zeros((n, n, n))).shape
    assert np.array_equal(indices, naive_shells(n)[:, :, : n // 2 + 1])


@pytest.mark.parametrize("n", BOXES)
def test_counts_are_those_of_the_full_transform(n):
    expected = np.bincount(naive_shells(n).ravel())[: n // 2 + 1]
    assert np.array_equal(shell_counts(n), expected)


@pytest.mark.parametrize("n", BOXES)
def test_half_counts_are_the_stored_components(n):
    expected = np.bincount(shell_indices(n).numpy().ravel())[: n // 2 + 1]
    assert np.array_equal(shell_counts(n, "half"), expected)


def test_indices_are_fresh_and_may_be_written_to():
    shell_indices(8)[:] = 0
    assert shell_indices(8).max() > 0


def test_frequencies_and_resolutions_are_reciprocal():
    n, voxel_size = 10, 1.5
    frequencies, resolutions = shell_frequencies(n, voxel_size), shell_resolutions(n, voxel_size)
    assert frequencies[5] == pytest.approx(1 / 3.0)
    assert resolutions[5] == pytest.approx(3.0)
    assert np.isinf(resolutions[0])
    assert frequencies[1:] * resolutions[1:] == pytest.approx(1.0)
