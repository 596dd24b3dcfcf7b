"""Stacks and images that are not as they should be are named with their rows, before or while they are read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import star_zoo as zoo

from blushcore.particles import ImageReader, read_particles
from blushcore.protocol import BlushError
from particle_files import stack_bytes


@pytest.fixture
def star(tmp_path: Path) -> Path:
    return zoo.write_project(tmp_path, zoo.relion31())


def _rewrite(star: Path, stack: str, rows: dict[int, np.ndarray | float]) -> None:
    """Put other images into some rows (from 0) of a stack."""
    parity = 0 if stack == "even" else 1
    images = np.stack([zoo.image_values(row).astype(float) for row in range(parity, zoo.COUNT, 2)])
    for row, values in rows.items():
        images[row // 2] = values
    (star.parents[2] / "Extract" / f"{stack}.mrcs").write_bytes(stack_bytes(images))


def _with_nan(row: int) -> np.ndarray:
    image = zoo.image_values(row).astype(float)
    image[3, 4] = np.nan
    return image


def test_a_missing_stack_is_named_with_its_rows(star: Path) -> None:
    (star.parents[2] / "Extract" / "odd.mrcs").unlink()
    with pytest.raises(BlushError) as caught:
        ImageReader(read_particles(star))
    assert caught.value.problem == (
        "run_data.star names 2 image stacks, and 1 does not exist: Extract/odd.mrcs, "
        "in rows 2, 4, 6, 8, 10 and 1 other."
    )


def test_a_truncated_stack_is_named_with_the_rows_beyond_its_end(star: Path) -> None:
    path = star.parents[2] / "Extract" / "even.mrcs"
    path.write_bytes(path.read_bytes()[: 1024 + 4 * zoo.BOX**2 * 4 + 10])
    with pytest.raises(BlushError) as caught:
        ImageReader(read_particles(star))
    assert caught.value.problem == (
        "even.mrcs is truncated: its header announces 6 images, 4 are there. "
        "run_data.star, rows 9 and 11 point beyond its end."
    )
    kept = read_particles(star).take(np.arange(8))
    assert len(ImageReader(kept).survey().rows) == 0  # nobody needs the rest
    path.write_bytes(path.read_bytes()[:1030])
    with pytest.raises(BlushError, match=r"rows 1, 3, 5, 7, 9 and 1 other: .*even\.mrcs is truncated: not one"):
        ImageReader(read_particles(star))


def test_an_image_beyond_its_stack_is_named(tmp_path: Path) -> None:
    names = [*zoo.NAMES[:-1], "000099@Extract/odd.mrcs"]
    star = zoo.write_project(tmp_path, zoo.relion31(rlnImageName=names))
    with pytest.raises(BlushError, match=r"row 12: there is no image 99 in odd\.mrcs, which has 6"):
        ImageReader(read_particles(star))


def test_a_stack_that_is_none_is_named_with_its_rows(star: Path) -> None:
    (star.parents[2] / "Extract" / "odd.mrcs").write_bytes(b"text")
    with pytest.raises(BlushError, match=r"run_data\.star, rows 2, 4, .*: odd\.mrcs is not an MRC"):
        ImageReader(read_particles(star))


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((6, 8, 10), r"rows 2, 4, .*: the images of odd\.mrcs have 10 × 8 pixels and are not square"),
        ((6, 10, 10), r"rows 2, .* have 10 pixels a side, but rlnImageSize of optics group 1 is 8"),
    ],
)
def test_images_of_a_wrong_size_are_named(star: Path, shape: tuple[int, ...], said: str) -> None:
    (star.parents[2] / "Extract" / "odd.mrcs").write_bytes(stack_bytes(np.ones(shape)))
    with pytest.raises(BlushError, match=said):
        ImageReader(read_particles(star))


def test_images_of_two_sizes_in_an_old_file_are_named(tmp_path: Path) -> None:
    star = zoo.write_project(tmp_path, zoo.relion30())
    (tmp_path / "Extract" / "odd.mrcs").write_bytes(stack_bytes(np.ones((6, 10, 10))))
    with pytest.raises(BlushError, match=r"rows 2, .* have 10 pixels a side, but rlnImageSize of .* is 8"):
        ImageReader(read_particles(star))


def test_another_pixel_size_in_the_stacks_is_a_warning(star: Path) -> None:
    images = np.stack([zoo.image_values(row) for row in range(0, zoo.COUNT, 2)])
    for size, warned in ((1.5, False), (1.51, False), (3.0, True)):
        (star.parents[2] / "Extract" / "even.mrcs").write_bytes(stack_bytes(images, pixel_size=size))
        warnings = ImageReader(read_particles(star)).warnings
        assert bool(warnings) == warned
    assert warnings[0].startswith("even.mrcs says 3 Å a pixel, run_data.star 1.5 Å for its optics group 1")


def test_images_that_cannot_be_used_are_found_beforehand(star: Path) -> None:
    infinite = zoo.image_values(8).astype(float)
    infinite[0, 0] = -np.inf
    _rewrite(star, "even", {2: _with_nan(2), 4: 0.0, 6: 1e30 * zoo.image_values(6), 8: infinite})
    _rewrite(star, "odd", {5: 7.25, 9: 0.0})
    reader = ImageReader(read_particles(star))
    seen: list[tuple[int, int]] = []
    faults = reader.survey(batch_size=5, progress=lambda done, all_: seen.append((done, all_)))
    assert seen == [(5, 12), (10, 12), (12, 12)]
    assert faults.not_finite.tolist() == [2, 8]
    assert faults.constant.tolist() == [4, 5, 9]
    assert faults.huge.tolist() == [6]
    assert faults.rows.tolist() == [2, 4, 5, 6, 8, 9]
    assert "\n".join(faults.sentences(reader.table)) == (
        "run_data.star, rows 3 and 9: 2 images (first: 000002@Extract/even.mrcs) have values that are not "
        "finite (NaN or infinity).\n"
        "run_data.star, rows 5, 6 and 10: 3 images (first: 000003@Extract/even.mrcs) have the same value "
        "everywhere (zeros, for example).\n"
        "run_data.star, row 7: the image (000004@Extract/even.mrcs) has values beyond 1e+12 (is its byte "
        "order right?)."
    )
    assert faults.error(reader.table).remedy
    # The caller decides: without them, all is well.
    good = np.setdiff1d(zoo.ROWS, faults.rows)
    assert sum(len(rows) for rows, _ in reader.batches(good, batch_size=4)) == 6
    assert len(ImageReader(reader.table.take(good)).survey().rows) == 0


@pytest.mark.parametrize("keep_bytes", [0, 1 << 20])
@pytest.mark.parametrize("surveyed", [False, True])
@pytest.mark.parametrize("read_ahead", [0, 2])
def test_an_image_that_cannot_be_used_is_never_given(
    star: Path, keep_bytes: int, surveyed: bool, read_ahead: int
) -> None:
    _rewrite(star, "odd", {7: _with_nan(7)})
    reader = ImageReader(read_particles(star), keep_bytes=keep_bytes)
    if surveyed:
        assert reader.survey().rows.tolist() == [7]
    for _ in range(2):
        given: list[int] = []
        said = r"run_data\.star, row 8: the image \(000004@Extract/odd\.mrcs\) has values that are not finite"
        with pytest.raises(BlushError, match=said):
            given.extend(row for rows, _ in reader.batches(batch_size=2, read_ahead=read_ahead) for row in rows)
        assert given == [0, 2, 4, 6, 8, 10, 1, 3]
    with pytest.raises(BlushError, match="row 8"):
        reader.images([6 + 1])


def test_a_survey_can_be_ended(star: Path) -> None:
    class Enough(Exception):  # noqa: N818
        pass

    def stop(done: int, _all: int) -> None:
        raise Enough

    with pytest.raises(Enough):
        ImageReader(read_particles(star)).survey(batch_size=2, progress=stop)


@pytest.mark.parametrize("how", ["gone", "cut", "replaced by a folder"])
@pytest.mark.parametrize("read_ahead", [0, 2])
def test_a_stack_that_vanishes_while_running_is_named(star: Path, how: str, read_ahead: int) -> None:
    reader = ImageReader(read_particles(star))
    assert sum(len(rows) for rows, _ in reader.batches(batch_size=4)) == zoo.COUNT
    path = star.parents[2] / "Extract" / "odd.mrcs"
    if how == "cut":
        path.write_bytes(path.read_bytes()[:1500])
    else:
        path.unlink()
    if how == "replaced by a folder":
        path.mkdir()
    why = "does not exist any more" if how == "gone" else "can no longer be read"
    with pytest.raises(BlushError, match=rf"run_data\.star, rows 2 and 4: .*odd\.mrcs {why}"):
        list(reader.batches([1, 3], batch_size=4, read_ahead=read_ahead))
    assert sum(len(rows) for rows, _ in reader.batches(zoo.ROWS[::2], batch_size=4)) == 6
