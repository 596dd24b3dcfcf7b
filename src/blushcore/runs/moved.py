"""A run that was moved together with what it reads: its inputs are found where they lie now.

Parameters hold absolute paths. When a project is moved or seen under another name (another machine, another
mount point), what lay beside or above the run lies so still.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from blushcore.protocol import Parameters

P = TypeVar("P", bound=Parameters)


def found_again(parameters: P, was: Path | None, now: Path) -> tuple[P, list[str]]:
    """Return the parameters with paths that lead nowhere put right, and a sentence about each of them.

    Parameters
    ----------
    parameters
        Of the run.
    was, now
        Where the run directory was when the run was made (None: not known), and where it is.
    """
    changes: dict[str, Any] = {}
    told = []
    if was is not None and was != now.absolute():
        for name, value in parameters:
            several = value if isinstance(value, tuple) else (value,)
            if not all(isinstance(path, Path) for path in several):
                continue
            places = [_place(path, was, now.absolute()) for path in several]
            told += [
                f"{path} is not there; {place} is taken, which lies to the run as that did."
                for path, place in zip(several, places, strict=True)
                if place != path
            ]
            if tuple(places) != several:
                changes[name] = tuple(places) if isinstance(value, tuple) else places[0]
    return (parameters.replace(**changes) if changes else parameters), told


def _place(path: Path, was: Path, now: Path) -> Path:
    """Return where `path` lies now: as it is if it exists, or if it is found nowhere else."""
    return path if path.exists() else next((c for c in _candidates(path, was, now) if c.exists()), path)


def _candidates(path: Path, was: Path, now: Path) -> Iterator[Path]:
    """Yield where `path` would lie if the run, or a folder above it, had been moved with all that is in it."""
    for before, after in zip((was, *was.parents), (now, *now.parents), strict=False):
        if path.is_relative_to(before):
            yield after / path.relative_to(before)
