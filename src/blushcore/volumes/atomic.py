"""Files that are either whole or not there."""

from __future__ import annotations

import contextlib
import errno
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from blushcore.disk import flush_to_disk, full_disk, is_full_disk
from blushcore.protocol import BlushError


@contextlib.contextmanager
def atomic_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a file for writing that takes the place of `path` when the block ends without an error.

    It is written under a temporary name in the same folder, flushed to the disk and renamed, so that readers
    see the old file or the new one, whole. After an error, the old file is untouched and the temporary one is
    gone. A symbolic link is followed, and the file it points at is replaced.

    Raises
    ------
    BlushError
        If the folder is missing or not writable, the disk is full, or `path` is a folder.
    """
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise BlushError(f"{path} is a folder.", "Give a file name to write to.")
    temporary = target.with_name(f".{target.name[:64]}.{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("xb") as file:  # "x" takes the user's umask, as an ordinary file would
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
        flush_to_disk(target.parent)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):
            raise _why_unwritable(Path(path), error) from error
        raise


def _why_unwritable(path: Path, error: OSError) -> BlushError:
    kept = "Nothing that existed was changed."
    if is_full_disk(error):
        return full_disk(path, f"Make room. {kept}")
    match error.errno:
        case errno.EFBIG:
            return BlushError(
                f"{path} could not be written: it would be larger than this user's or file system's limit.",
                f"Write elsewhere or raise the limit. {kept}",
            )
        case errno.ENOENT | errno.ENOTDIR:
            return BlushError(f"The folder {path.parent} does not exist.", "Make it, or write elsewhere.")
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return BlushError(f"The folder {path.parent} may not be written to.", f"Write elsewhere. {kept}")
        case _:
            return BlushError(f"{path} could not be written: {error.strerror or error}.", kept)
