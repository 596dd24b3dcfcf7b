"""Maps into MRC2014 files."""

from __future__ import annotations

import bz2
import gzip
import importlib.metadata
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
from mrcfile.dtypes import HEADER_DTYPE

from blushcore.protocol import BlushError
from blushcore.volumes.atomic import atomic_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from numpy.typing import NDArray

    from blushcore.volumes.volume import Volume

_MODES: dict[str, tuple[int, np.dtype[Any]]] = {
    "float32": (2, np.dtype("<f4")),
    "float16": (12, np.dtype("<f2")),
}
_SECTIONS_AT_ONCE_BYTES = 8 << 20
_FLOAT16_LOSS = 0.01
"""Greatest root mean square error of rounding to float16, relative to the map's standard deviation."""


def write_map(
    path: str | os.PathLike[str], volume: Volume, *, dtype: Literal["float32", "float16"] = "float32"
) -> None:
    """Write a map into a file that appears whole or not at all (`atomic_file`); see `encode_map`.

    Raises
    ------
    BlushError
        If the file cannot be written, and as `encode_map`.
    """
    with atomic_file(path) as file:
        encode_map(file, volume, str(path), dtype=dtype)


def encode_map(
    file: BinaryIO, volume: Volume, name: str, *, dtype: Literal["float32", "float16"] = "float32"
) -> None:
    """Write a map as little-endian MRC2014 with axes in the order x, y, z.

    Keeps the header's origin, start indices, space group (0, which means images, becomes 1) and labels, and
    adds one of its own.

    Parameters
    ----------
    file
        Where to; it stays open.
    volume
        Values must be finite.
    name
        The file's; those ending in ``.gz`` or ``.bz2`` are compressed.
    dtype
        ``float16`` (mode 12) halves the size; RELION ≥ 4, ChimeraX and IMOD read it, EMDB does not take it.

    Raises
    ------
    BlushError
        If values are not finite, or float16 would change the map by more than 1 % of its standard deviation.
        Nothing has been written then.
    """
    mode, stored = _MODES[dtype]
    header = _header(volume, mode)
    _fill_statistics(header, volume.data, stored, name)
    stream = _compressed(file, Path(name).suffix.lower())
    stream.write(header.tobytes())
    for slab in _slabs(volume.data):
        stream.write(np.ascontiguousarray(slab, dtype=stored).data)
    if stream is not file:
        stream.close()


def _compressed(file: BinaryIO, suffix: str) -> BinaryIO:
    if suffix == ".gz":
        return cast("BinaryIO", gzip.GzipFile(filename="", mode="wb", fileobj=file, compresslevel=6, mtime=0))
    if suffix == ".bz2":
        return cast("BinaryIO", bz2.BZ2File(file, "wb"))
    return file


def _slabs(data: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    at_once = max(1, _SECTIONS_AT_ONCE_BYTES // max(1, data[0].nbytes))
    for first in range(0, data.shape[0], at_once):
        yield data[first : first + at_once]


def _header(volume: Volume, mode: int) -> NDArray[Any]:
    record = np.zeros((), dtype=HEADER_DTYPE.newbyteorder("<"))
    kept = volume.header
    record["mode"] = mode
    for i, axis in enumerate("zyx"):
        n = volume.shape[i]
        record[f"n{axis}"] = record[f"m{axis}"] = n
        record[f"n{axis}start"] = kept.start[i]
        record["cella"][axis] = n * volume.voxel_size[i]
        record["origin"][axis] = kept.origin[i]
    for angle in ("alpha", "beta", "gamma"):
        record["cellb"][angle] = 90
    record["mapc"], record["mapr"], record["maps"] = 1, 2, 3
    record["ispg"] = kept.space_group if kept.space_group > 0 else 1
    record["nversion"] = 20141  # MRC2014 with mode 12
    record["map"] = b"MAP "
    record["machst"] = (0x44, 0x44, 0, 0)
    labels = _labels(kept.labels)
    record["nlabl"] = len(labels)
    record["label"][: len(labels)] = [label.encode("ascii", "replace")[:80] for label in labels]
    return record


def _labels(before: tuple[str, ...]) -> tuple[str, ...]:
    ours = f"Written by napari-blush {importlib.metadata.version('napari-blush')}"
    others = [label for label in before if label.strip() and label != ours]
    return (*others[:9], ours)


def _fill_statistics(record: NDArray[Any], data: NDArray[np.float32], stored: np.dtype[Any], name: str) -> None:
    """Describe the values as they will be stored, and refuse those that cannot be."""
    lowest, highest, total = math.inf, -math.inf, 0.0
    for slab in _slabs(data):
        lowest, highest = min(lowest, float(slab.min())), max(highest, float(slab.max()))
        total += float(slab.sum(dtype=np.float64))
    if not math.isfinite(total):
        raise BlushError(
            f"{name} was not written: the map holds values that are not finite numbers.",
            "Find out where they come from.",
        )
    largest = max(abs(lowest), abs(highest))
    if largest > float(np.finfo(stored).max):
        raise BlushError(
            f"{name} was not written: values up to {largest:g} do not fit into {stored.name}.", "Write float32."
        )
    mean, first, second, loss = total / data.size, 0.0, 0.0, 0.0
    for slab in _slabs(data):
        deviation = slab.astype(stored, copy=False).astype(np.float64)
        loss += float(((deviation - slab) ** 2).sum())
        deviation -= mean
        first += float(deviation.sum())
        second += float((deviation**2).sum())
    variance = max(0.0, second / data.size - (first / data.size) ** 2)
    if loss > _FLOAT16_LOSS**2 * second:
        raise BlushError(
            f"{name} was not written: {stored.name} would blur the map by "
            f"{100 * math.sqrt(loss / second):.1f} % of its standard deviation.",
            "Write float32, or scale the map.",
        )
    record["dmin"], record["dmax"] = np.array((lowest, highest), dtype=stored)
    record["dmean"] = mean + first / data.size
    record["rms"] = math.sqrt(variance)
