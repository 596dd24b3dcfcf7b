"""A point of the object keeps its coordinates in Å, whatever happens to the grid."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from blushcore.protocol import BlushError
from blushcore.volumes import (
    MapHeader,
    Volume,
    grid_of_voxel_size,
    pad_or_crop,
    read_map,
    resample_to_voxel_size,
    write_map,
)


def gaussian_at(point, shape, voxel_size, header) -> Volume:
    """A Gaussian of 5 Å about a point given in Å, (z, y, x), drawn where the header places the grid."""
    empty = Volume(np.zeros(shape, dtype=np.float32), voxel_size, header)
    axes = [
        np.exp(-((first + np.arange(n) * a - p) ** 2) / 50)
        for first, n, a, p in zip(empty.position, shape, voxel_size, point, strict=True)
    ]
    values = axes[0][:, None, None] * axes[1][:, None] * axes[2]
    return Volume(values.astype(np.float32), voxel_size, header)


def centre_of_mass(volume: Volume) -> np.ndarray:
    weight = volume.data.astype(np.float64)
    total = weight.sum()
    return np.array(
        [
            first + a * (weight.sum(axis=tuple(i for i in range(3) if i != axis)) @ np.arange(n)) / total
            for axis, (first, a, n) in enumerate(
                zip(volume.position, volume.voxel_size, volume.shape, strict=True)
            )
        ]
    )


HEADERS = [
    MapHeader(),
    MapHeader(origin=(-31.5, 12.25, 100.0)),
    MapHeader(start=(-20, 7, 3)),
    MapHeader(origin=(5.0, -6.0, 7.0), start=(1, 2, 3)),
]


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("shape", [(40, 44, 48), (41, 45, 47)])
@pytest.mark.parametrize("voxel_size", [(1.5, 1.5, 1.5), (1.9, 1.4, 1.6)])
@pytest.mark.parametrize("wanted", [1.05, 1.5, 2.3])
def test_resampling_keeps_points_in_place(tmp_path, header, shape, voxel_size, wanted):
    empty = Volume(np.zeros(shape, dtype=np.float32), voxel_size, header)
    point = [p + (n // 2 + 1.3) * a for p, n, a in zip(empty.position, shape, voxel_size, strict=True)]
    volume = gaussian_at(point, shape, voxel_size, header)
    resampled = resample_to_voxel_size(volume, wanted)

    assert all(n % 2 == 0 for n in resampled.shape) or resampled is volume
    for n, a, m, b in zip(shape, voxel_size, resampled.shape, resampled.voxel_size, strict=True):
        assert b == n * a / m  # the same box
        assert abs(n * a / wanted - m) <= 1.0  # the nearest even number
    np.testing.assert_allclose(centre_of_mass(resampled), point, atol=0.01)
    exact = gaussian_at(point, resampled.shape, resampled.voxel_size, resampled.header)
    np.testing.assert_allclose(resampled.data, exact.data, atol=2e-3)

    write_map(tmp_path / "a.mrc", resampled)
    np.testing.assert_allclose(centre_of_mass(read_map(tmp_path / "a.mrc")), point, atol=0.01)


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("shape", [(40, 44, 48), (41, 45, 47)])
@pytest.mark.parametrize("wanted", [(60, 61, 62), (38, 37, 50)])
def test_padding_and_cropping_keep_points_in_place(header, shape, wanted):
    voxel_size = (1.9, 1.4, 1.6)
    empty = Volume(np.zeros(shape, dtype=np.float32), voxel_size, header)
    point = [p + (n // 2 + 1.3) * a for p, n, a in zip(empty.position, shape, voxel_size, strict=True)]
    volume = gaussian_at(point, shape, voxel_size, header)
    cropped = volume.with_data(pad_or_crop(torch.from_numpy(volume.data), wanted).numpy())
    exact = gaussian_at(point, wanted, voxel_size, cropped.header)
    inside = cropped.data > 0
    np.testing.assert_allclose(cropped.data[inside], exact.data[inside], rtol=1e-4)


def test_a_map_placed_by_its_start_stays_placed_by_it():
    volume = Volume(np.zeros((10, 10, 10), dtype=np.float32), (2.0, 2.0, 2.0), MapHeader(start=(-5, -5, -5)))
    cropped = volume.with_data(np.zeros((4, 6, 20)))
    assert cropped.header.start == (-2, -3, -10)
    assert cropped.header.origin == (0, 0, 0)
    finer = volume.with_data(np.zeros((12, 12, 12)), (10 / 6, 10 / 6, 10 / 6))
    assert finer.header.start == (0, 0, 0)
    assert finer.header.origin == pytest.approx((-10, -10, -10))


def test_even_boxes_of_one_extent_need_no_origin():
    volume = Volume(np.zeros((240, 240, 240), dtype=np.float32), (0.834,) * 3)
    shape, size = grid_of_voxel_size(volume.shape, volume.voxel_size, 1.5)
    assert shape == (134, 134, 134)
    assert volume.with_data(np.zeros(shape), size).header == volume.header


@given(
    shape=st.tuples(*[st.integers(2, 600)] * 3),
    sizes=st.tuples(*[st.floats(0.3, 10)] * 3),
    wanted=st.floats(0.3, 10),
)
def test_the_grid_is_the_nearest_even_one(shape, sizes, wanted):
    grid, exact = grid_of_voxel_size(shape, sizes, wanted)
    for n, a, m, b in zip(shape, sizes, grid, exact, strict=True):
        assert m % 2 == 0
        assert m >= 2
        assert m * b == pytest.approx(n * a)
        assert (
            abs(m - n * a / wanted)
            <= min(abs(other - n * a / wanted) for other in (m + 2, max(2, m - 2))) + 1e-9
        )


@pytest.mark.parametrize("wanted", [0.0, -1.0, float("nan")])
def test_no_voxel_size_to_resample_to(wanted):
    with pytest.raises(BlushError, match="The voxel size asked for is"):
        resample_to_voxel_size(Volume(np.zeros((4, 4, 4), dtype=np.float32), (1.0, 1.0, 1.0)), wanted)


def test_with_data_keeps_the_rest():
    header = MapHeader(origin=(1, 2, 3), start=(4, 5, 6), labels=("a",), space_group=4)
    volume = Volume(np.ones((3, 4, 5), dtype=np.float32), (1.0, 2.0, 3.0), header, ("a warning",))
    other = volume.with_data(np.zeros((3, 4, 5), dtype=np.float64)[:, ::-1])
    assert other.header == header
    assert other.voxel_size == (1, 2, 3)
    assert other.data.dtype == np.float32
    assert other.data.flags.c_contiguous
    assert other.warnings == ()


@pytest.mark.parametrize(
    ("data", "voxel_size", "complaint"),
    [
        (np.zeros((4, 4), np.float32), (1.0, 1.0, 1.0), "three axes"),
        (np.zeros((4, 4, 4), np.float64), (1.0, 1.0, 1.0), "float32"),
        (np.zeros((4, 4, 4), np.float32).transpose(2, 0, 1)[::-1], (1.0, 1.0, 1.0), "C-contiguous"),
        (np.zeros((4, 4, 4), np.float32), (1.0, 0.0, 1.0), "positive"),
        (np.zeros((4, 4, 4), np.float32), (1.0, float("nan"), 1.0), "positive"),
    ],
)
def test_what_is_no_volume(data, voxel_size, complaint):
    with pytest.raises(ValueError, match=complaint):
        Volume(data, voxel_size)


def test_importing_volumes_imports_no_torch():
    import subprocess
    import sys

    code = "import sys, blushcore.volumes; assert 'torch' not in sys.modules; blushcore.volumes.lowpass"
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = __import__("blushcore.volumes").volumes.nonsense
