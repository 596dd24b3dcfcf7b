"""Stacks are mapped, in every variety, and say what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from blushcore.particles import ImageStack
from blushcore.protocol import BlushError
from particle_files import stack_bytes

IMAGES = np.arange(3 * 4 * 5).reshape(3, 4, 5)


@pytest.mark.parametrize("mode", [0, 1, 2, 6, 12])
@pytest.mark.parametrize("order", ["<", ">"])
def test_every_mode_and_byte_order(tmp_path: Path, mode: int, order: str) -> None:
    path = tmp_path / "stack.mrcs"
    path.write_bytes(stack_bytes(IMAGES, mode=mode, order=order, pixel_size=1.5))
    stack = ImageStack(path)
    assert stack.shape == (3, 4, 5)
    assert stack.pixel_size == 1.5
    assert stack.warnings == ()
    for key in (np.s_[1], np.s_[-1, 2], np.s_[:, 1:3, ::2], np.s_[1:, 2, 3], np.s_[..., 4], np.s_[3:]):
        found = stack[key]
        assert found.dtype == np.float32
        assert np.array_equal(found, IMAGES[key])
    assert np.array_equal(np.asarray(stack), IMAGES)


@pytest.mark.parametrize("size", [0.0, 1.0, -2.0, 1000.0])
def test_a_pixel_size_that_says_nothing_is_unknown(tmp_path: Path, size: float) -> None:
    path = tmp_path / "stack.mrcs"
    path.write_bytes(stack_bytes(IMAGES, pixel_size=size))
    assert ImageStack(path).pixel_size is None


def test_a_cut_stack_has_the_images_that_are_there(tmp_path: Path) -> None:
    path = tmp_path / "stack.mrcs"
    path.write_bytes(stack_bytes(IMAGES)[:-1])
    stack = ImageStack(path)
    assert stack.shape == (2, 4, 5)
    assert stack.warnings == ("stack.mrcs is truncated: its header announces 3 images, 2 are there and shown.",)
    with pytest.raises(IndexError):
        stack[2]
    path.write_bytes(stack_bytes(IMAGES)[: 1024 + 79])
    with pytest.raises(BlushError, match="not one of its 3 images"):
        ImageStack(path)


def test_what_cannot_be_mapped_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BlushError, match="does not exist"):
        ImageStack(tmp_path / "none.mrcs")
    path = tmp_path / "stack.mrcs"
    path.write_bytes(b"\x1f\x8b" + bytes(2000))
    with pytest.raises(BlushError, match="compressed"):
        ImageStack(path)
    content = bytearray(stack_bytes(IMAGES))
    content[12] = 4
    path.write_bytes(content)
    with pytest.raises(BlushError, match="mode 4"):
        ImageStack(path)
    path.write_bytes(b"text")
    with pytest.raises(BlushError, match="not an MRC"):
        ImageStack(path)


def test_a_large_stack_is_neither_read_nor_copied_whole(tmp_path: Path) -> None:
    path = tmp_path / "stack.mrcs"
    with path.open("wb") as file:
        file.write(stack_bytes(np.zeros((1, 512, 512)))[:1024])
        file.seek(8, 0)
        file.write((2000).to_bytes(4, "little"))
        file.truncate(1024 + 2000 * 512 * 512 * 4)  # sparse: 2 GB of nothing
    stack = ImageStack(path)
    assert stack[1999, 511, 511] == 0
    assert stack[::100, 3, 4].shape == (20,)
    with pytest.raises(BlushError, match=r"2000 images at once would take 2\.0 GiB"):
        stack[:]
