"""Map files: which there are, asking for them, reading them, and which name one is saved under."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qtpy.QtWidgets import QFileDialog, QWidget

from blushcore.protocol import BlushError
from napari_blush.layers.listing import IMAGES_AXIS
from napari_blush.reading import LayerData, map_layer

MAP_ENDINGS = tuple(f".{kind}{packing}" for packing in ("", ".gz", ".bz2") for kind in ("mrc", "map", "ccp4"))
MAP_FILES = f"Maps ({' '.join(f'*{ending}' for ending in MAP_ENDINGS)});;All files (*)"


_MOST_AT_ONCE = 2


def read_as_maps(paths: Sequence[Path]) -> list[LayerData]:
    """Read one map or two as layer data; for the background.

    Raises
    ------
    BlushError
        If there are more, or one of them is no map.
    """
    if len(paths) > _MOST_AT_ONCE:
        raise BlushError(
            f"{len(paths)} files were given: {', '.join(path.name for path in paths)}.",
            "Give one map, or two: the half-maps of one reconstruction, say.",
        )
    found = []
    for path in paths:
        if path.is_dir():
            raise BlushError(f"{path.name} is a folder.", "Give a map: .mrc, .map or .ccp4.")
        layer = map_layer(path)
        if layer[1]["axis_labels"][0] == IMAGES_AXIS:
            raise BlushError(f"{path.name} holds particle images, not a map.", "Give a map of three axes.")
        found.append(layer)
    return found


def ask_for_maps(parent: QWidget, title: str) -> list[Path]:
    """Ask for map files to open; none if the user thinks better of it."""
    names, _ = QFileDialog.getOpenFileNames(parent, title, "", MAP_FILES)
    return [Path(name) for name in names]


def ask_where_to_save(parent: QWidget, title: str, proposed: Path) -> Path | None:
    """Ask for the name of a map to be written; without an ending of maps it gets ``.mrc``."""
    name, _ = QFileDialog.getSaveFileName(parent, title, str(proposed), MAP_FILES)
    return with_ending(Path(name)) if name else None


def ending_of(name: str) -> str:
    """Return what says in a file's name that it is a map, e.g. ``.mrc.gz``; nothing where it is none."""
    found = [ending for ending in MAP_ENDINGS if name.lower().endswith(ending) and len(name) > len(ending)]
    return name[-len(max(found, key=len)) :] if found else ""


def with_ending(path: Path) -> Path:
    """Return the path of a map file: with ``.mrc``, unless its name says already what it is."""
    return path if ending_of(path.name) else path.with_name(f"{path.name}.mrc")


def half_path(path: Path, half: int) -> Path:
    """Return ``OUT_half1.mrc`` for ``OUT.mrc``, as ``blush denoise`` names its files."""
    ending = ending_of(path.name)
    stem = path.name[: len(path.name) - len(ending)]
    return path.with_name(f"{stem}_half{half}{ending}")


def ask_for_new_file(
    parent: QWidget, title: str, proposed: Path, kinds: str, endings: Sequence[str]
) -> Path | None:
    """Ask for the name of a file to be written, with one of some endings; None if the user thinks better of it.

    Parameters
    ----------
    kinds
        As Qt's dialogs have it: ``Pages (*.html)``.
    endings
        Which it may have, in small letters; the first is added to a name that has none of them.

    Raises
    ------
    BlushError
        If a file of that name exists, but nobody was asked whether to replace it: its ending was not given.
    """
    name, _ = QFileDialog.getSaveFileName(parent, title, str(proposed), kinds)
    if not name:
        return None
    path = Path(name)
    if path.suffix.lower() in endings:
        return path
    path = path.with_name(path.name + endings[0])
    if path.exists():
        raise BlushError(f"{path.name} exists already.", "To replace it, choose it by its whole name.")
    return path
