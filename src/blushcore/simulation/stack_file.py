"""A stack of images written to an MRC file as they come."""

from __future__ import annotations

import math
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from mrcfile.dtypes import HEADER_DTYPE

from blushcore.protocol import BlushError


class StackWriter:
    """Writes square float32 images one after the other; little-endian MRC2014, mode 2.

    Parameters
    ----------
    path
        Must not exist.
    box
        Pixels a side.
    pixel_size
        Å.

    Raises
    ------
    BlushError
        When the file cannot be made or written: a full disk, a folder that is not there.
    """

    def __init__(self, path: Path, box: int, pixel_size: float) -> None:
        self.path = path
        self._box, self._pixel_size = box, pixel_size
        self._count = 0
        self._lowest, self._highest = math.inf, -math.inf
        self._sum = self._sum_of_squares = 0.0
        try:
            self._file = path.open("xb")
            self._file.write(bytes(HEADER_DTYPE.itemsize))
        except OSError as error:
            raise self._problem(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._file.seek(0)
                self._file.write(self._header())
                self._file.flush()
        except OSError as problem:
            raise self._problem(problem) from problem
        finally:
            self._file.close()

    def append(self, images: np.ndarray) -> None:
        """Write images ``(count, box, box)``."""
        values = np.ascontiguousarray(images, dtype="<f4")
        if values.shape[1:] != (self._box, self._box):
            raise ValueError(f"images of {values.shape[1:]} for a stack of {self._box} pixels")
        try:
            self._file.write(values.data)
        except OSError as error:
            raise self._problem(error) from error
        self._count += len(values)
        self._lowest, self._highest = (
            min(self._lowest, float(values.min())),
            max(self._highest, float(values.max())),
        )
        self._sum += float(values.sum(dtype=np.float64))
        self._sum_of_squares += float(np.square(values, dtype=np.float64).sum())

    def _header(self) -> bytes:
        record = np.zeros((), dtype=HEADER_DTYPE.newbyteorder("<"))
        record["mode"] = 2
        for axis, n in zip("xyz", (self._box, self._box, self._count), strict=True):
            record[f"n{axis}"] = n
            record[f"m{axis}"] = 1 if axis == "z" else n
            record["cella"][axis] = self._pixel_size * (1 if axis == "z" else n)
        for angle in ("alpha", "beta", "gamma"):
            record["cellb"][angle] = 90
        record["mapc"], record["mapr"], record["maps"] = 1, 2, 3
        record["nversion"] = 20140
        record["map"] = b"MAP "
        record["machst"] = (0x44, 0x44, 0, 0)
        size = max(1, self._count * self._box**2)
        mean = self._sum / size
        record["dmin"], record["dmax"], record["dmean"] = self._lowest, self._highest, mean
        record["rms"] = math.sqrt(max(0.0, self._sum_of_squares / size - mean**2))
        return bytes(record.tobytes())

    def _problem(self, error: OSError) -> BlushError:
        return BlushError(
            f"The images could not be written to {self.path.parent}: {error.strerror or error}.",
            "Make room there, or write elsewhere.",
        )
