"""What cannot be used as a map is refused with one sentence that says why, before memory is taken."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mrc_zoo import IMOD_STAMP, mrc_bytes

from blushcore.devices.memory import Memory
from blushcore.protocol import BlushError
from blushcore.volumes import read_map, reading

MAP = np.random.default_rng(5).normal(size=(5, 6, 7)).astype(np.float32)


def refusal(path, **arguments) -> str:
    with pytest.raises(BlushError) as caught:
        read_map(path, **arguments)
    assert caught.value.remedy
    return caught.value.problem


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"mode": 3}, "holds complex numbers (mode 3)"),
        ({"mode": 4}, "holds complex numbers (mode 4)"),
        ({"mode": 16}, "mode 16 (colours)"),
        ({"mode": 5}, "mode 5, which MRC2014 does not have"),
        ({"alpha": 90, "beta": 111.55, "gamma": 90}, "alpha, beta, gamma = 90, 111.55, 90 degrees"),
        ({"gamma": 120}, "is not right-angled"),
        ({"mapc": 1, "mapr": 1, "maps": 3}, "axes 1, 1, 3; they must be 1, 2 and 3"),
        ({"mapc": 0, "mapr": 2, "maps": 3}, "axes 0, 2, 3; they must be 1, 2 and 3"),
        ({"nx": 0}, "impossible size in its header: 0 × 6 × 5"),
        ({"ny": -6}, "impossible size in its header: 7 × -6 × 5"),
        ({"nz": 2_000_000_000}, "impossible size in its header: 7 × 6 × 2000000000"),
        ({"nsymbt": -80}, "extended header has -80 bytes"),
        ({"ispg": 401, "mz": 1}, "is a stack of 5 volumes (space group 401)"),
        ({"ispg": 0, "mz": 1}, "is a stack of 5 images of 7 × 6 pixels"),
        ({"nz": 1}, "two-dimensional image (7 × 6 × 1)"),
        ({"nx": 1}, "two-dimensional image (1 × 6 × 5)"),
        ({"xlen": 0, "ylen": 0, "zlen": 0}, "has no voxel size in its header"),
        (
            {"zlen": 0},
            "has a voxel size of 2 × 2 × 0 Å along x, y, z in its header; plausible are 0.1 to 100 Å",
        ),
        ({"xlen": -14}, "has a voxel size of -2 × 2 × 2 Å"),
        ({"xlen": float("nan")}, "has a voxel size of nan × 2 × 2 Å"),
        ({"voxel": 0.02}, "has a voxel size of 0.02 × 0.02 × 0.02 Å"),
        ({"voxel": 1e4}, "has a voxel size of 1e+04 × 1e+04 × 1e+04 Å"),
        (
            {"voxel": 1.0},
            "exactly 1 Å in its header, which would make the box only 7 Å wide, too small for a particle",
        ),
    ],
)
@pytest.mark.parametrize("order", ["<", ">"])
def test_headers_that_are_no_map(make_map, fields, sentence, order):
    payload = MAP.tobytes() if "mode" in fields else None
    problem = refusal(make_map(MAP, "my.mrc", order=order, payload=payload, **{"mode": 2, **fields}))
    assert problem.startswith("my.mrc ")
    assert sentence in problem


@pytest.mark.parametrize("name", ["a.mrcs", "a.MRCS", "a.mrcs.gz"])
def test_stacks_by_name(make_map, name):
    assert "is a stack of 5 images" in refusal(make_map(MAP, name))


@pytest.mark.parametrize("missing", [1, 100, 4 * MAP.size])
def test_truncated(make_map, missing):
    whole = mrc_bytes(MAP)
    path = make_map(MAP, "short.mrc")
    path.write_bytes(whole[:-missing])
    sentence = (
        f"short.mrc is truncated: its header announces {len(whole)} bytes and it has {len(whole) - missing}."
    )
    assert refusal(path).endswith(sentence)


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress])
@pytest.mark.parametrize("missing", [1, 4 * MAP.size, 4 * MAP.size + 10])
def test_truncated_before_compression(tmp_path, compress, missing):
    path = tmp_path / "a.map.gz"
    path.write_bytes(compress(mrc_bytes(MAP, extended=b"0" * 80)[:-missing]))
    assert "a.map.gz is truncated: its header announces 1944 bytes and it holds less." in refusal(path)


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress])
@pytest.mark.parametrize("keep", [5, 200, 0.5, -6])
def test_truncated_after_compression(tmp_path, compress, keep):
    whole = compress(mrc_bytes(MAP))
    path = tmp_path / "a.map.gz"
    path.write_bytes(whole[: int(keep * len(whole)) if isinstance(keep, float) else keep])
    problem = refusal(path)
    assert "a.map.gz is a damaged or truncated" in problem


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress])
def test_damage_that_looks_like_nan_is_damage(tmp_path, compress):
    spoilt = MAP.copy()
    spoilt[1, 1, 1] = np.nan
    whole = bytearray(compress(mrc_bytes(spoilt)))
    whole[-6] ^= 0xFF  # of the checksum
    path = tmp_path / "a.map.gz"
    path.write_bytes(whole)
    assert "a.map.gz is a damaged or truncated" in refusal(path)


@pytest.mark.parametrize("place", range(100, 900, 100))
@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress])
def test_damaged_after_compression(tmp_path, compress, place):
    """What is read may look like a map; the checksum at the end tells."""
    whole = bytearray(compress(mrc_bytes(MAP)))
    whole[place] ^= 0xFF
    path = tmp_path / "a.map.gz"
    path.write_bytes(whole)
    assert refusal(path)


@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress])
def test_huge_headers_take_no_memory(tmp_path, compress):
    """60,000³ voxels would be 786 TiB."""
    path = tmp_path / "huge.mrc"
    path.write_bytes(compress(mrc_bytes(MAP, nx=60_000, ny=60_000, nz=60_000)))
    tracemalloc.start()
    try:
        problem = refusal(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert "is truncated: its header announces 864000000001024 bytes" in problem
    assert peak < 16 << 20


def test_a_map_larger_than_free_memory(make_map, monkeypatch):
    monkeypatch.setattr(reading, "host_memory", lambda: Memory(total=1000, available=800))
    problem = refusal(make_map(MAP, "big.mrc"))
    assert problem.startswith("big.mrc has 7 × 6 × 5 voxels and needs")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    ("mode", "order", "axes"), [(2, "<", (1, 2, 3)), (2, ">", (3, 1, 2)), (12, "<", (2, 3, 1))]
)
def test_values_that_are_no_numbers(make_map, bad, mode, order, axes):
    values = MAP.copy()
    values[3, 4, 2] = bad
    problem = refusal(make_map(values, mode=mode, order=order, axes=axes))
    assert f"the first is {bad} at voxel x, y, z = 2, 4, 3" in problem


def test_the_place_of_a_bad_value_in_a_later_slab(make_map):
    values = np.zeros((30, 300, 301), dtype=np.float32)
    values[28, 7, 9] = np.nan
    assert "at voxel x, y, z = 9, 7, 28" in refusal(make_map(values))


def test_text_called_mrc(tmp_path):
    path = tmp_path / "a.mrc"
    path.write_text("data_particles\n\nloop_\n_rlnImageName #1\n" * 50)
    assert "a.mrc is not an MRC map: it is text, beginning with 'data_particles'" in refusal(path)
    path.write_text("\n" * 2000)
    assert refusal(path) == "a.mrc is not an MRC map: it is text."


def test_other_files_called_mrc(tmp_path):
    path = tmp_path / "a.mrc"
    path.write_bytes(b"")
    assert refusal(path) == "a.mrc is empty."
    path.write_bytes(b"short")
    assert "it has 5 bytes, and the header alone takes 1024" in refusal(path)
    path.write_bytes(bytes(5000))
    assert "its header is all zeros" in refusal(path)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20)
    assert "its first bytes are not a map's header" in refusal(path)


def test_places_without_a_file(tmp_path):
    assert refusal(tmp_path / "none.mrc").endswith("none.mrc does not exist.")
    assert refusal(tmp_path).endswith("is a folder, not a map.")
    (tmp_path / "file").write_text("x")
    assert "cannot be read: Not a directory" in refusal(tmp_path / "file" / "a.mrc")


def test_no_permission(as_ordinary_user):
    with as_ordinary_user() as folder:
        pass
    path = folder / "secret.mrc"
    path.write_bytes(mrc_bytes(MAP))
    path.chmod(0)
    with as_ordinary_user():
        assert refusal(path).endswith("secret.mrc may not be read by this user.")


@given(st.binary(min_size=0, max_size=3000))
def test_any_bytes_are_a_map_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("any") / "a.mrc"
    path.write_bytes(content)
    assert refusal(path)


@given(
    fields=st.dictionaries(
        st.sampled_from(["nx", "ny", "nz", "mode", "mx", "my", "mz", "mapc", "mapr", "maps", "ispg", "nsymbt"]),
        st.integers(-(2**31), 2**31 - 1) | st.integers(-2, 500),
        max_size=4,
    ),
    stamp=st.sampled_from([0, IMOD_STAMP]),
    order=st.sampled_from("<>"),
)
def test_any_header_is_a_map_or_refused(tmp_path_factory, fields, stamp, order):
    """No damage to a header makes anything but a map or a sentence of it."""
    path = tmp_path_factory.mktemp("any") / "a.mrc"
    path.write_bytes(mrc_bytes(MAP, order=order, imod_stamp=stamp, payload=MAP.tobytes(), **fields))
    with contextlib.suppress(BlushError):
        assert np.isfinite(read_map(path).data).all()
