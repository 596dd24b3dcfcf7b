"""Atomic models: reading them, and tables of many."""

from __future__ import annotations

import csv
import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import gemmi
import numpy as np

from blushcore.protocol import BlushError

Split = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class ModelEntry:
    """One row of a table of models."""

    name: str
    path: Path
    split: str
    extent_angstrom: float
    """Longest edge of the bounding box, in Å."""
    kind: str = ""
    """What it is, where the table says: the column ``class_guess``."""


def read_structure(path: Path | str) -> gemmi.Model:
    """Return the heavy atoms of the first model in a PDB or mmCIF file, without waters.

    Raises
    ------
    BlushError
        When the file is missing, no structure, or holds no atoms.
    """
    path = Path(path)
    if not path.is_file():
        raise BlushError(f"There is no atomic model at {path}.", "Give a .pdb or .cif file (gzip is fine).")
    try:
        if path.suffix == ".gz":
            # gemmi takes a truncated file for a shorter one.
            structure = gemmi.read_structure_string(gzip.decompress(path.read_bytes()).decode("latin-1"))
        else:
            structure = gemmi.read_structure(str(path))
    except (RuntimeError, ValueError, OSError, EOFError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
        raise BlushError(f"{path} cannot be read as an atomic model ({reason}).") from error
    structure.setup_entities()
    structure.remove_waters()
    structure.remove_hydrogens()
    if len(structure) == 0 or structure[0].count_atom_sites() == 0:
        raise BlushError(f"{path} holds no atoms.", "Give a PDB or mmCIF file with coordinates.")
    return structure[0]


def atom_positions(model: gemmi.Model) -> np.ndarray:
    """Return the positions of all atoms, float64 ``(n, 3)`` in Å, columns x, y, z."""
    return np.array([site.atom.pos.tolist() for site in model.all()])


def read_model_table(path: Path | str, split: Split | None = None) -> list[ModelEntry]:
    """Read a tab-separated table of models with the columns ``pdb``, ``file``, ``split`` and ``extent_A``.

    Files are named relative to the table's folder. An extent is one number or the edges of a bounding box in Å,
    as ``142x144x198``. ``class_guess`` may say what a model is: ``membrane``, ``amyloid`` …

    Parameters
    ----------
    path
        The table.
    split
        Only the rows of this split.

    Raises
    ------
    BlushError
        When there is no such table, a column is missing, or a row's extent is no number; names the row.
    """
    path = Path(path)
    if not path.is_file():
        raise BlushError(f"There is no table of models at {path}.")
    with path.open(newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    needed = {"pdb", "file", "split", "extent_A"}
    missing = needed - set(rows[0] if rows else ())
    if missing:
        raise BlushError(f"{path} lacks the columns {', '.join(sorted(missing))}.", "It must be tab-separated.")
    return [
        ModelEntry(
            row["pdb"],
            path.parent / row["file"],
            row["split"],
            _extent(row["extent_A"], path, number),
            row.get("class_guess") or "",
        )
        for number, row in enumerate(rows, start=2)
        if split is None or row["split"] == split
    ]


def _extent(text: str | None, table: Path, line: int) -> float:
    try:
        return max(float(edge) for edge in (text or "").split("x"))
    except ValueError:
        raise BlushError(
            f"Line {line} of {table} has the extent {text!r} in column extent_A.",
            "Give Å, as 120 or 142x144x198.",
        ) from None
