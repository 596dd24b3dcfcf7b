"""Folders for what lives as long as its viewer; those that dead viewers left behind are swept."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from pathlib import Path

from blushcore.runs.process import ProcessIdentity

_PREFIX = "blush-"
_OWNER = ".owner"


def scratch_folder(kind: str = "") -> Path:
    """Make a folder among the temporary files that belongs to this process.

    Whoever asks for it removes it. Where that did not come to pass, the next that is made removes it: a file in
    it says whose it is.

    Parameters
    ----------
    kind
        What its name says of it: ``blush-KIND-…``.
    """
    sweep(Path(tempfile.gettempdir()))
    path = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{kind}-" if kind else _PREFIX))
    mine = ProcessIdentity.mine()
    (path / _OWNER).write_text(f"{mine.machine}\n{mine.pid}\n{mine.start!r}\n", encoding="utf-8")
    return path


def sweep(folder: Path) -> list[Path]:
    """Remove the folders of processes that are known to be dead, and return them; all others stay."""
    swept = []
    with contextlib.suppress(OSError):
        for path in sorted(folder.glob(f"{_PREFIX}*")):
            if path.is_dir() and not path.is_symlink() and _is_dead(path):
                shutil.rmtree(path, ignore_errors=True)
                swept.append(path)
    return swept


def _is_dead(path: Path) -> bool:
    try:
        machine, pid, start = (path / _OWNER).read_text(encoding="utf-8").split("\n")[:3]
        return ProcessIdentity("", machine, int(pid), float(start)).is_alive() is False
    except (OSError, ValueError):
        return False
