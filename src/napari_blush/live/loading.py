"""How a run's maps are read and made ready to be shown: everything that takes long, beside the GUI."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from blushcore.protocol import BlushError
from blushcore.volumes import MapHeader, Volume, read_map
from napari_blush.layers.contrast import MapContrast, contrast_of_map
from napari_blush.live.gridding import GridMap, RunGrid, on_grid
from napari_blush.live.interpolated import InterpolatedMap
from napari_blush.live.map_sets import MapSet, Role, base, partner

_DIFFERENCE_SIGMAS = 3.0
_NOISY_SHARE = 0.25
_SPHERE_EDGE_VOXELS = 5.0
_CONTRAST_VOXELS = 64
"""Along an axis: a quarter of a million voxels tell the spread of the values to half a per cent."""
_READERS = 2


@dataclass(frozen=True, eq=False)
class LoadedMap:
    """A map as a layer takes it."""

    volume: GridMap
    contrast: MapContrast


@dataclass(frozen=True)
class Look:
    """What the viewer looks at: made beforehand, so that the GUI need not.

    Attributes
    ----------
    axis
        Of the maps, across which they are cut; None in 3D.
    at_angstrom
        Where the cut lies along that axis; None for the middle.
    """

    axis: int | None = 0
    at_angstrom: float | None = None

    def prepare(self, volume: GridMap) -> None:
        """Make what will be drawn first."""
        if not isinstance(volume.data, InterpolatedMap):
            return
        if self.axis is None:
            volume.data.whole()
            return
        last = volume.shape[self.axis] - 1
        index = last // 2
        if self.at_angstrom is not None:
            index = round((self.at_angstrom - volume.position[self.axis]) / volume.voxel_size[self.axis])
        volume.data.plane(self.axis, min(max(index, 0), last))


def load(
    maps: MapSet, wanted: frozenset[Role], largest: int | None, look: Look | None = None
) -> dict[Role, LoadedMap]:
    """Read, average and bring to one grid what is wanted and there; to be called beside the GUI's thread.

    Parameters
    ----------
    maps
        What there is.
    wanted
        What to read; nothing else is touched.
    largest
        Voxels along an axis that are shown at most; None for all.
    look
        What is made of the maps at once; nothing where it is not given.

    Raises
    ------
    BlushError
        If a file cannot be read, or is no cubic map.
    """
    wanted = wanted & frozenset(maps.roles)
    differences = [role for role in wanted if base(role) == "difference"]
    parts = {partner(role, kind) for role in differences for kind in ("before", "map")}
    needed = [role for role in maps.sources if role in wanted | parts]
    read = _read_all(path for role in needed for path in maps.sources[role])
    grid, volumes = maps.grid, dict[Role, GridMap]()
    for role in needed:
        mean = _mean([read[path] for path in maps.sources[role]])
        grid = grid or RunGrid(len(mean.data), mean.isotropic_voxel_size)
        volumes[role] = on_grid(mean, grid, largest)
    read.clear()
    loaded = {role: LoadedMap(volume, _contrast_of(volume.samples)) for role, volume in volumes.items()}
    for role in volumes:
        before = partner(role, "before")
        if base(role) == "map" and before in loaded:
            limits = _between(loaded[before].contrast.limits, loaded[role].contrast.limits)
            for one in (role, before):
                contrast = replace(loaded[one].contrast, limits=limits)
                loaded[one] = replace(loaded[one], contrast=contrast)
    for role in differences:
        loaded[role] = _difference(volumes[partner(role, "map")], volumes[partner(role, "before")])
    if "mask" in wanted:
        grid = grid or _grid_of(maps)
        loaded["mask"] = LoadedMap(_mask(maps, grid, largest), MapContrast((0.0, 1.0), (0.0, 1.0)))
    found = {role: shown for role, shown in loaded.items() if role in wanted}
    if look is not None:
        for shown in found.values():
            look.prepare(shown.volume)
    return found


def _read_all(paths: Iterable[Path]) -> dict[Path, Volume]:
    """Read each file once, some at a time: reading waits for the disk, converting for the processor."""
    every = list(dict.fromkeys(paths))
    with ThreadPoolExecutor(max_workers=_READERS) as pool:
        return dict(zip(every, pool.map(_read_cube, every), strict=True))


def _read_cube(path: Path) -> Volume:
    volume = read_map(path)
    if len(set(volume.shape)) != 1:
        raise BlushError(f"{path} is no map of a refinement: its box is not a cube.")
    return volume


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


def _contrast_of(values: NDArray[np.float32]) -> MapContrast:
    """Return the contrast that suits a map, from a part of its voxels."""
    step = max(1, len(values) // _CONTRAST_VOXELS)
    limits = contrast_of_map(np.ascontiguousarray(values[::step, ::step, ::step]))
    return MapContrast(limits, (float(values.min()), float(values.max())))


def _difference(after: GridMap, before: GridMap) -> LoadedMap:
    if after.samples.shape == before.samples.shape:
        change: NDArray[np.float32] = after.samples - before.samples
    else:
        change = np.asarray(after.data) - np.asarray(before.data)
    sample = change.reshape(-1)[:: max(1, change.size // 1_000_000)]
    reach = _DIFFERENCE_SIGMAS * float(sample.std(dtype=np.float64)) or 1.0
    contrast = MapContrast((-reach, reach), (float(change.min()), float(change.max())))
    n = after.shape[0]
    return LoadedMap(replace(after, data=change if len(change) == n else InterpolatedMap(change, n)), contrast)


def _between(noisy: tuple[float, float], clean: tuple[float, float]) -> tuple[float, float]:
    """Return limits that suit a map before and after the prior: those of the noisy one leave the other dim."""
    (black, white), (clean_black, clean_white) = noisy, clean
    share = _NOISY_SHARE
    return share * black + (1 - share) * clean_black, share * white + (1 - share) * clean_white


def _grid_of(maps: MapSet) -> RunGrid:
    volume = read_map(next(iter(maps.sources.values()))[0])
    return RunGrid(len(volume.data), volume.isotropic_voxel_size)


def _mask(maps: MapSet, grid: RunGrid, largest: int | None) -> GridMap:
    if maps.mask is not None:
        return on_grid(_read_cube(maps.mask), grid, largest)
    assert maps.diameter_angstrom is not None  # `MapSet.roles`
    return sphere(grid, maps.diameter_angstrom / 2, largest)


def sphere(grid: RunGrid, radius_angstrom: float, largest: int | None) -> GridMap:
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
    return GridMap(values, (voxel_size,) * 3, MapHeader(origin=(first,) * 3))
