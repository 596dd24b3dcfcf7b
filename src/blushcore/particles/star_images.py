"""The images that a STAR table of particles points at."""

from __future__ import annotations

import os
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from blushcore.particles.image_stack import ImageStack
from blushcore.particles.lazy import LazyImages
from blushcore.particles.stack_names import locate_stacks, split_image_names
from blushcore.particles.star_text import read_star
from blushcore.protocol import BlushError

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

_OPEN_AT_ONCE = 64
"""Stacks kept mapped: each holds a file descriptor."""


class StarImages(LazyImages):
    """The images of a STAR file, one a row, each read from its stack when it is looked at.

    Attributes
    ----------
    path
        The STAR file.
    table
        Its particles, one row an image: RELION's columns as they are.
    optics
        Its optics groups; None in files older than RELION 3.1.
    pixel_size
        In Å, if it is known and the same for all; None otherwise.
    warnings
        Sentences for the user.
    """

    def __init__(self, path: Path, table: pd.DataFrame, optics: pd.DataFrame | None) -> None:
        self.path, self.table, self.optics = path, table, optics
        rows = range(1, len(table) + 1)
        names = split_image_names(table["rlnImageName"], path.name, rows)
        self._index_in_stack, self._stack_of_row = names.index_in_stack, names.stack_of_row
        self._stacks = locate_stacks(names, path, None, np.array(rows))
        self._open: OrderedDict[int, ImageStack] = OrderedDict()
        first = self._stack(int(self._stack_of_row[0]))
        self.shape = (len(table), *first.shape[1:])
        sizes = _pixel_sizes(table, optics)
        self.pixel_size = sizes[0] if len(sizes) == 1 else first.pixel_size if not sizes else None
        warnings = list(first.warnings)
        if len(sizes) > 1:
            listed = ", ".join(f"{size:g}" for size in sizes)
            warnings.append(f"The images of {path.name} have several pixel sizes ({listed} Å).")
        self.warnings = tuple(warnings)

    def image(self, index: int) -> NDArray[Any]:
        """Return image `index` (a row from 0) as ``[y, x]``.

        Raises
        ------
        BlushError
            If its stack cannot be read, ends before it, or holds images of another size than the first.
        """
        stack = self._stack(int(self._stack_of_row[index]))
        inside = int(self._index_in_stack[index])
        if inside >= len(stack):
            raise BlushError(
                f"{self.path.name}, row {index + 1}: there is no image {inside + 1} in {stack.path.name}, "
                f"which has {len(stack)}.",
                "The stack was cut or rewritten since.",
            )
        if stack.shape[1:] != self.shape[1:]:
            raise BlushError(
                f"{self.path.name}, row {index + 1}: the images of {stack.path.name} have {stack.shape[2]} × "
                f"{stack.shape[1]} pixels, the first ones {self.shape[2]} × {self.shape[1]}.",
                "Only images of one size can be shown together.",
            )
        return stack.image(inside)

    def _stack(self, number: int) -> ImageStack:
        if number in self._open:
            self._open.move_to_end(number)
        else:
            self._open[number] = ImageStack(self._stacks[number])
            if len(self._open) > _OPEN_AT_ONCE:
                self._open.popitem(last=False)
        return self._open[number]


def read_star_images(path: str | os.PathLike[str]) -> StarImages:
    """Open the images of a STAR file of particles.

    Stacks are looked for beside the STAR file and from each folder above it: RELION's names are relative to the
    project, and its STAR files lie two folders below.

    Raises
    ------
    BlushError
        If the file cannot be read, has no column ``rlnImageName``, has no row, points at volumes, or at stacks
        that do not exist.
    """
    path = Path(path)
    tables = read_star(path)
    with_images = [name for name, block in tables.items() if "rlnImageName" in block.columns]
    if not with_images:
        named = ", ".join(tables) or "nothing"
        raise BlushError(
            f"{path.name} has no column rlnImageName (it holds: {named}), so there are no images to show.",
            "Give a particles STAR file, such as run_data.star.",
        )
    table, optics = tables[with_images[0]], tables.get("optics")
    if len(table) == 0:
        raise BlushError(f"{path.name} has no particle in it.", "Give a STAR file with particles.")
    if optics is not None and (optics.get("rlnImageDimensionality", np.array([2])) == 3).any():
        raise BlushError(
            f"{path.name} points at subtomograms (rlnImageDimensionality is 3), which are not shown as images.",
            "Open the maps one by one.",
        )
    return StarImages(path, table, optics)


def _pixel_sizes(table: pd.DataFrame, optics: pd.DataFrame | None) -> list[float]:
    """Return the different pixel sizes in Å in the tables: of the optics groups in use, or in the old way."""
    if optics is not None and "rlnImagePixelSize" in optics:
        used = optics
        if "rlnOpticsGroup" in optics and "rlnOpticsGroup" in table:
            used = optics[optics["rlnOpticsGroup"].isin(table["rlnOpticsGroup"].unique())]
        sizes = used["rlnImagePixelSize"]
    elif {"rlnDetectorPixelSize", "rlnMagnification"} <= set(table.columns):
        sizes = table["rlnDetectorPixelSize"] * 1e4 / table["rlnMagnification"]  # µm over magnification
    else:
        return []
    return sorted({float(f"{size:.6g}") for size in sizes if np.isfinite(size) and size > 0})
