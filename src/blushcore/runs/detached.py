"""Workers that live on their own: they outlast the program that started them, and are found by the lock."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from blushcore.devices import available_threads
from blushcore.protocol import BlushError
from blushcore.runs.files import plain_error
from blushcore.runs.layout import RunDirectory, read_description
from blushcore.runs.lock import LockHolder, read_lock

START_SECONDS = 120.0
"""How long a worker may take to begin: an interpreter and PyTorch are slow from a cold network disk, or where
other programs keep the machine busy."""

STOP_SECONDS = 15.0
"""How long a worker may take to stop cleanly before it is ended by force."""

CLI = (sys.executable, "-m", "blushcore.cli")


@dataclass(frozen=True)
class Worker:
    """A process that writes a run on this machine."""

    run: RunDirectory
    holder: LockHolder

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.holder.process.pid

    def is_alive(self) -> bool:
        """Whether it still runs."""
        return bool(self.holder.process.is_alive())

    def end(self, *, stop_seconds: float = STOP_SECONDS) -> bool:
        """End the worker with all its children; return whether it stopped cleanly.

        It is asked to stop, and ended by force if it has not after `stop_seconds` (0: at once). A run that was
        ended by force can be resumed from its last checkpoint. Waits until it is gone.
        """
        self._send(signal.SIGTERM if stop_seconds > 0 or os.name == "nt" else _KILL)
        if self._is_gone_within(stop_seconds):
            return stop_seconds > 0
        self._send(_KILL)
        self._is_gone_within(STOP_SECONDS)
        return False

    def _send(self, number: int) -> None:
        # The identity is looked at right before: process ids come round again.
        if not self.is_alive():
            return
        with contextlib.suppress(ProcessLookupError):
            if self.holder.leads_group and os.name == "posix":
                os.killpg(self.pid, number)
            else:
                os.kill(self.pid, number)

    def _is_gone_within(self, seconds: float) -> bool:
        end = time.monotonic() + seconds
        while self.is_alive():
            if time.monotonic() >= end:
                return False
            time.sleep(0.05)
        return True


_KILL = getattr(signal, "SIGKILL", signal.SIGTERM)


def find_worker(directory: Path) -> Worker | None:
    """Return the worker that writes the run in `directory` on this machine; None if there is none."""
    run = RunDirectory(directory)
    try:
        holder = read_lock(run.lock)
    except (ValueError, OSError):
        return None
    return Worker(run, holder) if holder is not None and holder.process.is_alive() else None


def start_detached(
    directory: Path,
    *,
    command: Sequence[str] = CLI,
    start_seconds: float = START_SECONDS,
    niceness: int = 0,
    threads: int | None = None,
) -> Worker:
    """Start a worker that begins or resumes the run in `directory`, and return once it holds the lock.

    The worker is ``blush resume`` in a session of its own, so it outlives this process and its terminal. What
    it prints is appended to ``worker.stdout`` and ``worker.stderr`` in the run directory.

    Parameters
    ----------
    directory
        A run directory, e.g. just made by `create_run`.
    command
        What stands for ``blush``.
    start_seconds
        How long to wait for it.
    niceness
        By how much it gives way to other programs once it has begun: 0 as this one, 19 at most (below normal on
        Windows, from the start).
    threads
        How many it computes with at most; None for what this process may use. Less where ``OMP_NUM_THREADS``
        says so.

    Raises
    ------
    BlushError
        If there is no run, the worker ends at once (its last words are in the sentence), or it does not
        begin in time (it is ended).
    """
    run = RunDirectory(directory.resolve())
    read_description(run)
    words = [*command, "resume", str(run.path), "--debug"]
    environment = {**os.environ}
    if threads is not None:
        environment["OMP_NUM_THREADS"] = str(max(1, min(threads, available_threads())))
    try:
        with run.worker_stdout.open("ab") as stdout, run.worker_stderr.open("ab") as stderr:
            errors_begin = stderr.tell()
            process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                cwd=run.path.parent,
                env=environment,
                start_new_session=True,
                creationflags=_WINDOWS_FLAGS | (_WINDOWS_BELOW_NORMAL if niceness else 0),
            )
    except OSError as error:
        raise plain_error(error, run.worker_stderr) from error
    # Reaps the worker should it end while we live; otherwise it would stay in the process table.
    threading.Thread(target=process.wait, name="blush worker's end", daemon=True).start()
    end = time.monotonic() + start_seconds
    while time.monotonic() < end:
        worker = find_worker(directory)
        if worker is not None and worker.pid == process.pid:
            _give_way(process.pid, niceness)
            return worker
        code = process.poll()
        if code == 0:  # so short that it is over already
            return Worker(run, _gone(process.pid))
        if code is not None:
            raise BlushError(
                f"The worker for {directory} ended at once (exit code {code}): "
                f"{_last_words(run.worker_stderr, errors_begin)}",
                f"All it printed is in {run.worker_stderr}.",
            )
        time.sleep(0.05)
    process.kill()
    raise BlushError(
        f"The worker for {directory} did not begin within {start_seconds:.0f} s.",
        f"What it printed is in {run.worker_stderr}.",
    )


def _give_way(group: int, niceness: int) -> None:
    """Let all threads of a process group give way to other programs by so much more than this one does.

    Not before a worker has begun: where the machine is busy, importing would take it minutes.
    """
    if niceness and os.name == "posix":
        with contextlib.suppress(OSError):  # gone already
            os.setpriority(os.PRIO_PGRP, group, os.getpriority(os.PRIO_PROCESS, 0) + niceness)


_WINDOWS_FLAGS = getattr(subprocess, "DETACHED_PROCESS", 0) | getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)


_WINDOWS_BELOW_NORMAL = getattr(subprocess, "BELOW_NORMAL_PRIORITY_CLASS", 0)


def _gone(pid: int) -> LockHolder:
    from dataclasses import replace

    holder = LockHolder.mine()
    return replace(holder, process=replace(holder.process, pid=pid, start=-1.0))


def _last_words(path: Path, begin: int) -> str:
    with contextlib.suppress(OSError), path.open("rb") as stream:
        stream.seek(begin)
        lines = stream.read().decode(errors="replace").strip().splitlines()
        if lines:
            # The last line of a traceback begins with the error's class, which says nothing to a user.
            return re.sub(r"^(blush|[\w.]*(Error|Exception)): ", "", lines[-1])
    return "it said nothing."
