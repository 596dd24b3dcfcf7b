"""The stacks of a table: found, their headers looked at, and images read from them without mapping."""

from __future__ import annotations

import contextlib
import io
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from blushcore.particles.image_stack import ImageStack
from blushcore.particles.row_names import named_rows
from blushcore.particles.stack_names import locate_stacks
from blushcore.protocol import BlushError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blushcore.particles.particle_table import ParticleTable

_OPEN_AT_ONCE = 32
_PIXEL_SIZE_TOLERANCE = 0.01


@dataclass(frozen=True, eq=False)
class CheckedStacks:
    """Stacks that are there, whole as far as the table needs them, with square images of one box a group.

    Attributes
    ----------
    stacks
        One for each name of ``table.stacks``.
    box
        (G,) int64: pixels of each optics group's images.
    warnings
        Sentences for the user.
    """

    stacks: tuple[ImageStack, ...]
    box: NDArray[np.int64]
    warnings: tuple[str, ...]


def check_stacks(table: ParticleTable) -> CheckedStacks:
    """Find all stacks of a table and read their headers.

    Raises
    ------
    BlushError
        If a stack is missing, cannot be read or is too short for the rows that need it (they are named), or if
        images are not square, or not of the size that the table or the others of their optics group have.
    """
    names = table.stacks
    paths = locate_stacks(names, table.path, table.root, table.source_row)
    order = np.argsort(names.stack_of_row, kind="stable")
    bounds = np.searchsorted(names.stack_of_row[order], np.arange(len(paths) + 1))
    boxes = _Boxes(table)
    stacks: list[ImageStack] = []
    warnings: list[str] = []
    for number, path in enumerate(paths):
        rows = order[bounds[number] : bounds[number + 1]]
        try:
            stack = ImageStack(path)
        except BlushError as error:
            raise BlushError(f"{table.name_rows(rows)}: {error.problem}", error.remedy) from error
        _refuse_missing_images(table, stack, rows)
        for group in np.unique(table.optics_index[rows]).tolist():
            boxes.add(stack, group, rows)
            if not warnings:
                warnings += boxes.other_pixel_size(stack, group)
        stacks.append(stack)
    return CheckedStacks(tuple(stacks), boxes.found, tuple(warnings))


class _Boxes:
    """The box of each optics group as its stacks show it, one stack after the other."""

    def __init__(self, table: ParticleTable) -> None:
        self.found = np.zeros(len(table.optics), np.int64)
        self._table, self._stated = table, table.box
        self._numbers = table.optics["rlnOpticsGroup"].tolist()
        self._pixel_sizes = table.pixel_size_angstrom.tolist()

    def add(self, stack: ImageStack, group: int, rows: NDArray[np.int64]) -> None:
        """Take the size of a stack's images, or refuse it."""
        _, height, width = stack.shape
        if height != width:
            raise BlushError(
                f"{self._table.name_rows(rows)}: the images of {stack.path.name} have {width} × {height} "
                "pixels and are not square.",
                "Extract the particles again, with square images.",
            )
        if self._stated is not None:
            expected, why = int(self._stated[group]), f"rlnImageSize of optics group {self._numbers[group]} is"
        else:
            expected = int(self.found[group]) or width
            why = f"others of optics group {self._numbers[group]} have"
        if width != expected:
            raise BlushError(
                f"{self._table.name_rows(rows)}: the images of {stack.path.name} have {width} pixels a side, "
                f"but {why} {expected}.",
                "Put images of another size into an optics group of their own.",
            )
        self.found[group] = width

    def other_pixel_size(self, stack: ImageStack, group: int) -> list[str]:
        """Say so if the stack's header has a pixel size, and another one than the table."""
        size = self._pixel_sizes[group]
        if not stack.pixel_size or abs(stack.pixel_size / size - 1) <= _PIXEL_SIZE_TOLERANCE:
            return []
        said = f"{stack.path.name} says {stack.pixel_size:g} Å a pixel, {self._table.path.name} {size:g} Å"
        return [f"{said} for its optics group {self._numbers[group]}; the STAR file is believed."]


class StackFiles:
    """Reads runs of images; keeps some files open. Of one thread at a time.

    Files are read and not mapped: one that shrinks or vanishes gives an error, where a mapping would end the
    process.
    """

    def __init__(self, stacks: tuple[ImageStack, ...]) -> None:
        self._stacks = stacks
        self._open: OrderedDict[int, io.FileIO] = OrderedDict()

    def read(self, stack: int, first: int, out: NDArray[np.float32]) -> None:
        """Read images `first`, first + 1, … of a stack into `out` (B, n, n).

        Raises
        ------
        OSError, EOFError
            If it cannot be read, or ends before the last of them.
        """
        source = self._stacks[stack]
        direct = source.value_type == out.dtype and out.flags.c_contiguous
        target = out if direct else np.empty(out.shape, source.value_type)
        file = self._file(stack)
        image_bytes = source.shape[1] * source.shape[2] * source.value_type.itemsize
        file.seek(source.data_offset + first * image_bytes)
        view = memoryview(target.reshape(-1).view(np.uint8).data)
        done = 0
        while done < len(view):
            count = file.readinto(view[done:])
            if not count:
                raise EOFError(f"it ends {len(view) - done} bytes early")
            done += count
        if not direct:
            out[...] = target

    def close(self) -> None:
        """Close the files."""
        while self._open:
            with contextlib.suppress(OSError):
                self._open.popitem()[1].close()

    def _file(self, stack: int) -> io.FileIO:
        if stack in self._open:
            self._open.move_to_end(stack)
            return self._open[stack]
        while len(self._open) >= _OPEN_AT_ONCE:
            self._open.popitem(last=False)[1].close()
        self._open[stack] = io.FileIO(self._stacks[stack].path)
        return self._open[stack]


def _refuse_missing_images(table: ParticleTable, stack: ImageStack, rows: NDArray[np.int64]) -> None:
    there = len(stack)
    lacking = rows[table.stacks.index_in_stack[rows] >= there]
    if not len(lacking):
        return
    if there < stack.announced:
        raise BlushError(
            f"{stack.path.name} is truncated: its header announces {stack.announced} images, {there} "
            f"{'is' if there == 1 else 'are'} there. {table.name_rows(lacking)} "
            f"{'points' if len(lacking) == 1 else 'point'} beyond its end.",
            "Copy the stack again, or remove these rows.",
        )
    wanted = int(table.stacks.index_in_stack[lacking[0]]) + 1
    raise BlushError(
        f"{table.name_rows(lacking)}: there is no image {wanted} in {stack.path.name}, which has {there}.",
        f"Mend or remove {named_rows(table.source_row[lacking])}.",
    )
