"""STAR files as tables, in and out."""

from __future__ import annotations

import linecache
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from blushcore.protocol import BlushError
from blushcore.volumes.atomic import atomic_file

if TYPE_CHECKING:
    import pandas as pd

_NAMES = (
    "rlnImageName",
    "rlnImageOriginalName",
    "rlnReconstructImageName",
    "rlnMicrographName",
    "rlnGroupName",
    "rlnOpticsGroupName",
    "rlnMtfFileName",
    "rlnOddZernike",
    "rlnEvenZernike",
    "rlnTomoName",
    "rlnTomoParticleName",
    "rlnCtfImage",
)
"""Columns of words: ``007`` stays so."""

_OTHER_FORMATS = {
    b"\x93NUMPY": ("a cryoSPARC file", "Export it as STAR first (csparc2star.py of pyem does)."),
    b"\x1f\x8b": ("compressed", "Unpack it first."),
    b"BZ": ("compressed", "Unpack it first."),
}
_RELION_VERSION = "# version 30001"
"""The line by which RELION 3.1 and later tell their files from older ones."""


def read_star(path: str | os.PathLike[str]) -> dict[str, pd.DataFrame]:
    """Read every block of a STAR file as a table; a block that is a plain list is a table of one row.

    Columns of numbers are int64 or float64, others are strings. Quoted words are read without their quotes.

    Raises
    ------
    BlushError
        If the file cannot be read, is of another format, or has a row with too few or too many values.
    """
    import pandas as pd
    import starfile

    path = Path(path)
    try:
        with path.open("rb") as file:
            head = file.read(6)
    except OSError as error:
        why = "does not exist" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
        raise BlushError(f"{path} {why}.", "Check the name.") from error
    for magic, (what, remedy) in _OTHER_FORMATS.items():
        if head.startswith(magic):
            raise BlushError(f"{path.name} is {what}, not a STAR file.", remedy)
    linecache.cache.pop(str(path), None)  # the parser keeps the lines of a file over which it stumbled
    try:
        blocks = starfile.read(path, always_dict=True, parse_as_string=list(_NAMES))
    except pd.errors.EmptyDataError as error:
        raise BlushError(f"{path.name} has a table without a single row.", "Is it damaged?") from error
    except Exception as error:  # the parser raises whatever it stumbles over
        said = str(error).strip().rstrip(".").removeprefix("Error tokenizing data. C error: ")
        raise BlushError(f"{path.name} cannot be read as a STAR file: {said}.", "Is it damaged?") from error
    if not blocks:
        _refuse_other_encodings(path)
        raise BlushError(f"{path.name} holds no data block of a STAR file.", "Is it the right file?")
    tables = {}
    for name, block in blocks.items():
        table = pd.DataFrame([block]) if isinstance(block, dict) else block
        if table is None:  # a block's name with nothing below
            continue
        _refuse_short_rows(table, path, name)
        tables[str(name)] = table
    return tables


def write_star(path: str | os.PathLike[str], blocks: Mapping[str, pd.DataFrame | Mapping[str, Any]]) -> None:
    """Write the blocks of a STAR file, as RELION 3.1 and later do; whole, or not at all.

    A table becomes a loop, a mapping of labels to single values a plain list. Words with blanks stand in
    quotes. Numbers are written with up to 12 significant digits, which keeps RELION's own as they are.

    Raises
    ------
    BlushError
        If the file cannot be written.
    """
    with atomic_file(path) as file:
        for name, table in blocks.items():
            if isinstance(table, Mapping):
                rows = "\n".join(f"_{label:<46} {_single(value)}" for label, value in table.items())
                file.write(f"\n{_RELION_VERSION}\n\ndata_{name}\n\n{rows}\n\n".encode())
                continue
            labels = "\n".join(f"_{label} #{number}" for number, label in enumerate(table.columns, 1))
            rows = table.to_csv(
                sep=" ", header=False, index=False, float_format="%.12g", na_rep="nan", lineterminator="\n"
            )
            file.write(f"\n{_RELION_VERSION}\n\ndata_{name}\n\nloop_\n{labels}\n{rows}\n".encode())


def _single(value: object) -> str:
    if isinstance(value, (bool, np.bool_)):
        return str(int(value))
    text = f"{value:.12g}" if isinstance(value, float) else str(value)
    return f'"{text}"' if not text or any(character.isspace() for character in text) else text


def _refuse_other_encodings(path: Path) -> None:
    """Raise a BlushError if it is a STAR file, but not in UTF-8: the parser would take it for an empty one."""
    lines = path.read_bytes().splitlines()
    if not any(line.startswith(b"data_") for line in lines):
        return
    for number, line in enumerate(lines, 1):
        try:
            line.decode()
        except UnicodeDecodeError as error:
            raise BlushError(
                f"{path.name}, line {number} has letters that are not in UTF-8, but in an older encoding.",
                "Write it again as UTF-8 (iconv -f latin1 -t utf-8 OLD > NEW).",
            ) from error


def _refuse_short_rows(table: pd.DataFrame, path: Path, block: str) -> None:
    """Raise a BlushError if a row has no value in the last column, as one with too few values."""
    if table.shape[1] == 0 or len(table) == 0:
        return
    missing = np.flatnonzero(table.iloc[:, -1].isna())
    if 0 < len(missing) < len(table):
        raise BlushError(
            f"{path.name}, row {missing[0] + 1} of data_{block} has no value for {table.columns[-1]}, its last "
            "column: it is cut short, or has a wrong number of values.",
            "Mend or remove that row, or write the file again.",
        )
