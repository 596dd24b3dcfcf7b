"""A stack of images in an MRC file, mapped and not read."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from blushcore.particles.lazy import LazyImages
from blushcore.protocol import BlushError
from blushcore.volumes.mrc_byte_order import HEADER_BYTES, header_in_byte_order

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray

_VALUE_TYPES = {0: "i1", 1: "i2", 2: "f4", 6: "u2", 12: "f2"}
_COMPRESSIONS = {b"\x1f\x8b": "gzip", b"BZ": "bzip2"}
_PLAUSIBLE_PIXEL_SIZES = (0.1, 100.0)
"""Å; as for maps."""


class ImageStack(LazyImages):
    """The images of one MRC file (``.mrcs``, ``.st``, or ``.mrc`` with images in it).

    Only the header is read; the images are mapped from the file when they are looked at.

    Parameters
    ----------
    path
        The file, not compressed.

    Attributes
    ----------
    shape
        Number of images, height, width.
    pixel_size
        In Å; None where the header has none, or 1 Å, which programs write when they do not know it.
    announced
        Number of images by the header; more than there are in a truncated file.
    value_type, data_offset
        Of the numbers in the file, in its byte order; bytes before the first.
    warnings
        Sentences for the user.

    Raises
    ------
    BlushError
        If the file cannot be read, is no MRC file, is compressed, holds complex or packed numbers, or is too
        short for a single image. A file too short for all its images has those that are there, and a warning.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        warnings: list[str] = []
        record, file_bytes = self._read_header(warnings)
        name = self.path.name
        mode = int(record["mode"])
        if mode not in _VALUE_TYPES:
            raise BlushError(
                f"{name} stores its images in mode {mode}, which cannot be shown.",
                "Modes 0, 1, 2, 6 and 12 can be read.",
            )
        self.value_type = np.dtype(_VALUE_TYPES[mode]).newbyteorder(record.dtype["mode"].byteorder)
        width, height, announced = int(record["nx"]), int(record["ny"]), int(record["nz"])
        self.announced = announced
        self.data_offset = HEADER_BYTES + max(0, int(record["nsymbt"]))
        there = max(0, file_bytes - self.data_offset) // (width * height * self.value_type.itemsize)
        if there == 0:
            raise BlushError(
                f"{self.path} is truncated: not one of its {announced} images of {width} × {height} pixels is "
                "there whole.",
                "Copy or write the file again.",
            )
        if there < announced:
            warnings.append(
                f"{name} is truncated: its header announces {announced} images, {there} are there and shown."
            )
        self.shape = (min(there, announced), height, width)
        self.pixel_size = _pixel_size(record)
        self.warnings = tuple(warnings)
        self._mapped: np.memmap[Any, Any] | None = None

    def image(self, index: int) -> NDArray[Any]:
        """Return image `index` from 0 as ``[y, x]`` in the file's own type, mapped from the file."""
        if self._mapped is None:
            try:
                self._mapped = np.memmap(
                    self.path, dtype=self.value_type, mode="r", offset=self.data_offset, shape=self.shape
                )
            except (OSError, ValueError) as error:
                raise BlushError(
                    f"{self.path} can no longer be read: {error}.", "Has it been moved or rewritten?"
                ) from error
        return np.asarray(self._mapped[index])

    def _read_header(self, warnings: list[str]) -> tuple[NDArray[Any], int]:
        try:
            with self.path.open("rb") as file:
                head = file.read(HEADER_BYTES)
                file_bytes = file.seek(0, 2)
        except OSError as error:
            why = "does not exist" if error.errno == errno.ENOENT else f"cannot be read: {error.strerror}"
            raise BlushError(f"{self.path} {why}.", "Check the name and the disk.") from error
        if compression := _COMPRESSIONS.get(head[:2]):
            raise BlushError(
                f"{self.path.name} is compressed ({compression}): single images cannot be read from it.",
                "Unpack it first.",
            )
        return header_in_byte_order(head, self.path.name, warnings), file_bytes


def _pixel_size(record: NDArray[Any]) -> float | None:
    """Return the pixel size along x and y in Å where the header has one."""
    sizes = []
    for axis in "xy":
        sampling = int(record[f"m{axis}"])
        # Some programs leave the sampling of a single pixel: then the cell is one pixel's.
        sizes.append(float(record["cella"][axis]) / sampling if sampling > 0 else 0.0)
    low, high = _PLAUSIBLE_PIXEL_SIZES
    if not all(low <= size <= high for size in sizes) or abs(sizes[0] - sizes[1]) > 1e-3 * sizes[0]:
        return None
    return None if abs(sizes[0] - 1) < 1e-5 else float(f"{sizes[0]:.7g}")
