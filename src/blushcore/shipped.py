"""Files that are installed with the package: network weights and their model cards, demo inputs."""

from __future__ import annotations

from pathlib import Path

from blushcore.protocol import BlushError

_FOLDER = Path(__file__).with_name("resources")


def shipped_file(name: str) -> Path:
    """Return the path of a file that came with the package.

    Parameters
    ----------
    name
        Where it lies below the top-level ``resources`` folder, with forward slashes, e.g.
        ``"demo/half1.mrc.gz"``.

    Raises
    ------
    BlushError
        If there is no such file: the installation is incomplete.
    """
    path = _FOLDER / name
    if not path.is_file():
        raise BlushError(
            f"This installation of napari-blush lacks its file {name}.",
            "Install it again; from a checkout, see that src/blushcore/resources is a link to resources.",
        )
    return path


def shipped_files(pattern: str) -> list[Path]:
    """Return the shipped files whose place below ``resources`` matches the glob `pattern`, sorted by name."""
    return sorted(path for path in _FOLDER.glob(pattern) if path.is_file())
