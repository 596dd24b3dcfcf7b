"""Maps of a run's history in boxes of many sizes come to one grid, each point where it was."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from blushcore.volumes import MapHeader, Volume, fourier_resample
from napari_blush.live.gridding import RunGrid, on_grid
from napari_blush.live.interpolated import InterpolatedMap, resampled
from napari_blush.live.loading import sphere
from napari_blush.live.map_sets import MapSet

CENTRE, SIGMA, EXTENT = np.array([21.0, 27.0, 33.0]), 6.0, 64.0  # Å


def gaussian(n: int, *, odd_box: int | None = None) -> Volume:
    """A Gaussian at `CENTRE` in a box of 64 Å, whose point n // 2 is that of a box of `odd_box` voxels."""
    voxel_size = EXTENT / n
    middle = EXTENT / 2 if odd_box is None else (odd_box // 2) * EXTENT / odd_box
    axis = (np.arange(n) - n // 2) * voxel_size + middle
    parts = [np.exp(-((axis - at) ** 2) / (2 * SIGMA**2)) for at in CENTRE]
    data = parts[0][:, None, None] * parts[1][:, None] * parts[2]
    return Volume(data.astype(np.float32), (voxel_size,) * 3)


def value_at(volume: Volume) -> np.ndarray:
    """What the Gaussian is at the voxels' places."""
    axis = [volume.position[i] + np.arange(volume.shape[i]) * volume.voxel_size[i] for i in range(3)]
    parts = [np.exp(-((axis[i] - CENTRE[i]) ** 2) / (2 * SIGMA**2)) for i in range(3)]
    return parts[0][:, None, None] * parts[1][:, None] * parts[2]


@pytest.mark.parametrize(
    ("size", "box", "largest", "shown"),
    [
        (16, 32, 256, 32),
        (32, 32, 256, 32),
        (24, 33, 256, 33),
        (32, 64, 40, 32),
        (48, 64, 40, 32),
        (64, 90, 40, 30),
    ],
)
def test_every_box_lies_where_the_run_has_it(size: int, box: int, largest: int, shown: int) -> None:
    placed = on_grid(gaussian(size, odd_box=box), RunGrid(box, EXTENT / box), largest)
    assert placed.shape == (shown,) * 3
    assert np.allclose(placed.voxel_size, EXTENT / shown)
    assert np.abs(np.asarray(placed.data) - value_at(placed)).max() < 0.02
    whole = on_grid(gaussian(size, odd_box=box), RunGrid(box, EXTENT / box), None)
    assert whole.shape == (box,) * 3


def test_a_large_box_is_binned() -> None:
    values = np.random.default_rng(0).random((64,) * 3).astype(np.float32)
    placed = on_grid(Volume(values, (1.0,) * 3), RunGrid(64, 1.0), 32)
    assert placed.data[3, 4, 5] == pytest.approx(values[6:8, 8:10, 10:12].mean())
    assert placed.header == MapHeader(origin=(0.5,) * 3)
    assert placed.voxel_size == (2.0,) * 3
    assert RunGrid(512, 1.0).shown(256) == 256
    assert RunGrid(360, 1.0).shown(256) == 180
    assert RunGrid(360, 1.0).shown(None) == 360


@pytest.mark.parametrize(("m", "n"), [(12, 20), (11, 20), (13, 21), (20, 12), (21, 12), (2, 8), (1, 4)])
def test_it_resamples_as_the_engine_does(m: int, n: int) -> None:
    values = np.random.default_rng(1).normal(size=(m,) * 3).astype(np.float32)
    smooth = resampled(values, min(m, n) // 2 * 2 - 1 if min(m, n) > 1 else 1)  # without Nyquist components
    ours = resampled(resampled(smooth, m), n)
    if m % 2 == n % 2 == 0:  # otherwise the engine keeps another point in its place
        engines = fourier_resample(torch.from_numpy(resampled(smooth, m)), (n,) * 3).numpy()
        assert np.allclose(ours, engines, atol=1e-5)
    assert ours.mean() == pytest.approx(smooth.mean(), abs=1e-5)
    assert np.allclose(resampled(ours, len(smooth)), smooth, atol=1e-5)
    assert ours.dtype == np.float32


@pytest.mark.parametrize(("m", "n"), [(12, 20), (11, 20), (13, 21), (20, 12), (21, 12), (2, 8), (1, 4)])
def test_slices_made_one_by_one_are_those_of_the_whole(m: int, n: int) -> None:
    values = np.random.default_rng(2).normal(size=(m,) * 3).astype(np.float32)
    whole = resampled(values, n)
    lazy = InterpolatedMap(values, n)
    assert (lazy.shape, lazy.ndim, lazy.dtype, len(lazy)) == ((n,) * 3, 3, np.dtype(np.float32), n)
    for key in (
        1,
        (slice(None), 2),
        (slice(None), slice(1, None), n - 1),
        (..., -1),
        (2, slice(None), 3),
        (np.int64(1), 2, 3),
        (0, ..., slice(None, None, 2)),
        (slice(1, 2), slice(None), 3),
        (slice(0, 3), slice(-1, None)),
    ):
        assert np.allclose(lazy[key], whole[key], atol=1e-5), key
        assert lazy[key].dtype == np.float32
    assert lazy._whole is None  # nobody has asked for it
    assert np.allclose(lazy[::2, 1:], whole[::2, 1:], atol=1e-5)
    assert np.allclose(np.asarray(lazy), whole, atol=1e-5)
    assert np.allclose(lazy[:, 1], whole[:, 1], atol=1e-5)


def test_the_sphere_is_about_the_centre() -> None:
    placed = sphere(RunGrid(64, 2.0), 30.0, 32)
    assert placed.voxel_size == (4.0,) * 3
    assert placed.data[16, 16, 16] == 1
    distance = np.abs(np.arange(32) - 16) * 4.0
    along = placed.data[16, 16]
    assert (along[distance <= 30] == 1).all()
    assert (along[distance >= 40] == 0).all()


def test_a_set_takes_the_best_files_there_are(tmp_path: object) -> None:
    from pathlib import Path

    files = {name: Path(name) for name in ("half1", "half2", "half1_before_prior", "data")}
    parameters = {"mask": None, "diameter": 100.0}
    some = MapSet.of(3, files, {"box": 64, "voxel_size_angstrom": 2.0}, parameters)
    assert some.roles == ("half1", "half2", "map", "mask")  # one half before the prior is not enough
    assert some.grid == RunGrid(64, 2.0)
    files["half2_before_prior"] = Path("half2_before_prior")
    assert MapSet.of(3, files, {}, {}).roles == ("half1", "half2", "before", "map", "difference")
    last = {name: Path(name) for name in ("map", "half1_unfil", "half2_unfil")}
    assert MapSet.of(4, last, {}, {}).sources["map"] == (Path("map"),)
    assert MapSet.of(0, {"reference": Path("ref")}, {}, {}).roles == ("map",)
    assert MapSet.of(0, {}, {}, parameters).roles == ()
