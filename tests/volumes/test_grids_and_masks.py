"""Maps and masks that belong together are told from those that do not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from blushcore.protocol import BlushError
from blushcore.volumes import MapHeader, Volume, read_mask, require_same_grid, write_map

SHAPE = (4, 5, 6)


def volume(shape=SHAPE, size=1.5, **header) -> Volume:
    values = np.random.default_rng(0).random(shape).astype(np.float32)
    return Volume(values, (size, size, size) if isinstance(size, float) else size, MapHeader(**header))


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        (volume((4, 5, 7)), r"b \(7 × 5 × 4 voxels of 1\.5 Å\) are not on one grid.*--voxel-size"),
        (volume(size=1.503), r"a \(6 × 5 × 4 voxels of 1\.5 Å\) and b \(.* of 1\.503 Å\)"),
        (volume(size=(1.5, 1.5, 1.6)), r"voxels of 1\.6 × 1\.5 × 1\.5 Å"),
    ],
)
def test_other_grids_are_refused(other, sentence):
    with pytest.raises(BlushError, match=sentence):
        require_same_grid("a", volume(), "b", other)


def test_voxel_sizes_within_a_thousandth_are_one():
    assert require_same_grid("a", volume(), "b", volume(size=1.501)) == ()


@pytest.mark.parametrize(
    ("other", "warns"),
    [
        (volume(origin=(30.0, 20.0, 10.0)), False),
        (volume(origin=(30.0, 20.7, 10.0)), False),  # less than half a voxel
        (volume(origin=(30.0, 20.8, 10.0)), True),
        (volume(), True),  # a dropped origin
        (volume(start=(20, 0, 0)), True),
    ],
)
def test_another_place_is_a_warning(other, warns):
    told = require_same_grid("a.mrc", volume(origin=(30.0, 20.0, 10.0)), "b.mrc", other)
    assert len(told) == warns
    if warns:
        x, y, z = (f"{place:.4g}" for place in reversed(other.position))
        assert told[0].startswith(f"b.mrc begins at {x}, {y}, {z} Å and a.mrc at 10, 20, 30 Å (x, y, z)")


def mask_of(tmp_path: Path, values: np.ndarray, origin=(0.0, 0.0, 0.0)) -> Volume:
    written = Volume(values.astype(np.float32), (1.5, 1.5, 1.5), MapHeader(origin=origin))
    write_map(tmp_path / "mask.mrc", written)
    return read_mask(tmp_path / "mask.mrc", Path("map.mrc"), volume())


def test_a_mask_of_ones_is_nothing_odd(tmp_path):
    assert mask_of(tmp_path, np.ones(SHAPE)).warnings == ()
    assert "every voxel is 0.5" in mask_of(tmp_path, np.full(SHAPE, 0.5)).warnings[0]


def test_a_mask_that_lies_elsewhere_is_told(tmp_path):
    assert "mask.mrc begins at 0, 0, 9 Å" in mask_of(tmp_path, np.ones(SHAPE), (9.0, 0.0, 0.0)).warnings[0]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (np.linspace(-0.1, 1, 120), r"mask\.mrc holds values from -0\.1 to 1; a mask lies between 0"),
        (np.linspace(0, 100, 120), "from 0 to 100"),
        (np.zeros(120), r"mask\.mrc is an empty mask"),
    ],
)
def test_what_is_no_mask_is_refused(tmp_path, values, sentence):
    with pytest.raises(BlushError, match=sentence):
        mask_of(tmp_path, values.reshape(SHAPE))
    assert mask_of(tmp_path, np.linspace(-0.0005, 1.0005, 120).reshape(SHAPE)).data.size == 120
