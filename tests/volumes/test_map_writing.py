"""Written maps are valid, keep what was read, and appear whole or not at all."""

from __future__ import annotations

import bz2
import gzip
import io
import itertools
import os
import resource
import subprocess
import sys
from pathlib import Path

import mrcfile
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mrc_zoo import mrc_bytes

from blushcore.protocol import BlushError
from blushcore.volumes import MapHeader, Volume, atomic_file, read_map, write_map


def volume(shape=(5, 6, 7), *, scale=1.0, offset=0.0, **arguments) -> Volume:
    data = (np.random.default_rng(7).normal(size=shape) * scale + offset).astype(np.float32)
    return Volume(data, arguments.pop("voxel_size", (1.5, 1.5, 1.5)), **arguments)


def is_valid(path: Path) -> bool:
    """mrcfile's own check of the format and of the header's statistics."""
    complaints = io.StringIO()
    valid = mrcfile.validate(path, print_file=complaints)
    if not valid:
        print(complaints.getvalue())
    return valid


@pytest.mark.parametrize("name", ["a.mrc", "a.map", "a.map.gz", "a.mrc.bz2"])
@pytest.mark.parametrize(
    ("dtype", "scale", "offset"),
    [
        *(
            ("float32", scale, offset)
            for scale, offset in [(1, 0), (1e-7, 0), (3, 1000), (100, -1e4), (1e6, 1e8)]
        ),
        *(("float16", scale, offset) for scale, offset in [(1, 0), (0.02, 0), (10, 5), (1, 1e-5)]),
    ],
)
def test_valid_and_read_back(tmp_path, dtype, name, scale, offset):
    written = volume(scale=scale, offset=offset)
    write_map(tmp_path / name, written, dtype=dtype)
    assert is_valid(tmp_path / name)
    with mrcfile.open(tmp_path / name) as file:
        assert file.data.dtype == dtype
        np.testing.assert_array_equal(file.data, written.data.astype(dtype))
        assert file.voxel_size.x == pytest.approx(1.5)
    back = read_map(tmp_path / name)
    np.testing.assert_array_equal(back.data, written.data.astype(dtype).astype(np.float32))
    assert back.voxel_size == (1.5, 1.5, 1.5)
    assert back.warnings == ()


def test_statistics_of_what_is_stored(tmp_path):
    """mrcfile cannot check these: it adds float16 numbers up in float16, which overflows."""
    written = volume((40, 30, 20), scale=1000, offset=-900)
    write_map(tmp_path / "a.mrc", written, dtype="float16")
    stored = written.data.astype(np.float16).astype(np.float64)
    with mrcfile.open(tmp_path / "a.mrc", header_only=True) as file:
        assert (file.header.dmin, file.header.dmax) == (stored.min(), stored.max())
        assert file.header.dmean == pytest.approx(stored.mean(), rel=1e-6)
        assert file.header.rms == pytest.approx(stored.std(), rel=1e-6)


@pytest.mark.parametrize("name", ["a.map.gz", "a.map.bz2"])
def test_compressed_by_name_and_the_same_every_time(tmp_path, name):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        write_map(tmp_path / folder / name, volume())
    content = (tmp_path / "one" / name).read_bytes()
    assert content == (tmp_path / "two" / name).read_bytes()
    unpack = gzip.decompress if name.endswith("gz") else bz2.decompress
    assert len(unpack(content)) == 1024 + 4 * 5 * 6 * 7


@given(
    shape=st.tuples(*[st.integers(2, 8)] * 3),
    sizes=st.tuples(*[st.floats(0.3, 10)] * 3),
    origin=st.tuples(*[st.floats(-500, 500, width=32)] * 3),
    start=st.tuples(*[st.integers(-999, 999)] * 3),
    group=st.integers(1, 230),
    labels=st.lists(
        st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=80), max_size=9
    ),
)
def test_what_a_header_says_survives(tmp_path_factory, shape, sizes, origin, start, group, labels):
    path = tmp_path_factory.mktemp("any") / "a.mrc"
    header = MapHeader(origin=origin, start=start, labels=tuple(labels), space_group=group)
    write_map(path, volume(shape, voxel_size=sizes, header=header))
    assert is_valid(path)
    back = read_map(path, voxel_size=None)
    assert back.header.origin == origin
    assert back.header.start == start
    assert back.header.space_group == group
    assert back.header.labels[:-1] == tuple(labels)
    assert back.header.labels[-1].startswith("Written by napari-blush")
    assert back.voxel_size == pytest.approx(sizes, rel=1e-6)


@pytest.mark.parametrize("axes", list(itertools.permutations((1, 2, 3))))
def test_axis_order_round_trip(make_map, tmp_path, values, axes):
    write_map(tmp_path / "out.mrc", read_map(make_map(values, axes=axes, mode=1, order=">", zlen=30)))
    with mrcfile.open(tmp_path / "out.mrc") as file:
        np.testing.assert_array_equal(file.data, values)
        assert (file.header.mapc, file.header.mapr, file.header.maps) == (1, 2, 3)
    assert read_map(tmp_path / "out.mrc").voxel_size == (6, 2, 2)


def test_label_is_added_once_and_the_oldest_stay(tmp_path):
    many = volume(header=MapHeader(labels=tuple(f"step {i}" for i in range(10))))
    path = tmp_path / "a.mrc"
    write_map(path, many)
    once = read_map(path)
    assert once.header.labels[:9] == tuple(f"step {i}" for i in range(9))
    write_map(path, once)
    assert read_map(path).header.labels == once.header.labels
    assert is_valid(path)


def test_space_group_of_images_becomes_that_of_a_map(tmp_path):
    write_map(tmp_path / "a.mrc", volume(header=MapHeader(space_group=0)))
    assert read_map(tmp_path / "a.mrc").header.space_group == 1


@pytest.mark.parametrize(
    ("dtype", "value"), [("float32", 0.0), ("float32", 0.1), ("float16", 2.0), ("float16", 0.0)]
)
def test_a_constant_map(tmp_path, dtype, value):
    constant = Volume(np.full((4, 4, 4), value, dtype=np.float32), (2.0, 2.0, 2.0))
    write_map(tmp_path / "a.mrc", constant, dtype=dtype)
    assert is_valid(tmp_path / "a.mrc")
    np.testing.assert_array_equal(read_map(tmp_path / "a.mrc").data, constant.data)


def test_float16_that_would_harm_is_refused(tmp_path):
    path = tmp_path / "a.mrc"
    with pytest.raises(BlushError, match=r"values up to .* do not fit into float16"):
        write_map(path, volume(scale=1e5), dtype="float16")
    with pytest.raises(BlushError, match=r"float16 would blur the map by \d+\.\d % of its standard deviation"):
        write_map(path, volume(offset=1000), dtype="float16")
    with pytest.raises(BlushError, match="float16 would blur the map"):
        write_map(path, volume(scale=1e-6), dtype="float16")
    with pytest.raises(BlushError, match="float16 would blur the map"):
        write_map(path, Volume(np.full((4, 4, 4), 0.1, dtype=np.float32), (2.0, 2.0, 2.0)), dtype="float16")
    assert not path.exists()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_no_numbers_are_not_written(tmp_path, bad):
    broken = volume()
    broken.data[1, 2, 3] = bad
    with pytest.raises(BlushError, match="holds values that are not finite numbers"):
        write_map(tmp_path / "a.mrc", broken)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.relion
def test_relion_reads_ours(tmp_path):
    written = volume((20, 20, 20), scale=0.3, offset=0.7, voxel_size=(2.125,) * 3)
    write_map(tmp_path / "a.mrc", written)
    done = subprocess.run(
        ["relion_image_handler", "--i", "a.mrc", "--o", "b.mrc", "--multiply_constant", "2"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "rror" not in done.stdout + done.stderr
    theirs = read_map(tmp_path / "b.mrc")
    np.testing.assert_allclose(theirs.data, 2 * written.data, rtol=1e-6)
    assert theirs.isotropic_voxel_size == pytest.approx(2.125, rel=1e-6)


# --- whole or not at all -------------------------------------------------------------------------------------


def test_a_reader_never_sees_half_a_file(tmp_path):
    path = tmp_path / "a.mrc"
    path.write_bytes(b"old")
    with atomic_file(path) as file:
        file.write(b"new and lo")
        file.flush()
        assert path.read_bytes() == b"old"
        file.write(b"nger")
    assert path.read_bytes() == b"new and longer"
    assert [p.name for p in tmp_path.iterdir()] == ["a.mrc"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_in_between_leaves_the_old_file(tmp_path, error):
    path = tmp_path / "a.mrc"
    path.write_bytes(b"old")

    def fail() -> None:
        with atomic_file(path) as file:
            file.write(b"new")
            raise error

    with pytest.raises(error):
        fail()
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.mrc"]


def test_permissions_are_those_of_an_ordinary_file(tmp_path):
    write_map(tmp_path / "a.mrc", volume())
    (tmp_path / "plain").touch()
    assert (tmp_path / "a.mrc").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "a.mrc").symlink_to(tmp_path / "real" / "b.mrc")
    write_map(tmp_path / "a.mrc", volume())
    assert (tmp_path / "a.mrc").is_symlink()
    assert is_valid(tmp_path / "real" / "b.mrc")


def test_a_very_long_name(tmp_path):
    write_map(tmp_path / ("x" * 251 + ".mrc"), volume())


def test_places_that_cannot_be_written_to(tmp_path):
    with pytest.raises(BlushError, match="is a folder"):
        write_map(tmp_path, volume())
    with pytest.raises(BlushError, match="none does not exist"):
        write_map(tmp_path / "none" / "a.mrc", volume())
    (tmp_path / "file").touch()
    with pytest.raises(BlushError, match="file does not exist"):
        write_map(tmp_path / "file" / "a.mrc", volume())


def test_unwritable_folder(as_ordinary_user):
    with as_ordinary_user() as folder:
        pass
    path = folder / "a.mrc"
    path.write_bytes(b"old")
    folder.chmod(0o555)
    with as_ordinary_user(), pytest.raises(BlushError, match="may not be written to"):
        write_map(path, volume())
    assert path.read_bytes() == b"old"
    assert [p.name for p in folder.iterdir()] == ["a.mrc"]


_WRITE_TO = """
import resource, sys
import numpy as np
from blushcore.protocol import BlushError
from blushcore.volumes import Volume, write_map
if limit := int(sys.argv[2]):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    noise = np.random.default_rng(0).normal(size=(64, 64, 64)).astype("f4")
    write_map(sys.argv[1], Volume(noise, (1.5, 1.5, 1.5)))
except BlushError as error:
    print(error.problem)
"""


def _write_in_another_process(path: Path, limit: int = 0) -> str:
    command = [sys.executable, "-c", _WRITE_TO, str(path), str(limit)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="no file size limits here")
@pytest.mark.parametrize("name", ["a.mrc", "a.mrc.gz"])
@pytest.mark.parametrize("limit", [100, 1024, 500_000])
def test_file_size_limit(tmp_path, name, limit):
    path = tmp_path / name
    path.write_bytes(b"old")
    assert "larger than this user's or file system's limit" in _write_in_another_process(path, limit)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.skipif(not (sys.platform == "linux" and os.geteuid() == 0), reason="only root can mount")
def test_full_disk(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"mounting is not allowed here: {mounted.stderr.decode().strip()}")
    try:
        old = mrc_bytes(volume().data)
        (disk / "a.mrc").write_bytes(old)
        said = _write_in_another_process(disk / "a.mrc")
        assert said.startswith("The disk is full (or your quota is used up): ")
        assert (disk / "a.mrc").read_bytes() == old
        assert [p.name for p in disk.iterdir()] == ["a.mrc"]
    finally:
        subprocess.run(["umount", str(disk)], check=True)
