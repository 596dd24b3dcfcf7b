"""The 1024 bytes at the head of an MRC / CCP4 map, from bytes to meaning.

Sources: MRC2014 (Cheng et al. 2015, JSB 192:146), the CCP4 map format, and IMOD's notes on its two fields.
Field layout and byte order stamps come from `mrcfile`; what older and odder files need is here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from blushcore.protocol import BlushError
from blushcore.volumes.mrc_byte_order import HEADER_BYTES, header_in_byte_order
from blushcore.volumes.volume import MapHeader, Triple

if TYPE_CHECKING:
    from numpy.typing import NDArray

_VALUE_TYPES = {0: "i1", 1: "i2", 2: "f4", 6: "u2", 12: "f2"}
_PACKED_MODE = 101
_COMPLEX_MODES = (3, 4)

_FLATTEST = 10
"""How many times longer or shorter than wide a map may be before it looks like a stack of images."""

_IMOD_STAMP = 1146047817
_IMOD_SIGNED_BYTES, _IMOD_INVERTED_ORIGIN, _IMOD_PACKED = 1, 4, 16

_RIGHT_ANGLE_TOLERANCE = 0.01  # degrees: what rounding in float32 and in old programs leaves


class ImageStackError(BlushError):
    """A file that was to be a map holds two-dimensional images, one or a stack of them."""


@dataclass(frozen=True)
class RawHeader:
    """What the header says about the bytes after it and about the map's place.

    Attributes
    ----------
    file_shape
        Length of (section, row, column) axes, in file order.
    file_axes
        For each of (section, row, column): its place among (z, y, x), so 0 means "runs along z".
    value_type
        How one value is stored, byte order included.
    packed
        Whether two 4-bit values share a byte, the first in the low half; rows begin on a whole byte.
    data_offset
        Bytes before the first value.
    voxel_size
        Å along (z, y, x), as the header has it: 0 or negative where it is unset or broken.
    header
        What written copies keep.
    warnings
        Sentences for the user.
    """

    file_shape: tuple[int, int, int]
    file_axes: tuple[int, int, int]
    value_type: np.dtype[Any]
    packed: bool
    data_offset: int
    voxel_size: Triple
    header: MapHeader
    warnings: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels along (z, y, x)."""
        z, y, x = (self.file_shape[self.file_axes.index(axis)] for axis in range(3))
        return z, y, x

    @property
    def bytes_per_section(self) -> int:
        """Size of one section in the file."""
        _, rows, columns = self.file_shape
        return rows * ((columns + 1) // 2) if self.packed else rows * columns * self.value_type.itemsize

    @property
    def data_bytes(self) -> int:
        """Size of all values in the file."""
        return self.file_shape[0] * self.bytes_per_section


def parse_header(head: bytes, name: str) -> RawHeader:
    """Read the first 1024 bytes of a map.

    Parameters
    ----------
    head
        The bytes; fewer mean that the file is shorter than a header.
    name
        The file's name for messages.

    Raises
    ------
    BlushError
        If these bytes do not begin an MRC file, or begin one that is no three-dimensional map on a right-angled
        grid of real values.
    """
    warnings: list[str] = []
    record = header_in_byte_order(head, name, warnings)
    columns, rows, sections = int(record["nx"]), int(record["ny"]), int(record["nz"])
    _refuse_stacks(record, name)
    angles = [float(record["cellb"][key]) for key in ("alpha", "beta", "gamma")]
    if any(angles) and not all(abs(angle - 90) <= _RIGHT_ANGLE_TOLERANCE for angle in angles):
        listed = ", ".join(f"{angle:g}" for angle in angles)
        raise BlushError(
            f"{name} has a cell that is not right-angled (alpha, beta, gamma = {listed} degrees).",
            "Resample it onto an orthogonal grid first, e.g. with ChimeraX's `volume resample`.",
        )
    axes = _file_axes(record, name, warnings)
    value_type, packed = _value_type(record, name, warnings)
    if columns == rows and max(sections, rows) > _FLATTEST * min(sections, rows):
        warnings.append(
            f"{name} has {sections} sections of {columns} × {rows} voxels; if they are images, it is no map."
        )
    extended = int(record["nsymbt"])
    if extended < 0:
        raise BlushError(f"{name} says that its extended header has {extended} bytes.", "The file is damaged.")

    file_shape = (sections, rows, columns)
    start = _in_zyx([int(record[key]) for key in ("nzstart", "nystart", "nxstart")], axes)
    return RawHeader(
        file_shape=file_shape,
        file_axes=axes,
        value_type=value_type,
        packed=packed,
        data_offset=HEADER_BYTES + extended,
        voxel_size=_voxel_size(record, _in_zyx(file_shape, axes), name, warnings),
        header=MapHeader(
            origin=_origin(record, name, warnings),
            start=(start[0], start[1], start[2]),
            labels=_labels(record),
            space_group=int(record["ispg"]),
        ),
        warnings=tuple(warnings),
    )


def _in_zyx(in_file_order: list[int] | tuple[int, ...], axes: tuple[int, int, int]) -> tuple[int, ...]:
    return tuple(in_file_order[axes.index(axis)] for axis in range(3))


def _refuse_stacks(record: NDArray[Any], name: str) -> None:
    columns, rows, sections = int(record["nx"]), int(record["ny"]), int(record["nz"])
    group, depth = int(record["ispg"]), int(record["mz"])
    if min(columns, rows, sections) == 1:
        raise (ImageStackError if sections == 1 else BlushError)(
            f"{name} holds a two-dimensional image ({columns} × {rows} × {sections}), not a map.",
            "Give a three-dimensional map.",
        )
    if 401 <= group <= 630:
        count = sections // depth if depth > 0 else sections
        raise BlushError(
            f"{name} is a stack of {count} volumes (space group {group}).", "Give one map per file."
        )
    if depth == 1 or name.lower().endswith((".mrcs", ".mrcs.gz", ".mrcs.bz2")):
        raise ImageStackError(
            f"{name} is a stack of {sections} images of {columns} × {rows} pixels, not a map.",
            "Give a three-dimensional map; if this is one, name it .mrc and set MZ in its header to its depth.",
        )


def _file_axes(record: NDArray[Any], name: str, warnings: list[str]) -> tuple[int, int, int]:
    crs = [int(record[key]) for key in ("maps", "mapr", "mapc")]
    if crs == [0, 0, 0]:
        warnings.append(f"{name} does not say in which order its axes are stored; columns are taken to be x.")
        crs = [3, 2, 1]
    if sorted(crs) != [1, 2, 3]:
        raise BlushError(
            f"{name} gives its columns, rows and sections the axes {crs[2]}, {crs[1]}, {crs[0]}; "
            "they must be 1, 2 and 3 in some order.",
            "The header (MAPC, MAPR, MAPS) is damaged.",
        )
    section, row, column = (3 - axis for axis in crs)
    return section, row, column


def _value_type(record: NDArray[Any], name: str, warnings: list[str]) -> tuple[np.dtype[Any], bool]:
    mode = int(record["mode"])
    if mode in _COMPLEX_MODES:
        raise BlushError(
            f"{name} holds complex numbers (mode {mode}), the Fourier transform of something.",
            "Give the map in real space.",
        )
    flags = _imod_flags(record)
    if mode == _PACKED_MODE or (mode == 0 and flags is not None and flags & _IMOD_PACKED):
        return np.dtype("u1"), True
    if mode not in _VALUE_TYPES:
        raise BlushError(
            f"{name} stores its values in mode {mode} (colours), which is no density.",
            "Modes 0, 1, 2, 6, 12 and 101 can be read.",
        )
    kind = _VALUE_TYPES[mode]
    if mode == 0:
        # MRC2014 has signed bytes; older programs, IMOD's among them, wrote unsigned ones.
        if flags is not None:
            kind = "i1" if flags & _IMOD_SIGNED_BYTES else "u1"
        elif float(record["dmin"]) >= 0 and 127 < float(record["dmax"]) <= 255:
            kind = "u1"
            warnings.append(
                f"{name} stores bytes up to {float(record['dmax']):g}; they are read as unsigned, "
                "as old programs wrote them."
            )
    return np.dtype(kind).newbyteorder(record.dtype["mode"].byteorder), False


def _imod_flags(record: NDArray[Any]) -> int | None:
    extra = bytes(record["extra2"])
    order: Literal["big", "little"] = "big" if record.dtype["mode"].str[0] == ">" else "little"
    # extra2 begins at byte 112 of the file; imodStamp and imodFlags lie at 152 and 156.
    if int.from_bytes(extra[40:44], order) != _IMOD_STAMP:
        return None
    return int.from_bytes(extra[44:48], order)


def _voxel_size(record: NDArray[Any], shape: tuple[int, ...], name: str, warnings: list[str]) -> Triple:
    """Length of the cell over its sampling, which need not be the map's own size."""
    sizes = []
    for axis, n in zip("zyx", shape, strict=True):
        sampling = int(record[f"m{axis}"])
        if sampling <= 0:
            warnings.append(
                f"{name} has no cell sampling along {axis} in its header (m{axis} = {sampling}); {n} is taken."
            )
            sampling = n
        # float32 has seven digits: 104.99999 / 100 is 1.05
        sizes.append(float(f"{float(record['cella'][axis]) / sampling:.7g}"))
    return sizes[0], sizes[1], sizes[2]


def _origin(record: NDArray[Any], name: str, warnings: list[str]) -> Triple:
    values = [float(record["origin"][axis]) for axis in "zyx"]
    if not np.isfinite(values).all():
        warnings.append(f"{name} has an origin that is not a number; it is taken as 0.")
        return 0.0, 0.0, 0.0
    flags = _imod_flags(record)
    if flags is not None and flags & _IMOD_INVERTED_ORIGIN:
        values = [-value for value in values]
    return values[0] + 0.0, values[1] + 0.0, values[2] + 0.0


def _labels(record: NDArray[Any]) -> tuple[str, ...]:
    lines = (bytes(line).decode("ascii", "replace") for line in record["label"])
    clean = ("".join(c for c in line if c.isprintable() and c.isascii()).rstrip() for line in lines)
    return tuple(line for line in clean if line)
