"""Where runs and the built-in particle set are put."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

from qtpy.QtCore import QStandardPaths

_LAST = "last_run"


def data_folder() -> Path:
    """Return the folder for what the plugin makes by itself: the user's, as the system has it."""
    kind = QStandardPaths.StandardLocation.GenericDataLocation
    return Path(QStandardPaths.writableLocation(kind)) / "napari-blush"


def demo_folder() -> Path:
    """Return where the built-in particle set lies once it is made."""
    return data_folder() / "demo"


def proposed_run(particles: Path, job: str = "refine") -> Path:
    """Return a run directory that is not there yet: ``refine_001`` and on, beside the particles' STAR file."""
    number = re.compile(rf"{job}_(\d+)$")
    folder = particles.absolute().parent
    try:
        taken = [int(match[1]) for path in folder.iterdir() if (match := number.match(path.name))]
    except OSError:
        taken = []
    return folder / f"{job}_{max(taken, default=0) + 1:03d}"


def remember_run(directory: Path) -> None:
    """Remember which run was watched last, for the next viewer; where that cannot be written, it is not."""
    with contextlib.suppress(OSError):
        data_folder().mkdir(parents=True, exist_ok=True)
        (data_folder() / _LAST).write_text(str(directory.absolute()), encoding="utf-8")


def remembered_run() -> Path | None:
    """Return the run that was watched last, if it is still there."""
    try:
        path = Path((data_folder() / _LAST).read_text(encoding="utf-8"))
        return path if (path / "params.json").is_file() else None
    except (OSError, ValueError):
        return None
