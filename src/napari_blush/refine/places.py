"""Where runs and the built-in particle set are put."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

from qtpy.QtCore import QStandardPaths

_LAST = "last_run"
_MOST_REMEMBERED = 10


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
    """Remember that a run was watched, for the next viewer; where that cannot be written, it is not."""
    paths = [directory.absolute(), *(path for path in remembered_runs() if path != directory.absolute())]
    with contextlib.suppress(OSError):
        data_folder().mkdir(parents=True, exist_ok=True)
        lines = map(str, paths[:_MOST_REMEMBERED])
        (data_folder() / _LAST).write_text("\n".join(lines), encoding="utf-8")


def remembered_runs() -> list[Path]:
    """Return the runs that were watched last and are still there, the newest first."""
    try:
        lines = (data_folder() / _LAST).read_text(encoding="utf-8").splitlines()
        return [Path(line) for line in lines if (Path(line) / "params.json").is_file()]
    except (OSError, ValueError):
        return []
