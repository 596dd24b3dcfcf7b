"""Files that are either there whole or not there at all, also on a network disk.

Everything goes through a temporary name in the folder of the final one, fsync, and a rename, which every file
system we know of does atomically. No locks of the operating system (``flock`` is a no-op or worse on many
network disks) and no notification services are relied on.
"""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from blushcore.disk import flush_to_disk, full_disk, is_full_disk
from blushcore.protocol import BlushError

TEMPORARY_PREFIX = ".blush-tmp-"
"""How the names of files in the making begin; such files of a dead process are rubbish."""

MAKE_ROOM = "Free some space and start it again, a run with blush resume; nothing that was complete is lost."
"""What to do where a disk became full."""

_PROBE_BYTES = 1 << 20


def write_whole(path: Path, write: Callable[[Path], None]) -> int:
    """Create or replace `path` by what ``write(temporary_path)`` writes; return its size in bytes.

    The temporary name ends like the final one, since writers choose the format by the suffix. Missing folders
    are made. Whatever goes wrong, `path` is left as it was and the temporary file is removed.

    Raises
    ------
    BlushError
        If the disk is full or the file cannot be written; the sentence names the file.
    """
    return write_all_whole([(path, write)])[0]


def write_all_whole(files: Sequence[tuple[Path, Callable[[Path], None]]]) -> list[int]:
    """Create or replace several files as `write_whole` does; none of them before all are written.

    Raises
    ------
    BlushError
        As `write_whole`. Every file is as it was then, unless it was the renaming that failed.
    """
    sizes: list[int] = []
    made: list[tuple[Path, Path]] = []
    try:
        for path, write in files:
            temporary = path.with_name(f"{TEMPORARY_PREFIX}{uuid.uuid4().hex[:12]}-{path.name}")
            made.append((temporary, path))
            with _told_plainly(path, temporary):
                path.parent.mkdir(parents=True, exist_ok=True)
                write(temporary)
                sizes.append(temporary.stat().st_size)
                flush_to_disk(temporary)
        for temporary, path in made:
            with _told_plainly(path, temporary):
                temporary.replace(path)
                flush_to_disk(path.parent)
    finally:
        for temporary, _ in made:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
    return sizes


@contextlib.contextmanager
def _told_plainly(path: Path, temporary: Path) -> Iterator[None]:
    """Turn errors met while writing `path` under its temporary name into sentences for the user."""
    try:
        yield
    except Exception as error:
        # NumPy and libraries not written in Python say in their own way that the disk is full.
        by_the_system = isinstance(error, OSError) and error.errno is not None
        if is_full_disk(error) or (not by_the_system and _has_no_room(path.parent)):
            raise full_disk(path, MAKE_ROOM) from error
        if isinstance(error, OSError):
            raise plain_error(error, path) from error
        if isinstance(error, BlushError):  # the writer knows the temporary name only
            raise BlushError(error.problem.replace(temporary.name, path.name), error.remedy) from error
        raise


def write_bytes_whole(path: Path, content: bytes) -> None:
    """Create or replace `path` with `content`, as `write_whole` does."""
    write_whole(path, lambda temporary: _write_bytes(temporary, content))


def create_whole(path: Path, content: bytes) -> bool:
    """Create `path` with `content` unless it exists; return whether this call made it.

    Of several processes that try at once, on however many hosts, exactly one succeeds, and nobody sees the file
    without its content: it is a hard link to a finished file. Where the file system has no hard links, an
    exclusive open stands in, and a reader may find the file still empty for a moment.

    Raises
    ------
    BlushError
        If the folder cannot be written.
    """
    temporary = path.with_name(f"{TEMPORARY_PREFIX}{uuid.uuid4().hex[:12]}-{path.name}")
    try:
        _write_bytes(temporary, content)
        flush_to_disk(temporary)
        try:
            os.link(temporary, path)
        except FileExistsError:
            # An NFS server may do it, lose its answer, and refuse the repeated request.
            return temporary.stat().st_nlink > 1
        except OSError:
            try:
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            except FileExistsError:
                return False
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
        flush_to_disk(path.parent)
        return True
    except OSError as error:
        raise plain_error(error, path) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def remove_leftovers(folder: Path, *, spare: Path | None = None) -> None:
    """Remove unfinished files of dead processes below `folder`, except those in the folder `spare`."""
    for path in list(_leftovers(folder)):
        if path.parent != spare:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)


def plain_error(error: OSError, path: Path) -> BlushError:
    """Return `error`, met while writing `path`, as a sentence for the user."""
    if is_full_disk(error):
        return full_disk(path, MAKE_ROOM)
    return BlushError(
        f"{path} could not be written: {error.strerror or error}.",
        "Check that the folder exists, that its disk is there and that you may write to it.",
    )


def _has_no_room(folder: Path) -> bool:
    """Whether the disk is full or the quota used up; found out by writing a little."""
    probe = folder / f"{TEMPORARY_PREFIX}{uuid.uuid4().hex[:12]}-probe"
    try:
        probe.write_bytes(b"\0" * _PROBE_BYTES)
        flush_to_disk(probe)
    except OSError as error:
        return is_full_disk(error)
    finally:
        with contextlib.suppress(OSError):
            probe.unlink(missing_ok=True)
    return False


def _write_bytes(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _leftovers(folder: Path) -> Iterator[Path]:
    return folder.rglob(f"{TEMPORARY_PREFIX}*")
