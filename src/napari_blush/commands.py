"""The `blush` command from the GUI: each call in a process of its own, which outlives napari."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import IO

from qtpy.QtCore import QObject, QTimer

from blushcore.cli.exit_codes import DONE
from blushcore.protocol import BlushError

BLUSH = (sys.executable, "-m", "blushcore.cli")
_POLL_MILLISECONDS = 100
_COMPLAINT = "blush: "
_FLAGS = getattr(subprocess, "DETACHED_PROCESS", 0) | getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)


@dataclass
class _Call:
    process: subprocess.Popen[bytes]
    stdout: IO[bytes]
    stderr: IO[bytes]
    done: Callable[[str], None]
    failed: Callable[[BlushError], None]


class Commands(QObject):
    """Calls `blush`, and tells in the GUI's thread what came of it.

    For what would hold Python's interpreter too long beside the GUI's thread: importing torch, large tables. A
    call is not ended with this object: what somebody asked to be written is written, whole, after a dock or
    napari is closed, too; only nobody is told.

    Parameters
    ----------
    parent
        Qt's parent.
    command
        What stands for ``blush``.
    """

    def __init__(self, parent: QObject | None = None, *, command: Sequence[str] = BLUSH) -> None:
        super().__init__(parent)
        self._command = tuple(command)
        self._calls: list[_Call] = []
        self._timer = QTimer(self)
        self._timer.setInterval(_POLL_MILLISECONDS)
        self._timer.timeout.connect(self._look)

    def run(
        self, words: Sequence[str], done: Callable[[str], None], failed: Callable[[BlushError], None]
    ) -> None:
        """Begin a call; neither `done` nor `failed` is called before this has returned, or after `close`.

        Parameters
        ----------
        words
            What follows ``blush``.
        done
            Gets what the command printed as its result.
        failed
            Gets its complaint.

        Raises
        ------
        BlushError
            If there is no process to be had.
        """
        try:
            with ExitStack() as files:
                # Files, not pipes: whoever writes into those while nobody reads any more is held up, or ended.
                stdout, stderr = (files.enter_context(tempfile.TemporaryFile()) for _ in range(2))
                process = subprocess.Popen(
                    [*self._command, *words],
                    stdin=subprocess.DEVNULL,
                    stdout=stdout,
                    stderr=stderr,
                    start_new_session=True,
                    creationflags=_FLAGS,
                )
                files.pop_all()  # from here on they are the call's
        except OSError as error:
            raise BlushError(
                f"The command blush could not be started: {error.strerror or error}.",
                "Close other programs, or install napari-blush again.",
            ) from error
        self._calls.append(_Call(process, stdout, stderr, done, failed))
        self._timer.start()

    def close(self) -> None:
        """Hear no more of what is under way, which goes on. Again, nothing happens."""
        self._timer.stop()
        calls, self._calls = self._calls, []
        for call in calls:
            call.stdout.close()
            call.stderr.close()
            # It would stay in the process table otherwise, should it end before napari does.
            threading.Thread(target=call.process.wait, name="blush command's end", daemon=True).start()

    def _look(self) -> None:
        for call in list(self._calls):
            code = call.process.poll()
            if code is None or call not in self._calls:  # somebody who was told closed this
                continue
            self._calls.remove(call)
            said, complaint = _content(call.stdout), _content(call.stderr)
            if code == DONE:
                call.done(said)
            else:
                call.failed(_explained(code, complaint))
        if not self._calls:
            self._timer.stop()


def _content(file: IO[bytes]) -> str:
    with file:
        file.seek(0)
        return file.read().decode(errors="replace").strip()


def _explained(code: int, complaint: str) -> BlushError:
    """Return why a command failed: what it complained of last, if it did."""
    begin = f"\n{complaint}".rfind(f"\n{_COMPLAINT}")
    if begin >= 0:
        return BlushError(complaint[begin + len(_COMPLAINT) :])
    if code < 0:
        return BlushError(
            "The process was killed, most likely because memory ran out.",
            "Close other programs, and try again.",
        )
    last = complaint.splitlines()[-1:] or ["it said nothing"]
    return BlushError(f"The command blush failed (exit code {code}): {last[0]}.", "Try it in a terminal.")
