"""From the names in a STAR table to the stacks they stand for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from blushcore.particles.row_names import named_rows
from blushcore.protocol import BlushError

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray


class StackNames(NamedTuple):
    """The stacks that a table names, each once, and where in them its rows are.

    Attributes
    ----------
    names
        As written in the table, in the order in which they first occur.
    stack_of_row
        (N,) int64: which of the names.
    index_in_stack
        (N,) int64, from 0.
    """

    names: tuple[str, ...]
    stack_of_row: NDArray[np.int64]
    index_in_stack: NDArray[np.int64]


def split_image_names(names: pd.Series[Any], file_name: str, row_numbers: Sequence[int]) -> StackNames:
    """``000012@folder/stack.mrcs`` → image 11 of that stack; a name without @ is a file of one image.

    Parameters
    ----------
    names
        The column ``rlnImageName``.
    file_name, row_numbers
        What messages call the file and its rows.

    Raises
    ------
    BlushError
        If a name is not of that form.
    """
    import pandas as pd

    indices = np.zeros(len(names), np.int64)
    stacks = []
    for position, name in enumerate(names.astype(str)):
        number, at, stack = name.partition("@")
        if not at:
            stacks.append(name)
            continue
        if not (number.isascii() and number.isdigit()) or int(number) < 1 or not stack:
            raise BlushError(
                f"{file_name}, row {row_numbers[position]}: rlnImageName is {name!r}, not number@stack.",
                "Mend that row.",
            )
        indices[position] = int(number) - 1
        stacks.append(stack)
    codes, unique = pd.factorize(pd.Series(stacks, dtype=object))
    return StackNames(tuple(str(name) for name in unique), codes.astype(np.int64), indices)


def locate_stacks(
    stacks: StackNames, star: Path, root: Path | None, row_numbers: Sequence[int] | NDArray[np.integer]
) -> list[Path]:
    """Find each stack: below `root` if one is given, else from the STAR file's folder or one above it.

    RELION's names are relative to the project, and its STAR files lie two folders below.

    Raises
    ------
    BlushError
        If stacks are missing; the first is named, with the rows that need it.
    """
    folders = [root] if root is not None else list(star.absolute().parents)
    found: list[Path] = []
    missing: list[int] = []
    for number, name in enumerate(stacks.names):
        folder = _folder_with(name, folders)
        if folder is None:
            missing.append(number)
            continue
        found.append(folder / name)
        folders.remove(folder)
        folders.insert(0, folder)  # the next is most likely there too
    if missing:
        rows = np.asarray(row_numbers)[stacks.stack_of_row == missing[0]]
        where = f"below {root}" if root is not None else "from the STAR file's folder and those above it"
        verb = "does" if len(missing) == 1 else "do"
        raise BlushError(
            f"{star.name} names {len(stacks.names)} image stacks, and {len(missing)} {verb} not exist: "
            f"{'' if len(missing) == 1 else 'first '}{stacks.names[missing[0]]}, in {named_rows(rows)}.",
            f"Names are looked up {where}: put the files there, mend the names, or give another root.",
        )
    return found


def _folder_with(name: str, folders: Iterable[Path]) -> Path | None:
    # An absolute name stays itself below any folder.
    return next((folder for folder in folders if (folder / name).is_file()), None)
