"""The files of another refinement, RELION's or ours, found from its ``_optimiser.star``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from blushcore.particles import ParticleTable, read_particles
from blushcore.particles.star_text import read_star
from blushcore.protocol import BlushError

if TYPE_CHECKING:
    import pandas as pd


def with_halves_of(optimiser: Path, table: ParticleTable) -> ParticleTable:
    """Return the particles with the half-sets that the other refinement gave them."""
    with reading(optimiser):
        settings = list_block(optimiser, "optimiser_general")
        name = str(settings["rlnExperimentalDataStarFile"])
    other = read_particles(located(name, optimiser), needs_ctf=False)
    return table.with_columns({"rlnRandomSubset": other.half[rows_of(table, other)].astype(np.int64)})


@contextmanager
def reading(optimiser: Path) -> Iterator[None]:
    """Say in a sentence what the files that an ``_optimiser.star`` names lack, or which values cannot be.

    Raises
    ------
    BlushError
        For a `KeyError`, and for a number that is none or 0.
    """
    try:
        yield
    except KeyError as error:
        raise BlushError(
            f"{optimiser} cannot be gone on from: it, or a file that it names, has no {error.args[0]}.",
            "Is it of a refinement with two halves, and whole?",
        ) from error
    except (ValueError, ZeroDivisionError) as error:
        raise BlushError(
            f"{optimiser} cannot be gone on from: a value in it or in one that it names cannot be ({error}).",
            "Is it damaged?",
        ) from error


def rows_of(table: ParticleTable, other: ParticleTable) -> NDArray[np.int64]:
    """Return in which row of `other` each particle of `table` is, by the name of its image.

    Raises
    ------
    BlushError
        If the two are not of the same particles.
    """
    place = {name: row for row, name in enumerate(other.particles["rlnImageName"])}
    rows = table.particles["rlnImageName"].map(place)
    missing = np.flatnonzero(rows.isna())
    if missing.size or len(table) != len(other):
        detail = f"; {table.name_rows(missing)} is not in it" if missing.size else ""
        raise BlushError(
            f"{other.path} has {len(other)} particles, and {table.path} has {len(table)}{detail}.",
            "Go on with the particles that the other refinement was of.",
        )
    return rows.to_numpy(np.int64)


def list_block(path: Path, name: str) -> dict[str, Any]:
    """Return the labels and values of a block that is a plain list."""
    return {str(label): value for label, value in table_block(path, name).iloc[0].items()}


def table_block(path: Path, name: str) -> pd.DataFrame:
    """Return a block as a table.

    Raises
    ------
    BlushError
        If the file cannot be read or has no such block.
    """
    blocks = read_star(path)
    if name not in blocks:
        raise BlushError(f"{path} has no block data_{name}.", "Is it the file that was meant?")
    return blocks[name]


def located(name: str, beside: Path) -> Path:
    """Find a file that a STAR file names: from the folders above it, or beside it.

    Raises
    ------
    BlushError
        If it is in none of them.
    """
    for folder in beside.absolute().parents:
        if (folder / name).is_file():
            return folder / name
    near = beside.absolute().parent / Path(name).name
    if near.is_file():
        return near
    raise BlushError(f"{beside} names {name}, which is not there.", "Has the run been moved in parts?")
