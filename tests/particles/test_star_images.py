"""STAR files lead to their images, or say which row does not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from blushcore.particles import read_star_images
from blushcore.protocol import BlushError
from particle_files import STAR, stack_bytes, write_particle_set


@pytest.fixture
def star(tmp_path: Path) -> Path:
    return write_particle_set(tmp_path)


def test_each_row_is_its_image(star: Path) -> None:
    images = read_star_images(star)
    assert images.shape == (3, 6, 8)
    assert images[:, 0, 0].tolist() == [2, 1, 11]
    assert images.pixel_size == 3.5  # of the group in use
    assert images.table["rlnAngleRot"].tolist() == [10, 20, 30]
    assert images.optics is not None
    assert images.warnings == ()


def test_old_files_give_the_pixel_size_by_magnification(star: Path) -> None:
    star.write_text(
        "data_\n\nloop_\n_rlnImageName #1\n_rlnDetectorPixelSize #2\n_rlnMagnification #3\n"
        "1@Extract/one.mrcs 14.0 40000\n3@Extract/one.mrcs 14.0 40000\n"
    )
    images = read_star_images(star)
    assert images.pixel_size == 3.5
    assert images[:, 0, 0].tolist() == [1, 3]


def test_several_pixel_sizes_are_none(star: Path) -> None:
    star.write_text(STAR.replace("two.mrcs 30.0 1", "two.mrcs 30.0 2"))
    images = read_star_images(star)
    assert images.pixel_size is None
    assert "several pixel sizes (1.25, 3.5 Å)" in images.warnings[0]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "Extract/two",
            "Extract/three",
            r"names 2 image stacks, and 1 does not exist: Extract/three\.mrcs, in row 3",
        ),
        ("_rlnImageName", "_rlnMicrographName", "no column rlnImageName"),
        ("000001@Extract/two", "zero@Extract/two", "row 3: rlnImageName is 'zero@Extract/two.mrcs'"),
        ("000001@Extract/two", "000000@Extract/two", "row 3"),
        ("opticsGroup1 3.5 8 2", "opticsGroup1 3.5 8 3", "subtomograms"),
    ],
)
def test_what_is_wrong_is_named(star: Path, old: str, new: str, said: str) -> None:
    star.write_text(STAR.replace(old, new))
    with pytest.raises(BlushError, match=said):
        read_star_images(star)


def test_no_star_file(tmp_path: Path) -> None:
    with pytest.raises(BlushError, match="does not exist"):
        read_star_images(tmp_path / "none.star")
    (tmp_path / "empty.star").write_text("nothing in here")
    with pytest.raises(BlushError, match="holds no data block"):
        read_star_images(tmp_path / "empty.star")


def test_an_image_that_is_not_in_its_stack_is_named_when_it_is_looked_at(star: Path) -> None:
    star.write_text(STAR.replace("000001@Extract/two", "000002@Extract/two"))
    images = read_star_images(star)
    assert images[0, 0, 0] == 2
    with pytest.raises(BlushError, match=r"row 3: there is no image 2 in two\.mrcs, which has 1"):
        images[2]


def test_images_of_another_size_are_named(star: Path) -> None:
    (star.parents[1] / "Extract" / "two.mrcs").write_bytes(stack_bytes(np.ones((1, 4, 4))))
    images = read_star_images(star)
    with pytest.raises(
        BlushError, match=r"row 3: the images of two\.mrcs have 4 × 4 pixels, the first ones 8 × 6"
    ):
        images[2]


@pytest.mark.shared_data
def test_files_of_other_programs(shared_data: Path) -> None:
    folder = shared_data / "particles"
    for name, count, pixel_size in (
        ("relion31", 5, 2.806),
        ("rln_proj_65", 5, None),
        ("empiar_10076_7", 7, None),
    ):
        images = read_star_images(folder / f"{name}.star")
        assert len(images) == count
        if pixel_size is not None:
            assert images.pixel_size == pixel_size
        assert images[0].std() > 0
