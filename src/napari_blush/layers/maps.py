"""Maps as napari's layers, and layers as maps again.

What napari does not know of a map lies in ``layer.metadata["blush"]``, a plain dict:

``key``, ``layer``
    Which of the plugin's layers this is, and its ``unique_id``; see `add_or_update_map`. Absent in layers of
    opened files. Where a user has duplicated a layer, the copy has both but is another layer: it is the user's.
``path``
    The file that it was read from, as a string; absent in others.
``header``
    The `blushcore.volumes.MapHeader` that a saved copy keeps.
``voxel_size_known``
    False where the file did not say it: the layer is then in pixels.
``contrast_limits``
    Those that were chosen from the values; a layer with others was adjusted by the user.

More can be added by whoever makes the layer: the parameters behind a result, for instance.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from blushcore.protocol import BlushError
from blushcore.volumes import MapHeader, Volume
from napari_blush.layers.contrast import MapContrast, contrast_of_map
from napari_blush.layers.units import ANGSTROM, PIXEL, lengths_in_angstrom

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from napari.components import ViewerModel
    from napari.layers import Image, Layer

METADATA = "blush"
AXES = ("z", "y", "x")


class PlacedMap(Protocol):
    """What a layer needs of a map: a `Volume` has it, and so have maps whose values are made when looked at."""

    @property
    def data(self) -> Any:
        """Values ``[z, y, x]``: an array, or what can be indexed like one."""
        ...

    @property
    def voxel_size(self) -> tuple[float, float, float]:
        """Å along (z, y, x)."""
        ...

    @property
    def header(self) -> MapHeader:
        """What a saved copy keeps."""
        ...

    @property
    def position(self) -> tuple[float, float, float]:
        """Position of voxel (0, 0, 0) in Å."""
        ...


def map_arguments(
    volume: PlacedMap,
    *,
    name: str,
    voxel_size_known: bool = True,
    contrast_limits: tuple[float, float] | None = None,
    details: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the keyword arguments with which napari's Image layer shows `volume` as it is in space.

    Parameters
    ----------
    volume
        The map. Its position (origin or start indices) becomes the layer's translation.
    name
        The layer's name.
    voxel_size_known
        If False, the layer is in pixels.
    contrast_limits
        If not given, they are chosen from the values.
    details
        What else goes into ``metadata["blush"]``.
    """
    limits = contrast_of_map(volume.data) if contrast_limits is None else contrast_limits
    return {
        "name": name,
        **_placement(volume, voxel_size_known),
        "axis_labels": AXES,
        "contrast_limits": limits,
        "interpolation2d": "linear",
        "metadata": {
            METADATA: {
                "header": volume.header,
                "voxel_size_known": voxel_size_known,
                "contrast_limits": limits,
                **(details or {}),
            }
        },
    }


def _placement(volume: PlacedMap, voxel_size_known: bool) -> dict[str, Any]:
    if not voxel_size_known:
        return {"scale": (1.0,) * 3, "translate": (0.0,) * 3, "units": (PIXEL,) * 3}
    return {"scale": volume.voxel_size, "translate": volume.position, "units": (ANGSTROM,) * 3}


def add_or_update_map(
    viewer: ViewerModel,
    key: str,
    volume: PlacedMap,
    *,
    name: str,
    colormap: str = "gray",
    visible: bool = True,
    contrast: MapContrast | None = None,
    details: Mapping[str, Any] | None = None,
) -> Image:
    """Show a map in the layer of that key, which is made if it is not there.

    Updating costs milliseconds and keeps what belongs to the user: contrast limits once changed, gamma, colour
    map, visibility, name once changed, place in the list. Contrast limits that nobody touched follow the
    values.

    Parameters
    ----------
    viewer
        Where to show it.
    key
        The same key is the same layer, whatever its name.
    volume
        The map.
    name, colormap, visible
        For a new layer; a layer that still has the name it was given takes a new one.
    contrast
        If it is known already; finding it out takes tens of milliseconds.
    details
        What goes into ``metadata["blush"]`` beside what is always there, e.g. the parameters behind the map.

    Returns
    -------
    The layer.
    """
    layer = find_map(viewer, key)
    given = {"key": key, "given_name": name, **(details or {})}
    contrast = MapContrast.of(volume.data) if contrast is None else contrast
    arguments = map_arguments(volume, name=name, contrast_limits=contrast.limits, details=given)
    if layer is None:
        from napari.layers import Image

        layer = Image(volume.data, **arguments, colormap=colormap, visible=visible)
        remember(layer, layer=str(layer.unique_id))
        _let_sliders_reach(layer, *contrast.value_range)
        viewer.add_layer(layer)
        return layer

    before = layer.metadata[METADATA]
    metadata = {**before, **arguments["metadata"][METADATA]}
    untouched = np.allclose(layer.contrast_limits, before["contrast_limits"])
    if not untouched:
        metadata["contrast_limits"] = before["contrast_limits"]
    remember(layer, **metadata)
    if layer.name == before["given_name"] != name:
        layer.name = name
    layer.data = volume.data
    for attribute in ("scale", "translate"):
        if not np.allclose(getattr(layer, attribute), arguments[attribute]):
            setattr(layer, attribute, arguments[attribute])
    if untouched and not np.allclose(layer.contrast_limits, arguments["contrast_limits"]):
        layer.contrast_limits = arguments["contrast_limits"]
    _let_sliders_reach(layer, *contrast.value_range)
    return layer


def find_map(viewer: ViewerModel, key: str) -> Image | None:
    """Return the layer that `add_or_update_map` made for `key`, if it is still there."""
    for layer in viewer.layers:
        if key_of(layer) == key:
            found: Image = layer
            return found
    return None


def key_of(layer: Layer) -> str:
    """Return which of the plugin's layers this is; nothing for others, copies of the plugin's among them."""
    kept = layer.metadata.get(METADATA, {})
    is_copy = kept.get("layer", str(layer.unique_id)) != str(layer.unique_id)
    return "" if is_copy else str(kept.get("key", ""))


def remember(layer: Layer, /, **details: Any) -> None:
    """Keep details in a layer's metadata, in a dict of its own: a layer and its copies share the one before."""
    layer.metadata = {**layer.metadata, METADATA: {**layer.metadata.get(METADATA, {}), **details}}


def _let_sliders_reach(layer: Image, lowest: float, highest: float) -> None:
    """Let the contrast sliders run over all values, and over the limits in force."""
    black, white = layer.contrast_limits
    if lowest < highest:
        layer.contrast_limits_range = (min(lowest, black), max(highest, white))


def set_voxel_size(layer: Image, voxel_size: float) -> None:
    """Tell a layer its voxel size in Å, the same along all axes; its file stays as it is.

    Raises
    ------
    BlushError
        If it is not a positive number.
    """
    if not (np.isfinite(voxel_size) and voxel_size > 0):
        raise BlushError(
            f"The voxel size given for {layer.name} is {voxel_size:g} Å.", "Give a positive number."
        )
    kept = layer.metadata.get(METADATA, {})
    header: MapHeader = kept.get("header", MapHeader())
    place = header.origin if any(header.origin) else tuple(start * voxel_size for start in header.start)
    remember(layer, voxel_size_known=True)
    layer.scale = (voxel_size,) * 3
    layer.translate = place
    layer.units = (ANGSTROM,) * 3


def volume_of(layer: Image) -> Volume:
    """Return what a layer shows as a map, with the header it came with.

    Raises
    ------
    BlushError
        If the layer is not a three-dimensional map of real numbers, in pixels, or turned.
    """
    return reader_of(layer)()


def reader_of(layer: Image) -> Callable[[], Volume]:
    """Return what does as `volume_of` does, of the layer as it is now, in any thread."""
    state = {
        "name": layer.name,
        "scale": layer.scale,
        "translate": layer.translate,
        "units": layer.units,
        "metadata": dict(layer.metadata),
        "rgb": layer.rgb,
        "rotate": layer.rotate,
        "shear": layer.shear,
        "affine": layer.affine.affine_matrix,
    }
    data = layer.data[0] if layer.multiscale else layer.data
    return lambda: volume_from(data, state)


def volume_from(data: Any, state: Mapping[str, Any]) -> Volume:
    """Return a map from a layer's data and state, as napari hands them to writers.

    The header is the one kept in the metadata; a layer that was moved since takes its new place as origin.

    Raises
    ------
    BlushError
        As `volume_of`.
    """
    name = state.get("name") or "The layer"
    if state.get("rgb") or np.ndim(data) != 3 or np.dtype(data.dtype).kind not in "fiub":
        raise BlushError(
            f"{name} is not a three-dimensional map of real numbers.", "Choose a layer that shows a map."
        )
    units = state.get("units") or (PIXEL,) * 3
    size = lengths_in_angstrom(state.get("scale", (1.0,) * 3), units)
    if size is None:
        raise BlushError(
            f"The voxel size of {name} is not known: the layer is in {units[-1]}s.",
            "Set its voxel size in Å (Plugins > Blush > Denoise map asks for it).",
        )
    voxel_size = (size[0], size[1], size[2])
    if not all(np.isfinite(edge) and edge > 0 for edge in voxel_size) or not _is_upright(state):
        raise BlushError(
            f"{name} is mirrored, turned or sheared in the viewer; a map cannot be.",
            "Give the layer a positive scale, and neither rotation nor shear.",
        )
    place = lengths_in_angstrom(state.get("translate", (0.0,) * 3), units) or (0.0,) * 3
    header: MapHeader = (state.get("metadata") or {}).get(METADATA, {}).get("header", MapHeader())
    values = np.ascontiguousarray(np.asarray(data), dtype=np.float32)
    volume = Volume(values, voxel_size, header)
    if not np.allclose(place, volume.position, atol=1e-3 * min(voxel_size)):
        moved = replace(header, origin=(place[0], place[1], place[2]), start=(0, 0, 0))
        volume = replace(volume, header=moved)
    return volume


def _is_upright(state: Mapping[str, Any]) -> bool:
    """Whether a layer's axes are those of the world."""
    for name in ("rotate", "affine"):
        matrix = np.asarray(state.get(name, 1.0), dtype=np.float64)
        if matrix.ndim == 2 and not np.allclose(matrix, np.eye(len(matrix)), atol=1e-6):
            return False
    return bool(np.allclose(np.asarray(state.get("shear", 0.0), dtype=np.float64), 0.0))
