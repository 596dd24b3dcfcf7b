"""Maps and stacks of particle images into napari: the readers that napari.yaml names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from blushcore.particles import ImageStack, StarImages, read_star_images
from blushcore.volumes import ImageStackError, UnknownVoxelSizeError, read_map
from napari_blush.layers.contrast import contrast_of_images
from napari_blush.layers.maps import METADATA, map_arguments
from napari_blush.layers.units import ANGSTROM, PIXEL
from napari_blush.notices import errors_are_told, warn

LayerData: TypeAlias = "tuple[Any, dict[str, Any], str]"
Reader: TypeAlias = "Callable[[str | Sequence[str]], list[LayerData]]"

_NOTHING: Any = [(None,)]
"""How a reader tells napari that there is no layer to add, and that this has been dealt with."""

_IMAGES_FOR_CONTRAST = 8


def map_reader(path: str | Sequence[str]) -> Reader:
    """Return the reader of maps, for npe2."""
    return read_maps


def image_reader(path: str | Sequence[str]) -> Reader:
    """Return the reader of image stacks and STAR files, for npe2."""
    return read_images


@errors_are_told(otherwise=_NOTHING)
def read_maps(paths: str | Sequence[str]) -> list[LayerData]:
    """Read maps as napari's layer data.

    A map without a plausible voxel size is shown in pixels, with a warning; a file that turns out to hold
    images is shown as such.

    Raises
    ------
    BlushError
        If a file cannot be read. When a user opened it, napari shows the sentence instead.
    """
    return [map_layer(Path(path)) for path in _listed(paths)]


@errors_are_told(otherwise=_NOTHING)
def read_images(paths: str | Sequence[str]) -> list[LayerData]:
    """Open stacks (.mrcs, .st) or the images of STAR files as napari's layer data; nothing is read but headers.

    Raises
    ------
    BlushError
        If a file cannot be read. When a user opened it, napari shows the sentence instead.
    """
    return [_image_layer(Path(path)) for path in _listed(paths)]


def _listed(paths: str | Sequence[str]) -> Sequence[str]:
    return [paths] if isinstance(paths, str) else paths


def map_layer(path: Path) -> LayerData:
    """Read one map, as `read_maps` does; raises `BlushError` always."""
    known = True
    try:
        volume = read_map(path)
    except UnknownVoxelSizeError as error:
        volume, known = read_map(path, voxel_size=1.0), False
        warn([f"{error.problem} It is shown in pixels until it is given where it is asked for."])
    except ImageStackError:
        return _image_layer(path)
    warn(volume.warnings)
    arguments = map_arguments(
        volume, name=map_name(path), voxel_size_known=known, details={"path": str(path.absolute())}
    )
    return volume.data, arguments, "image"


def map_name(path: Path) -> str:
    """Return a file's name without what says that it is a map: ``half1`` for ``half1.mrc.gz``."""
    name = path.name
    for ending in (".gz", ".bz2", ".mrc", ".map", ".ccp4"):
        if name.lower().endswith(ending) and len(name) > len(ending):
            name = name[: -len(ending)]
    return name


def _image_layer(path: Path) -> LayerData:
    images = read_star_images(path) if path.suffix.lower() == ".star" else ImageStack(path)
    size = images.pixel_size
    unknown = (
        [] if size is not None else [f"The pixel size of {path.name} is not known: it is shown in pixels."]
    )
    warn([*images.warnings, *unknown])
    details: dict[str, Any] = {"path": str(path.absolute()), "voxel_size_known": size is not None}
    if isinstance(images, StarImages):
        details |= {"particles": images.table, "optics": images.optics}
    unit = ANGSTROM if size is not None else PIXEL
    arguments = {
        "name": path.stem,
        # The first axis counts images; another unit there would take the scale bar's unit away (napari 0.9).
        "scale": (1.0, size or 1.0, size or 1.0),
        "units": (unit,) * 3,
        "axis_labels": ("image", "y", "x"),
        "contrast_limits": contrast_of_images(images[:_IMAGES_FOR_CONTRAST]),
        "rgb": False,
        "multiscale": False,
        "metadata": {METADATA: details},
    }
    return images, arguments, "image"
