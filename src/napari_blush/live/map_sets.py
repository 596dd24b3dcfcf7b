"""What there is to see of an iteration, and how it is read: everything that takes long, beside the GUI."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from blushcore.protocol import BlushError
from blushcore.volumes import MapHeader, Volume, read_map
from napari_blush.layers.contrast import MapContrast
from napari_blush.live.gridding import RunGrid, on_grid

Role: TypeAlias = Literal["half1", "half2", "before", "map", "difference", "mask"]
ROLES: tuple[Role, ...] = get_args(Role)
"""The layers of a run, lowest first.

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
"""

_SOURCES: Mapping[Role, tuple[tuple[str, ...], ...]] = {
    "half1": (("half1_unfil",), ("half1",)),
    "half2": (("half2_unfil",), ("half2",)),
    "before": (("half1_before_prior", "half2_before_prior"),),
    "map": (("map",), ("half1", "half2"), ("reference",)),
}
"""The files of which a layer is the mean, by their roles in the run directory; the first complete set."""

_DIFFERENCE_SIGMAS = 3.0
_NOISY_SHARE = 0.25
_SPHERE_EDGE_VOXELS = 5.0


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
    """

    iteration: int
    sources: Mapping[Role, tuple[Path, ...]]
    grid: RunGrid | None = None
    mask: Path | None = None
    diameter_angstrom: float | None = None

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
        sources: dict[Role, tuple[Path, ...]] = {}
        for role, choices in _SOURCES.items():
            for names in choices:
                if all(name in files for name in names):
                    sources[role] = tuple(files[name] for name in names)
                    break
        grid = None
        if figures.get("box") and figures.get("voxel_size_angstrom"):
            grid = RunGrid(int(figures["box"]), float(figures["voxel_size_angstrom"]))
        mask, diameter = parameters.get("mask"), parameters.get("diameter")
        return cls(
            iteration, sources, grid, Path(mask) if mask else None, float(diameter) if diameter else None
        )

    @property
    def roles(self) -> tuple[Role, ...]:
        """The layers that there are."""
        there: set[Role] = set(self.sources)
        if {"before", "map"} <= there:
            there.add("difference")
        if there and (self.mask is not None or self.diameter_angstrom is not None):
            there.add("mask")
        return tuple(role for role in ROLES if role in there)


@dataclass(frozen=True, eq=False)
class LoadedMap:
    """A map as a layer takes it."""

    volume: Volume
    contrast: MapContrast


def load(maps: MapSet, wanted: frozenset[Role], largest: int | None) -> dict[Role, LoadedMap]:
    """Read, average and bring to one grid what is wanted and there; to be called beside the GUI's thread.

    Parameters
    ----------
    maps
        What there is.
    wanted
        What to read; nothing else is touched.
    largest
        Voxels along an axis that are shown at most; None for all.

    Raises
    ------
    BlushError
        If a file cannot be read, or is no cubic map.
    """
    wanted = wanted & frozenset(maps.roles)
    needed: list[Role] = [role for role in _SOURCES if role in wanted]
    if "difference" in wanted:
        needed += [role for role in ("before", "map") if role not in needed]
    grid, read, volumes = maps.grid, dict[Path, Volume](), dict[Role, Volume]()
    for role in needed:
        mean = _mean([_read_once(path, read) for path in maps.sources[role]])
        grid = grid or RunGrid(len(mean.data), mean.isotropic_voxel_size)
        volumes[role] = on_grid(mean, grid, largest)
    read.clear()
    loaded = {role: LoadedMap(volume, MapContrast.of(volume.data)) for role, volume in volumes.items()}
    if {"before", "map"} <= loaded.keys():
        limits = _between(loaded["before"].contrast.limits, loaded["map"].contrast.limits)
        for role in ("before", "map"):
            old = loaded[role]
            loaded[role] = replace(old, contrast=replace(old.contrast, limits=limits))
    if "difference" in wanted:
        loaded["difference"] = _difference(volumes["map"], volumes["before"])
    if "mask" in wanted:
        grid = grid or _grid_of(maps)
        loaded["mask"] = LoadedMap(_mask(maps, grid, largest), MapContrast((0.0, 1.0), (0.0, 1.0)))
    return {role: shown for role, shown in loaded.items() if role in wanted}


def _read_once(path: Path, read: dict[Path, Volume]) -> Volume:
    if path not in read:
        volume = read_map(path)
        if len(set(volume.shape)) != 1:
            raise BlushError(f"{path} is no map of a refinement: its box is not a cube.")
        read[path] = volume
    return read[path]


def _mean(volumes: list[Volume]) -> Volume:
    first, others = volumes[0], volumes[1:]
    if not others:
        return first
    if any(other.shape != first.shape for other in others):
        raise BlushError("The two halves' maps differ in size: they are not of one iteration.")
    total = first.data + others[0].data
    for other in others[1:]:
        total += other.data
    total *= np.float32(1 / len(volumes))
    return replace(first, data=total)


def _difference(after: Volume, before: Volume) -> LoadedMap:
    change: NDArray[np.float32] = after.data - before.data
    sample = change.reshape(-1)[:: max(1, change.size // 1_000_000)]
    reach = _DIFFERENCE_SIGMAS * float(sample.std(dtype=np.float64)) or 1.0
    contrast = MapContrast((-reach, reach), (float(change.min()), float(change.max())))
    return LoadedMap(replace(after, data=change), contrast)


def _between(noisy: tuple[float, float], clean: tuple[float, float]) -> tuple[float, float]:
    """Return limits that suit a map before and after the prior: those of the noisy one leave the other dim."""
    (black, white), (clean_black, clean_white) = noisy, clean
    share = _NOISY_SHARE
    return share * black + (1 - share) * clean_black, share * white + (1 - share) * clean_white


def _grid_of(maps: MapSet) -> RunGrid:
    volume = read_map(next(iter(maps.sources.values()))[0])
    return RunGrid(len(volume.data), volume.isotropic_voxel_size)


def _mask(maps: MapSet, grid: RunGrid, largest: int | None) -> Volume:
    if maps.mask is not None:
        return on_grid(_read_once(maps.mask, {}), grid, largest)
    assert maps.diameter_angstrom is not None  # `MapSet.roles`
    return sphere(grid, maps.diameter_angstrom / 2, largest)


def sphere(grid: RunGrid, radius_angstrom: float, largest: int | None) -> Volume:
    """Return a sphere about the box's centre, 1 inside, falling to 0 in five voxels' cosine outside it.

    Parameters
    ----------
    grid, largest
        As for `on_grid`.
    radius_angstrom
        Where it begins to fall.
    """
    n = grid.shown(largest)
    voxel_size = grid.box * grid.voxel_size / n
    squared = ((np.arange(n, dtype=np.float32) - n // 2) * np.float32(voxel_size)) ** 2
    distance = np.sqrt(squared[:, None, None] + squared[:, None] + squared)
    distance -= np.float32(radius_angstrom)
    distance *= np.float32(np.pi / (_SPHERE_EDGE_VOXELS * grid.voxel_size))
    np.clip(distance, 0, np.pi, out=distance)
    values = (0.5 + 0.5 * np.cos(distance)).astype(np.float32)
    first = (grid.box // 2) * grid.voxel_size - (n // 2) * voxel_size
    return Volume(values, (voxel_size,) * 3, MapHeader(origin=(first,) * 3))
