"""The control groups that hold this process: where containers and batch systems write their limits."""

from __future__ import annotations

from pathlib import Path

PROC = Path("/proc")
CGROUPS = Path("/sys/fs/cgroup")


def control_groups(controller: str, proc: Path, cgroups: Path) -> list[tuple[Path, int]]:
    """Return the folders of this process's group for a controller and of all groups around it.

    Parameters
    ----------
    controller
        ``"memory"`` or ``"cpu"``.
    proc, cgroups
        `PROC` and `CGROUPS`; other places are for tests.

    Returns
    -------
    Folders, innermost first, each with the version (1 or 2) of the interface in it. A limit holds for all
    groups inside, so each folder's counts. Empty on systems without control groups.
    """
    try:
        lines = (proc / "self" / "cgroup").read_text().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        number, controllers, place = line.split(":", 2)
        if number == "0" and not controllers:
            root, version = cgroups, 2
        elif controller in controllers.split(","):
            root, version = cgroups / controller, 1
        else:
            continue
        folder = root / place.lstrip("/")
        while True:
            found.append((folder, version))
            if folder == root:
                break
            folder = folder.parent
    return found
