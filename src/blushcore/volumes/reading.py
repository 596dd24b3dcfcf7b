"""MRC and CCP4 maps from files: plain, gzipped or bzipped."""

from __future__ import annotations

import bz2
import gzip
import io
import math
import os
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

import numpy as np

from blushcore.devices.memory import host_memory
from blushcore.protocol import BlushError
from blushcore.volumes.mrc_byte_order import HEADER_BYTES
from blushcore.volumes.mrc_header import RawHeader, parse_header
from blushcore.volumes.volume import Triple, Volume
from blushcore.volumes.voxel_sizes import checked_voxel_size

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SLAB_BYTES = 4 << 20
_LARGEST_RATIOS = {"gzip": 1032, "bzip2": 1_200_000}
"""How much a byte can unpack to at most: deflate's limit, and a bzip2 block of zeros (45.9 MB in 40 bytes)."""
_COMPRESSIONS = {b"\x1f\x8b": "gzip", b"BZ": "bzip2"}


def read_map(path: str | os.PathLike[str], *, voxel_size: float | None = None) -> Volume:
    """Read a map as float32 ``[z, y, x]``, whatever its mode, byte order, axis order or compression.

    Only the result and slabs of a few megabytes are held in memory.

    Parameters
    ----------
    path
        MRC or CCP4 file. Compression is told by content, not by name.
    voxel_size
        Å, for all axes; takes the place of what the header says. Needed where the header says nothing.

    Raises
    ------
    BlushError
        If the file cannot be opened, is no three-dimensional map of real numbers on a right-angled grid, is
        shorter than its header says, holds values that are not finite, or would not fit into memory.
    UnknownVoxelSizeError
        If its header has no plausible voxel size and none was given: a `BlushError` too.
    ImageStackError
        If it holds one or more two-dimensional images: a `BlushError` too.
    """
    path = Path(path)
    if voxel_size is not None and not (math.isfinite(voxel_size) and voxel_size > 0):
        raise BlushError(
            f"The voxel size given for {path.name} is {voxel_size:g} Å.", "Give a positive number."
        )
    try:
        with path.open("rb") as file:
            compression = _COMPRESSIONS.get(file.peek(2)[:2])
            file_bytes = os.fstat(file.fileno()).st_size
            return _read_stream(_decompressed(file, compression), path, compression, file_bytes, voxel_size)
    except (EOFError, zlib.error) as error:
        raise _damaged(path, error) from error
    except OSError as error:
        raise _why_unreadable(path, error) from error


def read_grid(
    path: str | os.PathLike[str], *, voxel_size: float | None = None
) -> tuple[tuple[int, int, int], Triple]:
    """Read a map's shape and voxel size, both along (z, y, x), without its values.

    Parameters and errors are those of `read_map`, as far as the header tells.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            compression = _COMPRESSIONS.get(file.peek(2)[:2])
            raw = parse_header(_read_up_to(_decompressed(file, compression), HEADER_BYTES), path.name)
            _refuse_what_cannot_be(raw, path, compression, os.fstat(file.fileno()).st_size)
    except (EOFError, zlib.error) as error:
        raise _damaged(path, error) from error
    except OSError as error:
        raise _why_unreadable(path, error) from error
    return raw.shape, checked_voxel_size(raw, path.name, voxel_size)[0]


def constant_warning(name: str, value: float) -> str:
    """Return the sentence that `read_map` says of a map without any contrast."""
    return f"{name} is constant: every voxel is {value:g}."


def _decompressed(file: BinaryIO, compression: str | None) -> BinaryIO:
    if compression == "gzip":
        return cast(BinaryIO, gzip.GzipFile(fileobj=file))
    if compression == "bzip2":
        return cast(BinaryIO, bz2.BZ2File(file))
    return file


def _damaged(path: Path, error: Exception) -> BlushError:
    return BlushError(f"{path} is a damaged or truncated compressed file ({error}).", "Copy it again.")


def _why_unreadable(path: Path, error: OSError) -> BlushError:
    match error:
        case _ if error.errno is None:  # not the system's: gzip and bz2 speak of their own troubles so
            return _damaged(path, error)
        case FileNotFoundError():
            return BlushError(f"{path} does not exist.", "Check the name.")
        case IsADirectoryError() | PermissionError() if path.is_dir():
            return BlushError(f"{path} is a folder, not a map.", "Give the map's file.")
        case PermissionError():
            return BlushError(f"{path} may not be read by this user.", "Change its permissions or copy it.")
        case _:
            return BlushError(
                f"{path} cannot be read: {error.strerror or error}.", "Check the disk and the file."
            )


def _read_stream(
    stream: BinaryIO, path: Path, compression: str | None, file_bytes: int, voxel_size: float | None
) -> Volume:
    raw = parse_header(_read_up_to(stream, HEADER_BYTES), path.name)
    _refuse_what_cannot_be(raw, path, compression, file_bytes)
    chosen, size_warnings = checked_voxel_size(raw, path.name, voxel_size)
    warnings = [*raw.warnings, *size_warnings]

    skipped = raw.data_offset - HEADER_BYTES
    if len(_read_up_to(stream, skipped)) < skipped:
        raise _truncated(path, raw, None)
    try:
        data, lowest, highest = _read_values(stream, raw, path)
    except BlushError:
        if compression is not None:
            _drained(stream)  # values of a damaged file are no fault of the program that wrote them
        raise
    if lowest == highest:
        warnings.append(constant_warning(path.name, lowest))
    surplus = file_bytes - raw.data_offset - raw.data_bytes if compression is None else _drained(stream)
    if surplus:
        warnings.append(f"{path.name} has {surplus} bytes after the map that its header describes, ignored.")
    return Volume(data=data, voxel_size=chosen, header=raw.header, warnings=tuple(warnings))


def _refuse_what_cannot_be(raw: RawHeader, path: Path, compression: str | None, file_bytes: int) -> None:
    """Hold what the header promises against the file and the machine before anything is allocated."""
    promised = raw.data_offset + raw.data_bytes
    if promised > file_bytes * _LARGEST_RATIOS.get(compression or "", 1):
        raise _truncated(path, raw, None if compression else file_bytes)
    needed = 4 * math.prod(raw.file_shape)
    memory = host_memory()
    if needed > memory.available:
        z, y, x = raw.shape
        raise BlushError(
            f"{path.name} has {x} × {y} × {z} voxels and needs {needed / 2**30:.1f} GiB of memory; "
            f"{memory.available / 2**30:.1f} GiB are free.",
            "Use a machine with more memory, or crop or bin the map.",
        )


def _truncated(path: Path, raw: RawHeader, file_bytes: int | None) -> BlushError:
    promised = raw.data_offset + raw.data_bytes
    found = "it holds less" if file_bytes is None else f"it has {file_bytes}"
    return BlushError(
        f"{path} is truncated: its header announces {promised} bytes and {found}.",
        "Copy or write the file again.",
    )


def _read_up_to(stream: BinaryIO, count: int) -> bytes:
    """Read `count` bytes, or as many as there are."""
    parts = []
    while count > 0 and (part := stream.read(min(count, _SLAB_BYTES))):
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def _drained(stream: BinaryIO) -> int:
    """Read a compressed stream to its end, where its checksum is held against it; returns the bytes read."""
    count = 0
    while part := stream.read(_SLAB_BYTES):
        count += len(part)
    return count


def _read_values(stream: BinaryIO, raw: RawHeader, path: Path) -> tuple[NDArray[np.float32], float, float]:
    """Read all values into one (z, y, x) array; returns it with its lowest and highest value."""
    data = np.empty(raw.shape, dtype=np.float32)
    in_file_order = data.transpose(raw.file_axes)
    sections, rows, columns = raw.file_shape
    at_once = max(1, _SLAB_BYTES // raw.bytes_per_section)
    lowest, highest = math.inf, -math.inf
    for first in range(0, sections, at_once):
        count = min(at_once, sections - first)
        slab = bytearray(count * raw.bytes_per_section)
        if _read_into(stream, slab) < len(slab):
            raise _truncated(path, raw, None)
        values = np.frombuffer(slab, dtype=raw.value_type)
        if raw.packed:
            values = _unpacked(values.reshape(count, rows, -1), columns)
        if raw.value_type.kind == "f":
            values = values.astype(np.float32, copy=False)  # numpy is slow on float16 and on foreign byte order
        low, high = float(values.min()), float(values.max())  # NaN if any is
        if not (math.isfinite(low) and math.isfinite(high)):
            raise _not_finite(values.reshape(count, rows, columns), first, raw, path)
        lowest, highest = min(lowest, low), max(highest, high)
        in_file_order[first : first + count] = values.reshape(count, rows, columns)
    return data, lowest, highest


def _read_into(stream: BinaryIO, buffer: bytearray) -> int:
    """Fill `buffer` as far as the stream goes; returns the number of bytes."""
    view, done = memoryview(buffer), 0
    while done < len(view) and (count := cast(io.BufferedIOBase, stream).readinto(view[done:])):
        done += count
    return done


def _unpacked(rows: NDArray[np.uint8], columns: int) -> NDArray[np.uint8]:
    """Two 4-bit values a byte, the first in the low half; the last half byte of an odd row is empty."""
    values = np.stack((rows & 15, rows >> 4), axis=-1)
    return values.reshape(*rows.shape[:2], -1)[..., :columns]


def _not_finite(values: NDArray[np.float32], first: int, raw: RawHeader, path: Path) -> BlushError:
    bad = np.argwhere(~np.isfinite(values))[0]
    index = (int(bad[0]) + first, int(bad[1]), int(bad[2]))
    z, y, x = (index[raw.file_axes.index(axis)] for axis in range(3))
    value = values[tuple(bad)]
    return BlushError(
        f"{path} holds values that are not finite numbers; "
        f"the first is {value} at voxel x, y, z = {x}, {y}, {z}.",
        "Find out which program wrote them; a map with such values cannot be used.",
    )
