"""Results into files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from blushcore.protocol import BlushError
from blushcore.volumes import Volume, write_map
from napari_blush.layers.maps import METADATA
from napari_blush.panels.files import half_path, with_ending

if TYPE_CHECKING:
    from napari.layers import Layer


def proposed_path(layer: Layer | None, name: str) -> Path:
    """Return where a result is to be saved, unless somebody wants it elsewhere: beside its input."""
    kept = None if layer is None else layer.metadata.get(METADATA, {}).get("path")
    folder = Path(kept).parent if kept else Path()
    return folder / f"{name}_denoised.mrc"


def writer_of(
    path: Path, count: int, compute: Callable[[], Sequence[Volume]]
) -> tuple[list[Path], Callable[[], None]]:
    """Return which files a result goes into, and what computes and writes it.

    Parameters
    ----------
    path
        For one map; two halves go into ``…_half1`` and ``…_half2``. Without an ending of maps, ``.mrc``.
    count
        Of maps.
    compute
        The maps.

    Raises
    ------
    BlushError
        If a half's file is there already: nobody was asked about that name.
    """
    path = with_ending(path)
    paths = [path] if count == 1 else [half_path(path, half) for half in (1, 2)]
    there = [target.name for target in paths if count > 1 and target.exists()]
    if there:
        raise BlushError(f"{' and '.join(there)} would be overwritten.", "Choose another name.")

    def write() -> None:
        for target, volume in zip(paths, compute(), strict=True):
            write_map(target, volume)

    return paths, write
