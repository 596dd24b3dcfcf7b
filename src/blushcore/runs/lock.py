"""One writer per run directory, on however many hosts the disk is seen.

The lock is a file that says who holds it. A holder that died on this machine is known to be dead (process id
and start time); one on another machine is judged by the heartbeat. A stale lock is taken over by replacing it
while holding a claim that names the stale lock, so that of several processes at most one succeeds. A holder
that was judged dead and comes back (a laptop that slept, a disk that was away) finds another's nonce in the
lock and stops before it writes anything more.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path

from blushcore.protocol import BlushError
from blushcore.runs.files import create_whole, write_bytes_whole
from blushcore.runs.heartbeat import advances
from blushcore.runs.layout import RunDirectory
from blushcore.runs.process import ProcessIdentity

PATIENCE_SECONDS = 30.0
"""How long the heartbeat of a holder on another machine must stand still before its lock counts as stale."""


@dataclass(frozen=True, kw_only=True)
class LockHolder:
    """Who holds a lock. `leads_group`: it leads a process group of its own, so it can be ended with all
    its children. `since` is in seconds since 1970.
    """

    process: ProcessIdentity
    nonce: str
    since: float
    leads_group: bool = False

    @classmethod
    def mine(cls) -> LockHolder:
        """Return a new holder: this process."""
        leads = os.name == "posix" and os.getpgrp() == os.getpid()
        return cls(process=ProcessIdentity.mine(), nonce=uuid.uuid4().hex, since=time.time(), leads_group=leads)


def read_lock(path: Path) -> LockHolder | None:
    """Return who holds the lock at `path`; None if nobody does.

    Raises
    ------
    ValueError
        If there is a lock that says nothing (being written at this very moment, or damaged).
    OSError
        If the disk does not answer.
    """
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        values = json.loads(content)
        process = ProcessIdentity(**values["process"])
        return LockHolder(
            process=process,
            nonce=values["nonce"],
            since=values["since"],
            leads_group=values.get("leads_group", False),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} does not say who holds it") from error


class RunLock:
    """The right to write into a run directory, held between ``with``'s begin and end.

    Parameters
    ----------
    run
        The run directory.
    patience_seconds
        See `PATIENCE_SECONDS`.

    Raises
    ------
    BlushError
        On entering, if another process holds the lock, or the directory cannot be written.
    """

    def __init__(self, run: RunDirectory, *, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._run = run
        self._patience_seconds = patience_seconds
        self.holder = LockHolder.mine()

    def __enter__(self) -> RunLock:
        path = self._run.lock
        while not create_whole(path, self._content()):
            try:
                other = read_lock(path)
            except ValueError:
                self._wait_for_silence("another process")
                self._take_over(None)
                break
            if other is None:
                continue  # released in between
            alive = other.process.is_alive()
            if alive:
                raise self._refusal(f"process {other.process.pid} on this machine")
            if alive is None:
                self._wait_for_silence(f"process {other.process.pid} on {other.process.host}")
            self._take_over(other)
            break
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            if self._is_mine():
                self._run.lock.unlink(missing_ok=True)

    def check(self) -> None:
        """Make sure that the lock is still ours; called before anything is recorded.

        Raises
        ------
        BlushError
            If another process took the run over, or the lock is gone.
        """
        try:
            mine = self._is_mine()
        except OSError as error:
            raise BlushError(
                f"The run directory {self._run.path} cannot be reached: {error.strerror}.",
                "Once its disk is back, resume the run.",
            ) from error
        if not mine:
            raise BlushError(
                f"{self._run.path} was taken over by another process, or was moved or deleted.",
                "This process stops; look at the run with: blush watch.",
            )

    def _is_mine(self) -> bool:
        try:
            holder = read_lock(self._run.lock)
        except ValueError:
            return False
        return holder is not None and holder.nonce == self.holder.nonce

    def _content(self) -> bytes:
        return json.dumps(asdict(self.holder)).encode()

    def _refusal(self, who: str) -> BlushError:
        return BlushError(
            f"{self._run.path} is being written by {who}.",
            "Wait until it ends, stop it, or choose another folder.",
        )

    def _wait_for_silence(self, who: str) -> None:
        if advances(self._run.heartbeat, self._patience_seconds):
            raise self._refusal(who)

    def _take_over(self, stale: LockHolder | None) -> None:
        """Replace the lock of `stale` (None: one that says nothing), or refuse."""
        name = stale.nonce if stale else "unreadable"
        claim = self._run.lock.with_name(f"{self._run.lock.name}.takeover-{name}")
        if not create_whole(claim, self._content()):
            raise BlushError(
                f"Another process is taking over the run {self._run.path}, or died while it did.",
                f"If no other is starting, delete {claim} and try again.",
            )
        try:
            # Only now is it sure that nobody else replaces it: look once more.
            try:
                now = read_lock(self._run.lock)
            except ValueError:
                now = None
                unchanged = stale is None
            else:
                unchanged = stale is not None and now is not None and now.nonce == stale.nonce
            if not unchanged:
                raise self._refusal("another process that has just begun")
            write_bytes_whole(self._run.lock, self._content())
        finally:
            with contextlib.suppress(OSError):
                claim.unlink(missing_ok=True)
