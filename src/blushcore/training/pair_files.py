"""Pairs of half-maps from files: real ones, and simulated ones that took long to make.

A table (tab-separated) names them, one pair a row: ``half1``, ``half2``, and optionally ``mask``, ``signal``
(what the halves share, known of simulated pairs), ``truth``, ``resolution`` and ``diameter`` (Å) and ``split``
(``train`` or ``validation``). Files are relative to the table. A folder without a table will do too: files
whose names differ in ``half1``/``half2`` (or ``half_map_1``/``half_map_2``, as in the EMDB) are pairs.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from blushcore.denoiser.network import BLOCK_SIZE, VOXEL_SIZE_ANGSTROM
from blushcore.protocol import BlushError
from blushcore.shells import fsc, resolution
from blushcore.training.augmentation import HalfMapPair
from blushcore.volumes import (
    Volume,
    fourier_resample,
    grid_of_voxel_size,
    lowpass,
    pad_or_crop,
    read_map,
    read_mask,
    require_same_grid,
    soft_mask,
    suggest_threshold,
    write_map,
)

TABLE = "pairs.tsv"
_COLUMNS = ("half1", "half2", "mask", "signal", "truth", "resolution", "diameter", "split")
_HALF_NAME = re.compile(r"(half(?:_?map)?_?)1", re.IGNORECASE)
_MAPS = (".mrc", ".map", ".ccp4", ".mrc.gz", ".map.gz", ".mrc.bz2", ".map.bz2")
_ONE_SEVENTH = 1 / 7
_SMALLEST_BOX = BLOCK_SIZE + 16
_MASK_LOWPASS_ANGSTROM = 15.0
_VALIDATION_EVERY = 10
"""Of pairs without a split, every tenth is for validation."""


@dataclass(frozen=True)
class PairEntry:
    """One row of a table of pairs. Lengths in Å; None for what is to be found out."""

    half1: Path
    half2: Path
    mask: Path | None = None
    signal: Path | None = None
    truth: Path | None = None
    resolution: float | None = None
    diameter: float | None = None
    split: str = "train"


@dataclass(frozen=True)
class StoredPairs:
    """Pairs from files: a `PairSource` that draws one of them."""

    entries: Sequence[PairEntry]

    def __call__(self, generator: np.random.Generator) -> HalfMapPair:
        """Draw an entry and read it."""
        return load_pair(self.entries[int(generator.integers(len(self.entries)))])


def read_pairs(path: Path) -> list[PairEntry]:
    """Read a table of pairs, or find the pairs in a folder.

    Raises
    ------
    BlushError
        When there is no such table or folder, it names no pair, or a column or file is missing or wrong.
    """
    table = path / TABLE if path.is_dir() and (path / TABLE).is_file() else path
    if table.is_dir():
        return _by_name(table)
    if not table.is_file():
        raise BlushError(f"There is no table or folder of half-map pairs at {path}.")
    with table.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    missing = [name for name in ("half1", "half2") if not rows or name not in rows[0]]
    if missing:
        raise BlushError(f"{table} lacks the columns {', '.join(missing)}.", "It must be tab-separated.")
    return [_entry(row, table, number) for number, row in enumerate(rows, start=2)]


def of_split(entries: Sequence[PairEntry], split: str) -> list[PairEntry]:
    """Return the pairs of a split."""
    return [entry for entry in entries if entry.split == split]


def load_pair(entry: PairEntry) -> HalfMapPair:
    """Read a pair onto the network's grid.

    A resolution that is not given is where the FSC inside the mask falls below 1/7; a mask that is not given
    lies around what is dense in the mean of the halves, low-passed to 15 Å.

    Raises
    ------
    BlushError
        When a map cannot be read, is no cube, does not fit the others, or no mask can be made.
    """
    one = read_map(entry.half1)
    if len(set(one.shape)) > 1 or not one.is_isotropic:
        raise BlushError(f"{entry.half1} is no cube of cubic voxels.", "Pad or crop it.")

    def read(path: Path) -> Tensor:
        volume = read_map(path)
        require_same_grid(entry.half1, one, path, volume)
        return _on_grid(volume)

    half1, half2 = _on_grid(one), read(entry.half2)
    if entry.mask is None:
        mask = _mask_of((half1 + half2) / 2, entry.half1)
    else:
        mask = _on_grid(read_mask(entry.mask, entry.half1, one)).clamp(0, 1)
    signal, truth = (read(path) if path else None for path in (entry.signal, entry.truth))
    found = entry.resolution or _resolution(half1, half2, mask)
    diameter = entry.diameter or _diameter(mask)
    return HalfMapPair(half1, half2, mask, found, diameter, signal, truth)


def save_pair(folder: Path, name: str, pair: HalfMapPair, split: str = "train") -> PairEntry:
    """Write a pair as float16 maps and add it to the folder's table; returns what `read_pairs` will."""
    folder.mkdir(parents=True, exist_ok=True)
    scale = float(pair.half1.std())
    files: dict[str, str] = {}
    for role in ("half1", "half2", "mask", "signal", "truth"):
        data = getattr(pair, role)
        if data is None:
            continue
        values = data if role == "mask" else data / scale
        files[role] = f"{name}_{role}.mrc"
        volume = Volume(np.ascontiguousarray(values.numpy(), np.float32), (VOXEL_SIZE_ANGSTROM,) * 3)
        write_map(folder / files[role], volume, dtype="float16")
    row = {**files, "resolution": f"{pair.resolution:.4f}", "diameter": f"{pair.diameter:.2f}", "split": split}
    table = folder / TABLE
    begins = not table.exists()
    with table.open("a", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, _COLUMNS, delimiter="\t", lineterminator="\n")
        if begins:
            writer.writeheader()
        writer.writerow(row)
    return _entry(row, table, 0)


def _entry(row: dict[str, str], table: Path, line: int) -> PairEntry:
    def path(column: str) -> Path | None:
        name = (row.get(column) or "").strip()
        if not name:
            return None
        found = table.parent / name
        if not found.is_file():
            raise BlushError(f"Line {line} of {table} names {column} {name}, which is not there.")
        return found

    def number(column: str) -> float | None:
        text = (row.get(column) or "").strip()
        try:
            value = float(text) if text else None
        except ValueError:
            value = -1.0
        if value is not None and not 0 < value < 1e5:
            raise BlushError(f"Line {line} of {table} has {text!r} in column {column}.", "Give Å.")
        return value

    half1, half2 = path("half1"), path("half2")
    if half1 is None or half2 is None:
        raise BlushError(f"Line {line} of {table} lacks one of its half-maps.")
    split = (row.get("split") or "").strip() or "train"
    if split not in ("train", "validation", "test"):
        raise BlushError(f"Line {line} of {table} has the split {split!r}.", "It is train, validation or test.")
    return PairEntry(
        half1,
        half2,
        path("mask"),
        path("signal"),
        path("truth"),
        number("resolution"),
        number("diameter"),
        split,
    )


def _by_name(folder: Path) -> list[PairEntry]:
    entries: list[PairEntry] = []
    for half1 in sorted(file for file in folder.iterdir() if file.name.lower().endswith(_MAPS)):
        half2 = half1.with_name(_HALF_NAME.sub(r"\g<1>2", half1.name, count=1))
        if half2 == half1 or not half2.is_file():
            continue
        mask = half1.with_name(_HALF_NAME.sub("mask", half1.name, count=1))
        split = "validation" if len(entries) % _VALIDATION_EVERY == _VALIDATION_EVERY - 1 else "train"
        entries.append(PairEntry(half1, half2, mask if mask.is_file() else None, split=split))
    if not entries:
        raise BlushError(
            f"No half-map pairs were found in {folder}.",
            "Their names must differ in half1 and half2, or a table pairs.tsv must name them.",
        )
    return entries


def _on_grid(volume: Volume) -> Tensor:
    """Resample to the network's voxel size; pad small boxes to what blocks need."""
    shape: tuple[int, int, int] = (volume.shape[0],) * 3
    grid, _ = grid_of_voxel_size(shape, volume.voxel_size, VOXEL_SIZE_ANGSTROM)
    resampled = fourier_resample(torch.from_numpy(np.ascontiguousarray(volume.data, np.float32)), grid)
    n = grid[0]
    return resampled if n >= _SMALLEST_BOX else pad_or_crop(resampled, (_SMALLEST_BOX,) * 3)


def _mask_of(mean: Tensor, name: Path) -> Tensor:
    smooth = lowpass(mean, _MASK_LOWPASS_ANGSTROM, VOXEL_SIZE_ANGSTROM).numpy()
    try:
        threshold = suggest_threshold(smooth)
    except BlushError as error:
        raise BlushError(
            f"No particle was found in {name} and its other half to make a mask of.", "Give a mask."
        ) from error
    return torch.from_numpy(soft_mask(smooth, threshold=threshold, extend=3, soft_edge=4))


def _resolution(half1: Tensor, half2: Tensor, mask: Tensor) -> float:
    curve = fsc(half1 * mask, half2 * mask)
    return float(resolution(curve, mask.shape[0] * VOXEL_SIZE_ANGSTROM, _ONE_SEVENTH).interpolated_angstrom)


def _diameter(mask: Tensor) -> float:
    """Diameter of the sphere about the centre that holds the mask, Å."""
    offsets = (mask > 0.5).nonzero() - torch.tensor([n // 2 for n in mask.shape])
    return 2 * float(offsets.double().norm(dim=1).max()) * VOXEL_SIZE_ANGSTROM
