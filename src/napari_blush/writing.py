"""Layers into MRC files: the writer that napari.yaml names."""

from __future__ import annotations

from typing import Any

from blushcore.volumes import write_map
from napari_blush.layers.maps import volume_from
from napari_blush.notices import errors_are_told


@errors_are_told(otherwise=[])
def write_mrc(path: str, data: Any, state: dict[str, Any]) -> list[str]:
    """Write one Image layer as a map; the file appears whole or not at all.

    Parameters
    ----------
    path
        File to write; ``.gz`` and ``.bz2`` are compressed.
    data
        The layer's data ``[z, y, x]``.
    state
        Its attributes, as napari hands them over. Origin, labels and space group come from the header kept in
        its metadata.

    Returns
    -------
    The path, in a list. Empty if a user asked and napari has shown the error.

    Raises
    ------
    BlushError
        If the layer is no map, has no voxel size in Å, or the file cannot be written.
    """
    if state.get("multiscale"):
        data = data[0]
    write_map(path, volume_from(data, state))
    return [path]
