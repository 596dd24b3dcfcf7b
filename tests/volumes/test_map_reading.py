"""Every variety of MRC file is delivered as float32 (z, y, x)."""

from __future__ import annotations

import bz2
import gzip
import itertools
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mrc_zoo import BIG, IMOD_STAMP, mrc_bytes

from blushcore.volumes import read_map

PERMUTATIONS = list(itertools.permutations((1, 2, 3)))


def assert_holds(path, values, **arguments):
    volume = read_map(path, **arguments)
    assert volume.data.dtype == np.float32
    assert volume.data.flags.c_contiguous
    np.testing.assert_array_equal(volume.data, values)
    return volume


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("mode", [0, 1, 2, 6, 12])
def test_every_mode_in_both_byte_orders(make_map, values, mode, order):
    assert assert_holds(make_map(values, mode=mode, order=order), values).warnings == ()


@pytest.mark.parametrize("axes", PERMUTATIONS)
@pytest.mark.parametrize("order", ["<", ">"])
def test_every_axis_order(make_map, values, axes, order):
    lengths = {"xlen": 7 * 1.5, "ylen": 6 * 2.5, "zlen": 5 * 3.5}
    starts = {3 - axis: start for axis, start in zip(axes, (11, 12, 13), strict=True)}  # (z, y, x) place
    path = make_map(
        values,
        axes=axes,
        order=order,
        nxstart=11,
        nystart=12,
        nzstart=13,
        xorigin=1,
        yorigin=2,
        zorigin=3,
        **lengths,
    )
    volume = assert_holds(path, values)
    assert volume.voxel_size == (3.5, 2.5, 1.5)
    assert volume.header.start == (starts[0], starts[1], starts[2])  # starts follow the file's axes
    assert volume.header.origin == (3, 2, 1)  # origins do not


@given(
    shape=st.tuples(*[st.integers(2, 9)] * 3),
    axes=st.sampled_from(PERMUTATIONS),
    mode=st.sampled_from([0, 1, 2, 6, 12]),
    order=st.sampled_from("<>"),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_shape_axis_order_and_mode(tmp_path_factory, shape, axes, mode, order, seed):
    values = np.random.default_rng(seed).integers(0, 128, size=shape).astype(np.float32)
    values.flat[0] += values.min() == values.max()  # not constant
    path = tmp_path_factory.mktemp("any") / "map.mrc"
    path.write_bytes(mrc_bytes(values, mode=mode, order=order, axes=axes))
    assert_holds(path, values)


def test_bytes_are_signed_unless_said_otherwise(make_map):
    negative = np.arange(-30, 30, dtype=np.float32).reshape(3, 4, 5)
    assert_holds(make_map(negative, mode=0), negative)


@pytest.mark.parametrize("order", ["<", ">"])
def test_imod_says_whether_bytes_are_signed(make_map, order):
    unsigned = np.arange(200, 260, dtype=np.float32).reshape(3, 4, 5) - 10
    payload = unsigned.astype("u1").tobytes()
    old = make_map(unsigned, mode=0, order=order, payload=payload, imod_stamp=IMOD_STAMP, imod_flags=0)
    assert_holds(old, unsigned)
    signed = np.arange(-30, 30, dtype=np.float32).reshape(3, 4, 5)
    new = make_map(signed, mode=0, order=order, imod_stamp=IMOD_STAMP, imod_flags=1)
    assert_holds(new, signed)


def test_old_unsigned_bytes_are_told_by_the_header_statistics(make_map):
    unsigned = np.arange(190, 250, dtype=np.float32).reshape(3, 4, 5)
    path = make_map(unsigned, mode=0, payload=unsigned.astype("u1").tobytes(), dmin=190, dmax=249)
    (warning,) = assert_holds(path, unsigned).warnings
    assert "bytes up to 249; they are read as unsigned" in warning


@pytest.mark.parametrize("columns", [6, 7])
@pytest.mark.parametrize("fields", [{"mode": 101}, {"mode": 0, "imod_stamp": IMOD_STAMP, "imod_flags": 16}])
def test_two_values_in_a_byte(make_map, columns, fields):
    values = np.random.default_rng(3).integers(0, 16, size=(3, 4, columns)).astype(np.float32)
    padded = np.zeros((3, 4, columns + columns % 2), dtype=np.uint8)
    padded[..., :columns] = values
    payload = (padded[..., 0::2] | padded[..., 1::2] << 4).tobytes()
    assert_holds(make_map(values, payload=payload, **fields), values)


@pytest.mark.parametrize("name", ["a.mrc", "a.map", "a.ccp4", "a.rec", "no-suffix"])
def test_the_name_does_not_matter(make_map, values, name):
    assert_holds(make_map(values, name), values)


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress])
@pytest.mark.parametrize("name", ["a.map.gz", "a.mrc"])
def test_compression_is_told_by_content(tmp_path, values, compress, name):
    path = tmp_path / name
    path.write_bytes(compress(mrc_bytes(values, extended=b"x" * 240)))
    assert assert_holds(path, values).warnings == ()


@pytest.mark.parametrize("exttyp", [b"CCP4", b"FEI1", b"SERI", b"\0\0\0\0"])
def test_extended_headers_are_stepped_over(make_map, values, exttyp):
    assert_holds(make_map(values, extended=b"\xff" * 1234, exttyp=exttyp), values)


def test_old_header_without_identifier_and_stamp(make_map, values):
    for order in "<>":
        path = make_map(values, order=order, map=b"\0\0\0\0", machst=b"\0\0\0\0")
        (warning,) = assert_holds(path, values).warnings
        assert "without map identifier" in warning


def test_stamp_is_missing_but_the_identifier_is_there(make_map, values):
    for order in "<>":
        assert assert_holds(make_map(values, order=order, machst=b"\0\0\0\0"), values).warnings == ()


def test_wrong_stamp(make_map, values):
    (warning,) = assert_holds(make_map(values, order="<", machst=BIG), values).warnings
    assert "stamped with the wrong byte order; read as little-endian" in warning


def test_axis_order_that_is_not_given(make_map, values):
    (warning,) = assert_holds(make_map(values, mapc=0, mapr=0, maps=0), values).warnings
    assert "which order its axes are stored" in warning


def test_cell_larger_than_the_map(make_map, values):
    """Crystallographic maps cover a part of the cell: the voxel is the cell over its own sampling."""
    path = make_map(values, mx=70, my=30, mz=25, xlen=140, ylen=45, zlen=100)
    assert assert_holds(path, values).voxel_size == (4, 1.5, 2)


def test_missing_cell_sampling(make_map, values):
    volume = assert_holds(make_map(values, mx=0), values)
    assert volume.voxel_size == (2, 2, 2)
    assert ".mrc has no cell sampling along x in its header" in volume.warnings[0]


def test_angles_that_are_not_given_are_right(make_map, values):
    assert assert_holds(make_map(values, alpha=0, beta=0, gamma=0), values).warnings == ()


def test_origin_is_negated_where_imod_says_so(make_map, values):
    path = make_map(values, xorigin=1, yorigin=-2, zorigin=3, imod_stamp=IMOD_STAMP, imod_flags=1 | 4)
    assert read_map(path).header.origin == (-3, 2, -1)


def test_origin_that_is_no_number(make_map, values):
    volume = assert_holds(make_map(values, xorigin=float("nan")), values)
    assert volume.header.origin == (0, 0, 0)
    assert "origin that is not a number" in volume.warnings[0]


def test_labels_and_space_group(make_map, values):
    path = make_map(values, ispg=19, nlabl=2, label0=b"first" + b" " * 75, label1=b"caf\xe9 \x00\x01two")
    header = read_map(path).header
    assert header.space_group == 19
    assert header.labels == ("first", "caf two")


@pytest.mark.parametrize("group", [0, 1])
def test_a_map_may_have_the_space_group_of_images(make_map, values, group):
    """RELION 3 wrote maps with ISPG 0."""
    assert_holds(make_map(values, ispg=group), values)


@pytest.mark.parametrize(("sections", "warned"), [(3, True), (4, False), (400, False), (401, True)])
def test_what_may_be_a_stack_of_images(make_map, sections, warned):
    values = np.random.default_rng(0).normal(size=(sections, 40, 40)).astype(np.float32)
    warnings = assert_holds(make_map(values), values).warnings
    assert [f"{sections} sections of 40 × 40 voxels; if they are images" in w for w in warnings] == [
        True
    ] * warned


def test_bytes_after_the_map(make_map, values, tmp_path):
    path = make_map(values)
    path.write_bytes(path.read_bytes() + b"1234567")
    assert "7 bytes after the map" in assert_holds(path, values).warnings[0]
    packed = tmp_path / "a.mrc.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert "7 bytes after the map" in assert_holds(packed, values).warnings[0]


def test_a_constant_map_is_read_with_a_warning(make_map):
    volume = read_map(make_map(np.full((4, 4, 4), 7, dtype=np.float32)))
    assert "every voxel is 7" in volume.warnings[0]


@pytest.mark.parametrize("arguments", [{}, {"mode": 12}, {"order": ">"}, {"axes": (3, 2, 1)}, {"mode": 1}])
def test_memory_is_the_map_and_a_little(make_map, arguments):
    values = np.zeros((256, 256, 256), dtype=np.float32)
    values[80, 80, 80] = 1
    path = make_map(values, **arguments)
    tracemalloc.start()
    try:
        read_map(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < values.nbytes + (24 << 20)  # the map's 64 MiB and three slabs of 8


def test_slabs_are_put_together_in_order(make_map):
    """More sections than one slab holds, with a remainder."""
    values = np.arange(37 * 300 * 301, dtype=np.float32).reshape(37, 300, 301)
    for axes in ((1, 2, 3), (2, 3, 1)):
        assert_holds(make_map(values, axes=axes), values)
