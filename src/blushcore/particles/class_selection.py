"""The particles of some classes of a classification, as a table to go on with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from blushcore.particles.particle_table import ParticleTable
from blushcore.particles.stack_names import StackNames, locate_stacks
from blushcore.protocol import BlushError

_CLASS = "rlnClassNumber"


def particles_of_classes(table: ParticleTable, classes: Sequence[int]) -> ParticleTable:
    """Return the particles that are in one of some classes, in their order.

    Parameters
    ----------
    table
        With ``rlnClassNumber``: the ``_data.star`` of a classification, ours or RELION's.
    classes
        Their numbers, from 1.

    Raises
    ------
    BlushError
        If the table has no classes, or one of these has no particle.
    """
    number = _class_numbers(table)
    if missing := [str(one) for one in classes if one not in number]:
        raise BlushError(
            f"{table.path.name} has no particle of class {', '.join(missing)}.", f"It has {_counted(number)}."
        )
    return table.take(np.isin(number, classes))


def largest_class(table: ParticleTable) -> int:
    """Return the number of the class with the most particles, the first of several.

    Raises
    ------
    BlushError
        If the table has no classes.
    """
    number = _class_numbers(table)
    found, counts = np.unique(number[number > 0], return_counts=True)
    return int(found[counts.argmax()]) if len(found) else 1


def where_images_are_missed(table: ParticleTable, star: Path) -> str:
    """Say so if the images of a table are not found from a place where it is written to; else nothing.

    Image names are relative to the project, and looked up from the STAR file's folder and those above it: a
    table that is put elsewhere cannot be refined as it is. The first row's stack stands for all.

    Parameters
    ----------
    table
        Whose names.
    star
        The STAR file that it is written to, there or not.
    """
    name = table.stacks.names[0]
    first = StackNames((name,), np.zeros(1, np.int64), np.zeros(1, np.int64))
    try:
        locate_stacks(first, star, None, table.source_row[:1])
    except BlushError:
        return (
            "From there it cannot be refined as it is: names of images are relative to their project, and "
            f"{name} is neither in {star.absolute().parent} nor in a folder above it. "
            "Write it into the project, or refine it with --root."
        )
    return ""


def _class_numbers(table: ParticleTable) -> NDArray[np.int64]:
    if _CLASS not in table.particles:
        raise BlushError(
            f"{table.path.name} has no classes ({_CLASS}).", "Give the _data.star of a classification."
        )
    return table.column(_CLASS).astype(np.int64)


def _counted(number: NDArray[np.int64]) -> str:
    found, counts = np.unique(number, return_counts=True)
    return ", ".join(f"{count} of class {one}" for one, count in zip(found, counts, strict=True))
