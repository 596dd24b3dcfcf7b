"""Many atomic models in one small file: what is carried to a machine that has no models of its own.

A NumPy archive (.npz) with all atoms one after the other: positions in twentieths of an Å about the middle of
each model, atomic numbers, and B factors in whole Å². Positions and B factors are kept as differences from the
atom before, which are small and compress well: some 3 bytes an atom. Names, splits, extents and how many atoms
each model has stand beside them, as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from blushcore.protocol import BlushError
from blushcore.simulation.atoms import Atoms, atoms_of
from blushcore.simulation.structures import ModelEntry, Split, read_model_table, read_structure
from blushcore.volumes import atomic_file

SUFFIX = ".npz"
_FORMAT = "blush-models/1"
_STEP_ANGSTROM = 0.05
_LARGEST_ANGSTROM = 1600.0
"""From the middle of a model: what an int16 holds."""


@dataclass(frozen=True)
class PackedModel(ModelEntry):
    """A model of a pack: its path is the pack's, its atoms are with it."""

    atoms: Atoms | None = field(default=None, compare=False, repr=False)


def read_models(path: Path, split: Split | None = None) -> list[ModelEntry]:
    """Read a table of models, or a pack of them.

    Raises
    ------
    BlushError
        As `read_model_table`; and when a pack cannot be read.
    """
    if path.suffix != SUFFIX:
        return read_model_table(path, split)
    return [entry for entry in _read_pack(path) if split is None or entry.split == split]


def atoms_of_entry(entry: ModelEntry) -> Atoms:
    """Return a model's atoms, from its pack or its file; those of files are kept.

    Raises
    ------
    BlushError
        When the file cannot be read.
    """
    if isinstance(entry, PackedModel) and entry.atoms is not None:
        return entry.atoms
    return _atoms_of_file(entry.path)


@lru_cache(maxsize=1024)
def _atoms_of_file(path: Path) -> Atoms:
    return atoms_of(read_structure(path))


def write_model_pack(path: Path, entries: Sequence[ModelEntry]) -> Iterator[ModelEntry]:
    """Write a pack of models; yields each that was read, and writes the file after the last.

    Raises
    ------
    BlushError
        When a model cannot be read or is too large.
    """
    positions, elements, b_factors = [], [], []
    listed: list[dict[str, str | float | int]] = []
    for entry in entries:
        atoms = atoms_of_entry(entry)
        centred = atoms.positions - (atoms.positions.min(0) + atoms.positions.max(0)) / 2
        if np.abs(centred).max() > _LARGEST_ANGSTROM:
            raise BlushError(f"The model {entry.name} is more than {2 * _LARGEST_ANGSTROM:g} Å across.")
        positions.append(np.rint(centred / _STEP_ANGSTROM).astype(np.int16))
        elements.append(atoms.elements)
        b_factors.append(np.rint(np.clip(atoms.b_factors, 0, 255)).astype(np.uint8))
        listed.append(
            {
                "name": entry.name,
                "split": entry.split,
                "extent": entry.extent_angstrom,
                "kind": entry.kind,
                "atoms": len(atoms),
            }
        )
        yield entry
    steps = _differences(np.concatenate(positions)).T.view(np.uint16)
    arrays = {
        "positions_low": (steps & 255).astype(np.uint8),
        "positions_high": (steps >> 8).astype(np.uint8),
        "elements": np.concatenate(elements),
        "b_factors": _differences(np.concatenate(b_factors)),
        "models": np.frombuffer(json.dumps({"format": _FORMAT, "models": listed}).encode(), np.uint8),
    }
    with atomic_file(path) as stream:
        np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]


def _differences(values: NDArray[np.int16] | NDArray[np.uint8]) -> NDArray[np.int16] | NDArray[np.uint8]:
    """Return each value less the one before, wrapping around: `cumsum` in the same type undoes it."""
    return np.ascontiguousarray(np.diff(values, axis=0, prepend=np.zeros_like(values[:1])))


def _read_pack(path: Path) -> list[PackedModel]:
    if not path.is_file():
        raise BlushError(f"There is no pack of models at {path}.")
    try:
        with np.load(path, allow_pickle=False) as archive:
            listed = json.loads(archive["models"].tobytes())
            if listed["format"] != _FORMAT:
                raise ValueError(f"its format is {listed['format']}")
            low, high = (archive[f"positions_{part}"].astype(np.uint16) for part in ("low", "high"))
            steps = np.ascontiguousarray((low | high << 8).T).view(np.int16)
            positions = np.cumsum(steps, axis=0, dtype=np.int16)
            elements = archive["elements"]
            b_factors = np.cumsum(archive["b_factors"], dtype=np.uint8)
        models, end = [], 0
        for row in listed["models"]:
            part = slice(end, end := end + row["atoms"])
            atoms = Atoms(
                positions[part] * np.float32(_STEP_ANGSTROM), elements[part], b_factors[part].astype(np.float32)
            )
            extent = float(row["extent"])
            models.append(PackedModel(row["name"], path, row["split"], extent, row["kind"], atoms=atoms))
    except (OSError, KeyError, ValueError, TypeError, EOFError, BadZipFile) as error:
        raise BlushError(
            f"{path} cannot be read as a pack of models ({error}).",
            "'blush train PARAMS --pack FILE' makes one.",
        ) from error
    return models
