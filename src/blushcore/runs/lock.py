"""One writer per run directory, on however many hosts the disk is seen.

The lock is a file that says who holds it. A holder that died on this machine is known to be dead (process id
and start time); one on another machine is judged by the heartbeat. A stale lock is replaced while holding a
claim that names it, a file made and taken over just as the lock is, so of several processes one succeeds. A
holder that was judged dead and comes back (a laptop that slept, a disk that was away) finds another's nonce in
the lock and stops before it writes anything more.
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


_CLAIM = ".after-"
_UNREADABLE = "unreadable"


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
        self._acquire(self._run.lock)
        for claim in self._run.path.glob(f"{self._run.lock.name}{_CLAIM}*"):  # of processes that died
            claim.unlink(missing_ok=True)
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

    def _acquire(self, path: Path) -> None:
        """Make `path`, the lock or a claim to it, ours; or refuse."""
        while not create_whole(path, self._content()):
            nonce = self._nonce_of_the_dead(path)
            if nonce is None:
                continue  # released in between
            claim = path.with_name(f"{path.name}{_CLAIM}{nonce}")
            self._acquire(claim)
            try:
                # Only now is it sure that nobody else replaces it; somebody may have until now.
                if _nonce_at(path) == nonce:
                    write_bytes_whole(path, self._content())
                    return
            finally:
                claim.unlink(missing_ok=True)

    def _nonce_of_the_dead(self, path: Path) -> str | None:
        """Return the nonce at `path` if its holder is dead, None if there is none; refuse if it lives."""
        try:
            other = read_lock(path)
        except ValueError:
            self._wait_for_silence("another process")
            return _UNREADABLE
        if other is None:
            return None
        alive = other.process.is_alive()
        if alive:
            raise self._refusal(f"process {other.process.pid} on this machine")
        if alive is None:
            self._wait_for_silence(f"process {other.process.pid} on {other.process.host}")
        return other.nonce

    def _wait_for_silence(self, who: str) -> None:
        if advances(self._run.heartbeat, self._patience_seconds):
            raise self._refusal(who)


def _nonce_at(path: Path) -> str | None:
    try:
        holder = read_lock(path)
    except ValueError:
        return _UNREADABLE
    return holder.nonce if holder is not None else None
