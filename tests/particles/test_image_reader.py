"""Images come as they are in the files, in bounded memory, each once."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest
import star_zoo as zoo
import torch

from blushcore.particles import ImageReader, read_particles
from blushcore.particles.ahead import made_ahead
from particle_files import stack_bytes


def _read(reader: ImageReader, **how: object) -> dict[int, np.ndarray]:
    found: dict[int, np.ndarray] = {}
    for rows, images in reader.batches(**how):  # type: ignore[arg-type]
        assert images.dtype == torch.float32
        assert len(rows) == len(images)
        assert not found.keys() & set(rows.tolist())
        found |= dict(zip(rows.tolist(), images.numpy(), strict=True))
    return found


def _values(rows: np.ndarray | None = None) -> dict[int, np.ndarray]:
    return {int(row): zoo.image_values(row) for row in (zoo.ROWS if rows is None else rows)}


def _assert_same(found: dict[int, np.ndarray], expected: dict[int, np.ndarray]) -> None:
    assert found.keys() == expected.keys()
    for row, image in expected.items():
        assert np.array_equal(found[row], image), row


@pytest.mark.parametrize("mode", [0, 1, 2, 6, 12])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("keep_bytes", [0, 1 << 20])
def test_every_mode_and_byte_order(tmp_path: Path, mode: int, order: str, keep_bytes: int) -> None:
    star = zoo.write_project(tmp_path, zoo.relion31())
    zoo.write_images(tmp_path, mode=mode, order=order)
    reader = ImageReader(read_particles(star), keep_bytes=keep_bytes)
    assert reader.box.tolist() == [zoo.BOX]
    itemsize = {0: 1, 1: 2, 2: 4, 6: 2, 12: 2}[mode]
    assert reader.kept_bytes == (zoo.COUNT * zoo.BOX**2 * itemsize if keep_bytes else 0)
    for _ in range(2):
        _assert_same(_read(reader, batch_size=5), _values())


def test_headers_without_identifier_and_longer_ones(tmp_path: Path) -> None:
    star = zoo.write_project(tmp_path, zoo.relion31())
    path = tmp_path / "Extract" / "odd.mrcs"
    content = bytearray(path.read_bytes())
    content[208:216] = bytes(8)  # neither map id nor stamp
    content[92:96] = (160).to_bytes(4, "little")  # bytes of an extended header
    path.write_bytes(content[:1024] + bytes(160) + content[1024:])
    _assert_same(_read(ImageReader(read_particles(star)), batch_size=4), _values())


@pytest.mark.parametrize("batch_size", [1, 3, 12, 100])
@pytest.mark.parametrize("read_ahead", [0, 1, 4])
def test_batches_of_any_size(tmp_path: Path, batch_size: int, read_ahead: int) -> None:
    reader = ImageReader(read_particles(zoo.write_project(tmp_path, zoo.relion31())))
    some = np.array([7, 2, 11, 0, 4])
    _assert_same(_read(reader, rows=some, batch_size=batch_size, read_ahead=read_ahead), _values(some))
    assert _read(reader, rows=[], batch_size=batch_size, read_ahead=read_ahead) == {}


def test_order_is_the_files_or_the_callers(tmp_path: Path) -> None:
    reader = ImageReader(read_particles(zoo.write_project(tmp_path, zoo.relion31())))
    wanted = [9, 0, 5, 8, 2, 1]

    def order(how: str) -> list[int]:
        return [int(row) for rows, _ in reader.batches(wanted, batch_size=2, order=how) for row in rows]  # type: ignore[arg-type]

    assert order("file") == [0, 2, 8, 1, 5, 9]  # even.mrcs first, then odd.mrcs
    assert order("given") == wanted
    images = reader.images(wanted)
    assert all(np.array_equal(image, zoo.image_values(row)) for image, row in zip(images, wanted, strict=True))


def test_groups_of_other_boxes_do_not_mix(tmp_path: Path) -> None:
    optics = zoo.optics_columns(2) | {"rlnImageSize": [8, 6], "rlnImagePixelSize": [1.5, 2.0]}
    particles = zoo.particle_columns() | {"rlnOpticsGroup": [1, 2] * 6}
    star = zoo.write_project(tmp_path, zoo.loop("optics", optics) + zoo.loop("particles", particles))
    small = np.arange(6 * 36).reshape(6, 6, 6)
    (tmp_path / "Extract" / "odd.mrcs").write_bytes(stack_bytes(small))
    reader = ImageReader(read_particles(star), keep_bytes=1 << 20)
    assert reader.box.tolist() == [8, 6]
    for _ in range(2):
        shapes = []
        for rows, images in reader.batches(batch_size=4, order="given"):
            shapes.append((len(rows), images.shape[1]))
            for row, image in zip(rows.tolist(), images.numpy(), strict=True):
                assert np.array_equal(image, small[row // 2] if row % 2 else zoo.image_values(row))
        assert shapes == [(4, 8), (2, 8), (4, 6), (2, 6)]
    with pytest.raises(ValueError, match="several optics groups"):
        reader.images([0, 1])


def test_what_is_kept_is_read_once(tmp_path: Path) -> None:
    table = read_particles(zoo.write_project(tmp_path, zoo.relion31()))
    needed = zoo.COUNT * zoo.BOX**2 * 4
    assert ImageReader(table, keep_bytes=needed - 1).kept_bytes == 0
    half = ImageReader(table, keep_bytes=needed // 2, rows=np.arange(6))
    assert half.kept_bytes == needed // 2
    _read(half, batch_size=4)
    everything = ImageReader(table, keep_bytes=needed)
    assert everything.kept_bytes == needed
    assert len(everything.survey().rows) == 0
    for path in (tmp_path / "Extract").iterdir():
        path.unlink()
    _assert_same(_read(everything, batch_size=4, order="given"), _values())
    _assert_same(_read(half, rows=np.arange(6), batch_size=4), _values(np.arange(6)))
    with pytest.raises(Exception, match="does not exist any more"):
        _read(half, rows=[7], batch_size=4)


def test_rows_that_share_an_image(tmp_path: Path) -> None:
    star = zoo.write_project(tmp_path, zoo.relion31(rlnImageName=zoo.NAMES[:6] * 2))
    reader = ImageReader(read_particles(star), keep_bytes=1 << 20)
    for _ in range(2):
        _assert_same(_read(reader, batch_size=5), {row: zoo.image_values(row % 6) for row in range(12)})


def test_names_without_number_are_files_of_one_image(tmp_path: Path) -> None:
    star = zoo.write_project(tmp_path, zoo.relion31(rlnImageName=["Extract/one.mrc"] * zoo.COUNT))
    (tmp_path / "Extract" / "one.mrc").write_bytes(stack_bytes(zoo.image_values(3)[None]))
    found = _read(ImageReader(read_particles(star)), batch_size=5)
    _assert_same(found, dict.fromkeys(range(zoo.COUNT), zoo.image_values(3)))


def test_paths_from_star_folder_project_or_root(tmp_path: Path) -> None:
    star = zoo.write_project(tmp_path, zoo.relion31())
    elsewhere = tmp_path.parent / f"{tmp_path.name}-elsewhere"
    elsewhere.mkdir()
    moved = elsewhere / "particles.star"
    moved.write_text(star.read_text())
    with pytest.raises(Exception, match=r"particles\.star names 2 image stacks, and 2 do not exist"):
        ImageReader(read_particles(moved))
    _assert_same(_read(ImageReader(read_particles(moved, root=tmp_path)), batch_size=4), _values())
    (tmp_path / "Extract").rename(elsewhere / "Extract")  # beside the STAR file
    _assert_same(_read(ImageReader(read_particles(moved)), batch_size=4), _values())
    with pytest.raises(Exception, match="looked up below"):
        ImageReader(read_particles(moved, root=tmp_path))
    absolute = [name.replace("@", f"@{elsewhere}/") for name in zoo.NAMES]
    star.write_text(zoo.relion31(rlnImageName=absolute))
    _assert_same(_read(ImageReader(read_particles(star)), batch_size=4), _values())


def test_no_more_is_read_ahead_than_said() -> None:
    made: list[int] = []

    def source() -> object:
        for number in range(20):
            made.append(number)
            yield number

    ahead = made_ahead(source(), 2)  # type: ignore[arg-type]
    assert next(ahead) == 0
    time.sleep(0.3)
    assert len(made) <= 4  # the caller's, two waiting, one in the making
    assert list(ahead) == list(range(1, 20))


@pytest.mark.parametrize("keep_bytes", [0, 1 << 20])
def test_iterations_side_by_side(tmp_path: Path, keep_bytes: int) -> None:
    table = read_particles(zoo.write_project(tmp_path, zoo.relion31()))
    reader = ImageReader(table, keep_bytes=keep_bytes)
    first, second = reader.batches(batch_size=1), reader.batches(batch_size=1, order="given")
    order: list[list[int]] = [[], []]
    for one, two in zip(first, second, strict=True):
        for which, (rows, images) in enumerate((one, two)):
            order[which].append(int(rows[0]))
            assert np.array_equal(images[0], zoo.image_values(int(rows[0])))
    assert order == [[*range(0, 12, 2), *range(1, 12, 2)], list(range(12))]


def test_an_iteration_that_is_left_ends_its_thread(tmp_path: Path) -> None:
    reader = ImageReader(read_particles(zoo.write_project(tmp_path, zoo.relion31())))
    before = threading.active_count()
    batches = reader.batches(batch_size=1, read_ahead=2)
    next(iter(batches))
    assert threading.active_count() == before + 1
    batches.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


def test_memory_does_not_grow_with_the_set(tmp_path: Path) -> None:
    import tracemalloc

    box, count = 64, 3000
    star = zoo.write_project(tmp_path, "")
    with (tmp_path / "Extract" / "large.mrcs").open("wb") as file:
        file.write(stack_bytes(np.zeros((1, box, box)))[:1024])
        file.seek(8)
        file.write(count.to_bytes(4, "little"))
        file.seek(1024)
        image = np.arange(box * box, dtype="<f4").tobytes()
        for _ in range(count):
            file.write(image)
    columns = {
        "rlnImageName": [f"{number + 1}@Extract/large.mrcs" for number in range(count)],
        "rlnOpticsGroup": [1] * count,
        "rlnDefocusU": [10000.0] * count,
    }
    optics = zoo.optics_columns() | {"rlnImageSize": [box]}
    star.write_text(zoo.loop("optics", optics) + zoo.loop("particles", columns))
    reader = ImageReader(read_particles(star))
    tracemalloc.start()
    try:
        done = sum(len(rows) for rows, _ in reader.batches(batch_size=50, read_ahead=2))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert done == count
    assert reader.batch_bytes(50, 2) == 4 * 50 * box * box * 4
    assert peak < reader.batch_bytes(50, 2) + 2_000_000  # the whole set is 49 MB, four batches 3.3
