"""The padded half transform: what is kept of it, and the way there and back."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from blushcore.projection import PaddedGrid, map_of, padded_transform, sinc_squared, slices_bytes


def whole_transform(volume: np.ndarray, padding: int) -> np.ndarray:
    """The transform of the padded map by its definition, centred: index 0 is the most negative frequency."""
    n = volume.shape[0]
    padded = np.zeros((padding * n,) * 3)
    first = padding * n // 2 - n // 2
    padded[first : first + n, first : first + n, first : first + n] = volume
    return np.fft.fftshift(np.fft.fftn(np.fft.ifftshift(padded))) / n**2


@pytest.mark.parametrize(
    ("n", "size", "padding"), [(16, 16, 2), (15, 16, 2), (16, 8, 2), (12, 10, 3), (10, 6, 1)]
)
def test_the_transform_is_that_of_the_padded_map(n: int, size: int, padding: int) -> None:
    volume = np.random.default_rng(0).normal(size=(n, n, n))
    grid = PaddedGrid(n, size, padding)
    kept = padded_transform(torch.from_numpy(volume), grid).numpy()
    assert kept.shape == grid.shape
    whole = whole_transform(volume, padding)
    middle, reach = padding * n // 2, grid.reach
    for z, y, x in np.ndindex(kept.shape):
        at = z - reach, y - reach, x
        if all(2 * abs(k) < padding * n for k in at):
            assert kept[z, y, x] == pytest.approx(whole[tuple(middle + k for k in at)], abs=1e-10)
        elif any(2 * abs(k) > padding * n for k in at):
            assert kept[z, y, x] == 0


@pytest.mark.parametrize(("n", "padding"), [(16, 2), (17, 2), (12, 3)])
def test_a_map_without_high_frequencies_comes_back(n: int, padding: int) -> None:
    grid = PaddedGrid(n, n + n % 2, padding)
    axis = torch.arange(n, dtype=torch.float64) - n // 2
    squared = axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2
    volume = torch.exp(-squared / 6) + 0.3 * torch.exp(-((axis - 1) ** 2 + axis[:, None, None] ** 2 * 2) / 5)
    volume = volume * torch.exp(-squared / 20)
    back = map_of(padded_transform(volume, grid), grid)
    assert (back - volume).abs().max() < 1e-3 * volume.max()
    # What is lost lies beyond the reach of the padded transform, and going on loses no more.
    again = map_of(padded_transform(back, grid), grid)
    assert (again - back).abs().max() < (back - volume).abs().max()


def test_blocks_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = PaddedGrid(20, 14)
    volume = torch.randn(20, 20, 20)
    transform = padded_transform(volume, grid)
    back = map_of(transform, grid)
    monkeypatch.setattr("blushcore.projection.grid._BLOCK_BYTES", 1)
    assert torch.allclose(padded_transform(volume, grid), transform, atol=1e-6)
    assert torch.allclose(map_of(transform, grid), back, atol=1e-6)
    assert len(list(grid.plane_blocks())) == grid.shape[0]


def test_shells_round_and_end_with_the_slices() -> None:
    grid = PaddedGrid(24, 16, 2)
    shells = grid.shells(slice(None)).numpy()
    axis = np.arange(-grid.reach, grid.reach + 1)
    radius = np.sqrt(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis[grid.reach :] ** 2)
    within = radius <= 2 * grid.last_shell
    assert np.array_equal(shells[within], np.floor(radius[within] / 2 + 0.5))
    assert (shells[~within] == grid.last_shell + 1).all()
    assert np.array_equal(grid.shells(slice(3, 5)).numpy(), shells[3:5])


def test_all_neighbours_of_the_last_shell_are_kept() -> None:
    for n, size, padding in [(64, 64, 2), (64, 10, 2), (33, 34, 3), (20, 20, 1)]:
        grid = PaddedGrid(n, size, padding)
        farthest = padding * np.sqrt(grid.last_shell**2 + grid.last_shell)  # |k|² is whole and below (s + ½)²
        assert np.floor(farthest) + 1 <= grid.reach


def test_sinc_squared_is_what_linear_interpolation_does() -> None:
    # Triangles in Fourier space, one voxel wide, multiply by sinc²: along an axis that is exact.
    n, padding = 16, 2
    damping = sinc_squared(n, padding)
    x = np.arange(n) - n // 2
    assert damping[n // 2, n // 2].numpy() == pytest.approx(np.sinc(x / (n * padding)) ** 2, rel=1e-6)


@pytest.mark.parametrize(("n", "size", "padding"), [(32, 33, 2), (32, 34, 2), (32, 0, 2), (32, 32, 0)])
def test_grids_that_cannot_be(n: int, size: int, padding: int) -> None:
    with pytest.raises(ValueError, match=r"current size|padding"):
        PaddedGrid(n, size, padding)


def test_bytes_of_a_volume() -> None:
    grid = PaddedGrid(32, 20)
    assert slices_bytes(32, 20) == padded_transform(torch.zeros(32, 32, 32), grid).nbytes
