"""What a command is to write: refused before anything is computed where it could not be written in the end."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from blushcore.protocol import BlushError


def require_writable(
    paths: Iterable[Path], *, overwrite: bool, inputs: Iterable[Path] = (), make_folders: bool = False
) -> None:
    """Refuse outputs that cannot be written, or that exist and may not be replaced.

    Parameters
    ----------
    paths
        The files to be.
    overwrite
        Whether files that exist may be replaced.
    inputs
        The files that are read, which are never replaced.
    make_folders
        Whether missing folders will be made.

    Raises
    ------
    BlushError
        Naming the first file or folder that stands in the way.
    """
    read = [path for path in inputs if path.exists()]
    for path in paths:
        if path.is_dir():
            raise BlushError(f"{path} is a folder.", "Give a file name to write to.")
        if path.exists() and any(path.samefile(one) for one in read):
            raise BlushError(f"{path} is one of the files to be read.", "Give another name to write to.")
        if path.exists() and not overwrite:
            raise BlushError(f"{path} exists already.", "Give --overwrite to replace it, or another name.")
        parents = path.absolute().parents
        if not make_folders and not parents[0].exists():
            raise BlushError(f"The folder {parents[0]} does not exist.", "Make it, or write elsewhere.")
        folder = next(parent for parent in parents if parent.exists())
        if not folder.is_dir():
            raise BlushError(f"{folder} is not a folder.", "Write elsewhere.")
        effective = os.access in os.supports_effective_ids
        if not os.access(folder, os.W_OK | os.X_OK, effective_ids=effective):
            raise BlushError(f"The folder {folder} may not be written to.", "Write elsewhere.")
