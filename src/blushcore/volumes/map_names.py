"""How the names of maps end."""

from __future__ import annotations

from pathlib import Path

from blushcore.protocol import UsageError

MAP_ENDINGS = (".mrc", ".map", ".ccp4")
COMPRESSED_ENDINGS = (".gz", ".bz2")


def split_map_name(path: Path) -> tuple[str, str]:
    """Split a map's file name before its ending, the compression's included: ``("half1", ".mrc.gz")``.

    Raises
    ------
    UsageError
        If that is not how the name of a map ends.
    """
    stem = path.name
    for compression in COMPRESSED_ENDINGS:
        stem = stem.removesuffix(compression)
    ending = Path(stem).suffix
    if ending.lower() not in MAP_ENDINGS:
        raise UsageError(
            f"{path} does not look like the name of a map.",
            f"End it in {', '.join(MAP_ENDINGS)}, to compress it followed by .gz or .bz2.",
        )
    length = len(stem) - len(ending)
    return path.name[:length], path.name[length:]
