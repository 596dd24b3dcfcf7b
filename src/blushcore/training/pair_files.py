"""Pairs of half-maps from files: real ones, and simulated ones that took long to make.

A table (tab-separated) names them, one pair a row: ``half1``, ``half2``, and optionally ``mask``, ``signal``
(what the halves share, known of simulated pairs), ``truth``, ``resolution``, ``diameter`` and ``voxel_size``
(Å; the latter in place of what headers say) and ``split`` (``train`` or ``validation``). Files are relative to
the table. A folder without a table will do too: files whose names differ in ``half1``/``half2``,
``half_map_1``/``half_map_2`` (the EMDB's) or ``half_A``/``half_B`` (cryoSPARC's) are pairs.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from blushcore.denoiser.network import BLOCK_SIZE, VOXEL_SIZE_ANGSTROM
from blushcore.protocol import BlushError, blaming
from blushcore.shells import fsc, resolution
from blushcore.training.augmentation import HalfMapPair
from blushcore.volumes import (
    Volume,
    describe_box,
    fourier_resample,
    grid_of_voxel_size,
    lowpass,
    pad_or_crop,
    read_grid,
    read_map,
    read_mask,
    require_same_grid,
    soft_mask,
    suggest_threshold,
    write_map,
)
from blushcore.volumes.volume import SAME_VOXEL_SIZE

TABLE = "pairs.tsv"
_COLUMNS = ("half1", "half2", "mask", "signal", "truth", "resolution", "diameter", "split")
_HALF_NAME = re.compile(r"(half(?:[_-]?map)?[_-]?)([12]|[ab](?![a-z]))", re.IGNORECASE)
_OF_AN_ITERATION = re.compile(r"_it\d+_half")
"""RELION's maps within a refinement are filtered: only its final half-maps are pairs."""
_OTHER_HALF = {"1": "2", "2": "1", "a": "b", "b": "a", "A": "B", "B": "A"}
_MAPS = (".mrc", ".map", ".ccp4", ".mrc.gz", ".map.gz", ".mrc.bz2", ".map.bz2")
_ONE_SEVENTH = 1 / 7
_SMALLEST_BOX = BLOCK_SIZE + 16
_MASK_LOWPASS_ANGSTROM = 15.0
_FINEST_ANGSTROM = 2 * VOXEL_SIZE_ANGSTROM
_COARSEST_ANGSTROM = 25.0
"""Unrelated maps agree so far by chance: their first shells hold few components."""
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
    voxel_size: float | None = None

    @property
    def halves(self) -> tuple[Path, Path]:
        """Both half-maps' files."""
        return self.half1, self.half2


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
    try:
        with table.open(newline="", encoding="utf-8-sig") as stream:  # spreadsheets begin with a mark
            rows = list(csv.DictReader(stream, delimiter="\t"))
    except (UnicodeDecodeError, csv.Error) as error:
        raise BlushError(
            f"{table} cannot be read as a table ({error}).", "It must be tab-separated."
        ) from error
    missing = [name for name in ("half1", "half2") if not rows or name not in rows[0]]
    if missing:
        raise BlushError(f"{table} lacks the columns {', '.join(missing)}.", "It must be tab-separated.")
    return [_entry(row, table, number) for number, row in enumerate(rows, start=2)]


def of_split(entries: Sequence[PairEntry], split: str) -> list[PairEntry]:
    """Return the pairs of a split."""
    return [entry for entry in entries if entry.split == split]


def load_pair(entry: PairEntry) -> HalfMapPair:
    """Read a pair onto the network's grid.

    A resolution that is not given is where the FSC inside the mask falls below 1/7, and the network's 3 Å at
    best; a mask that is not given lies around what is dense in the mean of the halves, low-passed to 15 Å.

    Raises
    ------
    BlushError
        When a map cannot be read, is constant or no cube, or does not fit the others; when no mask can be made;
        when the halves agree to no better than 25 Å and no resolution is given.
    """
    return pair_of_halves(entry, *(read_map(path, voxel_size=entry.voxel_size) for path in entry.halves))


def pair_of_halves(entry: PairEntry, half1: Volume, half2: Volume) -> HalfMapPair:
    """Do as `load_pair` with halves that are read already; an error blames ``half1``, ``half2`` or ``mask``."""
    one = half1
    for role, path, volume in zip(("half1", "half2"), entry.halves, (half1, half2), strict=True):
        with blaming(role):
            _require_half_map(path, volume)
            require_same_grid(entry.half1, one, path, volume)

    def read(path: Path) -> Tensor:
        volume = read_map(path, voxel_size=entry.voxel_size)
        require_same_grid(entry.half1, one, path, volume)
        return _on_grid(volume)

    first, second = _on_grid(half1), _on_grid(half2)
    with blaming("mask"):
        if entry.mask is None:
            mask = _mask_of((first + second) / 2, entry.half1)
        else:
            given = read_mask(entry.mask, entry.half1, one, voxel_size=entry.voxel_size)
            mask = _on_grid(given).clamp(0, 1)
    signal, truth = (read(path) if path else None for path in (entry.signal, entry.truth))
    found = entry.resolution or _resolution(first, second, mask)
    if found > _COARSEST_ANGSTROM and entry.resolution is None:
        far = f"only to {found:.0f} Å" if math.isfinite(found) else "nowhere"
        with blaming("half2"):
            raise BlushError(
                f"{entry.half1} and {entry.half2} agree {far}, where their FSC in the mask falls below 1/7.",
                "Check that they are the halves of one reconstruction, or give the resolution.",
            )
    diameter = entry.diameter or _diameter(mask)
    return HalfMapPair(first, second, mask, max(found, _FINEST_ANGSTROM), diameter, signal, truth)


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


def check_pairs(entries: Sequence[PairEntry]) -> None:
    """Find out by their headers whether maps can be pairs, before hours go by.

    Raises
    ------
    BlushError
        When a file is no map, no cube, shorter than it says, or not on its first half's grid.
    """
    for entry in entries:
        shape, voxel_size = read_grid(entry.half1, voxel_size=entry.voxel_size)
        _require_cube(entry.half1, shape, voxel_size)
        for path in (entry.half2, entry.mask, entry.signal, entry.truth):
            if path is None:
                continue
            its_shape, its_size = read_grid(path, voxel_size=entry.voxel_size)
            if its_shape != shape or not np.allclose(its_size, voxel_size, rtol=SAME_VOXEL_SIZE, atol=0):
                raise BlushError(
                    f"{path} ({describe_box(its_shape)} voxels of {its_size[0]:.5g} Å) and {entry.half1} "
                    f"({describe_box(shape)} of {voxel_size[0]:.5g} Å) are not on one grid.",
                    "Resample one of them, or take the pair out.",
                )


def _require_cube(path: Path, shape: Sequence[int], voxel_size: Sequence[float]) -> None:
    if len(set(shape)) > 1 or not np.allclose(voxel_size, voxel_size[0], rtol=SAME_VOXEL_SIZE, atol=0):
        raise BlushError(f"{path} is no cube of cubic voxels.", "Pad or crop it.")


def _require_half_map(path: Path, volume: Volume) -> None:
    _require_cube(path, volume.shape, volume.voxel_size)
    if float(volume.data.min()) == float(volume.data.max()):
        raise BlushError(f"{path} is constant: there is nothing to learn.", "Check that it is the right file.")


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
        number("voxel_size"),
    )


def _by_name(folder: Path) -> list[PairEntry]:
    entries: list[PairEntry] = []
    for half in sorted(file for file in folder.iterdir() if file.name.lower().endswith(_MAPS)):
        match = _HALF_NAME.search(half.name)
        if match is None or _OF_AN_ITERATION.search(half.name):
            continue
        number, place = match[2], match.span(2)
        other = half.with_name(half.name[: place[0]] + _OTHER_HALF[number] + half.name[place[1] :])
        if not other.is_file():
            raise BlushError(
                f"{half} has no other half: there is no {other.name}.",
                "Training on fewer pairs would pass unnoticed: add it, or take the one that is there away.",
            )
        if number.lower() in ("2", "b"):
            continue
        mask = half.with_name(half.name[: match.start()] + "mask" + half.name[match.end() :])
        split = "validation" if len(entries) % _VALIDATION_EVERY == _VALIDATION_EVERY - 1 else "train"
        entries.append(PairEntry(half, other, mask if mask.is_file() else None, split=split))
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
