"""What there is to see of an iteration: which files make which layers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

from napari_blush.live.gridding import RunGrid

Role: TypeAlias = str
"""Which of a run's layers it is.

half1, half2
    The half-maps; of a finished run those without a filter.
before
    Mean of the halves' references before the prior; only where the prior is more than a filter.
map
    The map so far: mean of the halves' references after the prior, at first the reference that was given, in
    the end the final map.
difference
    map − before: what the prior changed.
mask
    The solvent mask in force: the one given, or a sphere of the diameter.

Of a run with several classes each has its own ``before``, ``map`` and ``difference``: ``class002/map``.
"""

_LOWEST_FIRST = ("half1", "half2", "before", "map", "difference")
_SOURCES: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "half1": (("half1_unfil",), ("half1",)),
    "half2": (("half2_unfil",), ("half2",)),
    "before": (("half1_before_prior", "half2_before_prior"),),
    "map": (("map",), ("half1", "half2"), ("reference",)),
}
"""The files of which a layer is the mean, by their roles in the run directory; the first complete set."""

_CLASS_FILE = re.compile(r"class(\d+)(_before_prior)?$")
"""The role of a class's map, after the prior or before it."""

_NAMES = {
    "half1": "half 1",
    "half2": "half 2",
    "before": "before the prior",
    "map": "map",
    "difference": "difference (map − before)",
    "mask": "mask",
}


@dataclass(frozen=True)
class MapSet:
    """The files of an iteration that can be shown.

    Attributes
    ----------
    iteration
        Its number.
    sources
        The files of which each layer is the mean.
    grid
        The run's box, if its figures tell; otherwise the maps' own.
    mask
        The file of the solvent mask; None for a sphere.
    diameter_angstrom
        Of that sphere; None for no mask at all.
    shares
        Share of the images in each class, the first one's first; empty where there are no classes.
    """

    iteration: int
    sources: Mapping[Role, tuple[Path, ...]]
    grid: RunGrid | None = None
    mask: Path | None = None
    diameter_angstrom: float | None = None
    shares: tuple[float, ...] = field(default=())

    @classmethod
    def of(
        cls,
        iteration: int,
        files: Mapping[str, Path],
        figures: Mapping[str, Any],
        parameters: Mapping[str, Any],
    ) -> MapSet:
        """Find out what is there.

        Parameters
        ----------
        iteration
            Its number.
        files
            Its files, by their roles.
        figures, parameters
            The iteration's, or of one before, and the run's in force.
        """
        grid = None
        if figures.get("box") and figures.get("voxel_size_angstrom"):
            grid = RunGrid(int(figures["box"]), float(figures["voxel_size_angstrom"]))
        mask, diameter = parameters.get("mask"), parameters.get("diameter")
        shares = tuple(float(share) for share in figures.get("class_distribution") or ())
        return cls(
            iteration,
            _sources_in(files),
            grid,
            Path(mask) if mask else None,
            float(diameter) if diameter else None,
            shares,
        )

    def with_files(self, files: Mapping[str, Path]) -> MapSet:
        """Return it with these files, by their roles, in place of its own."""
        return replace(self, sources=_sources_in(files))

    @property
    def roles(self) -> tuple[Role, ...]:
        """The layers that there are, lowest first."""
        there = set(self.sources)
        there |= {
            partner(role, "difference")
            for role in self.sources
            if base(role) == "map" and partner(role, "before") in there
        }
        order = sorted(there, key=place)
        has_mask = self.mask is not None or self.diameter_angstrom is not None
        return (*order, "mask") if order and has_mask else tuple(order)

    def name(self, role: Role) -> str:
        """Return what a layer is called: a class with its share of the images."""
        number = class_of(role)
        if number is None:
            return _NAMES[role]
        words = f"class {number}"
        if base(role) != "map":
            return f"{words} {base(role)}"  # short: a list of layers leaves out the middle of long names
        return f"{words} ({self.shares[number - 1]:.0%})" if number <= len(self.shares) else words


def class_role(number: int, kind: str) -> Role:
    """Return the role of a class's ``map``, ``before`` or ``difference``; classes count from 1."""
    return f"class{number:03d}/{kind}"


def class_of(role: Role) -> int | None:
    """Return the number of the class that a layer belongs to; None where there are no classes."""
    head, slash, _ = role.partition("/")
    return int(head.removeprefix("class")) if slash else None


def base(role: Role) -> str:
    """Return what a layer shows, of whichever class."""
    return role.rpartition("/")[2]


def partner(role: Role, kind: str) -> Role:
    """Return the layer of another kind that belongs to the same class."""
    head, slash, _ = role.rpartition("/")
    return f"{head}{slash}{kind}"


def place(role: Role) -> tuple[int, int, int]:
    """Return what layers are ordered by, lowest first.

    Maps of classes lie next to each other, the first class uppermost: a grid shows them in this order.
    """
    if role == "mask":
        return (2, 0, 0)
    number, kind = class_of(role) or 0, base(role)
    return (int(number > 0 and kind == "map"), -number, _LOWEST_FIRST.index(kind))


def _sources_in(files: Mapping[str, Path]) -> dict[Role, tuple[Path, ...]]:
    """Return the files of which each layer is the mean."""
    sources: dict[Role, tuple[Path, ...]] = {}
    for role, choices in _SOURCES.items():
        for names in choices:
            if all(name in files for name in names):
                sources[role] = tuple(files[name] for name in names)
                break
    for name, path in files.items():
        if (match := _CLASS_FILE.match(name)) is not None:
            sources[class_role(int(match[1]), "before" if match[2] else "map")] = (path,)
    return sources
