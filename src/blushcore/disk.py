"""Handing files to the disk for good, and telling that it is full."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from blushcore.protocol import BlushError

_FULL_DISK = frozenset({errno.ENOSPC, errno.EDQUOT})


def flush_to_disk(path: Path) -> None:
    """Hand what was written to `path`, a file or a folder, to the disk.

    A folder that cannot be flushed (Windows, some network disks) is left to the system; a file's failure, which
    is how a network disk reports that it is full, is raised.
    """
    is_folder = path.is_dir()
    if is_folder and os.name == "nt":
        return
    # Windows wants write access for fsync.
    descriptor = os.open(path, os.O_RDONLY if is_folder else os.O_RDWR)
    try:
        os.fsync(descriptor)
    except OSError:
        if not is_folder:
            raise
    finally:
        os.close(descriptor)


def is_full_disk(error: BaseException | None) -> bool:
    """Whether `error`, or what caused it, is a full disk or a used-up quota."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _FULL_DISK:
            return True
        error = error.__cause__
    return False


def full_disk(path: Path, remedy: str) -> BlushError:
    """Return the sentence for a disk that became full while `path` was written."""
    return BlushError(f"The disk is full (or your quota is used up): {path} could not be written.", remedy)
