"""Two arrays as one, held against numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_blush.layers.split_array import SplitArray

SHAPE = (5, 6, 7)
BEFORE = np.arange(210, dtype=np.float32).reshape(SHAPE)
AFTER = -BEFORE - 1


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("boundary", [0, 2, 5])
@pytest.mark.parametrize(
    "key",
    [
        np.s_[2],
        np.s_[-1, :, 3],
        np.s_[:, 4],
        np.s_[..., 1],
        np.s_[1:4, ::2, ::-1],
        np.s_[::-2],
        np.s_[1, 2, 3],
        np.s_[:, 5, :3],
        np.s_[2:3, :, :],
        np.s_[...],
        np.s_[4:2],
    ],
)
def test_any_indexing_is_that_of_the_composed_array(axis: int, boundary: int, key: Any) -> None:
    split = SplitArray(BEFORE, AFTER, axis=axis)
    split.boundary = boundary
    index = np.arange(SHAPE[axis]).reshape([-1 if one == axis else 1 for one in range(3)])
    expected = np.where(index < boundary, BEFORE, AFTER)
    assert np.array_equal(split[key], expected[key])
    assert np.array_equal(np.asarray(split), expected)


def test_only_what_is_asked_for_is_read() -> None:
    asked: list[Any] = []

    class Watched:
        shape = SHAPE

        def __getitem__(self, key: Any) -> np.ndarray:
            asked.append(key)
            return AFTER[key]

    SplitArray(Watched(), Watched())[3]
    assert asked == [(3, slice(None), slice(None))] * 2
