"""The worker process: started, talked to, watched, and ended with its viewer."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from pydantic import BaseModel
from qtpy.QtCore import QObject, QProcess, QProcessEnvironment, Signal  # type: ignore[attr-defined]

from blushcore.interactive.messages import PROTOCOL, GarbledError, Ready, parse_event, to_line
from napari_blush.scratch import scratch_folder
from napari_blush.worker.lines import LineBuffer

_KEPT_OF_STDERR = 8000
_END_MILLISECONDS = 2000
COMMAND = (sys.executable, "-m", "blushcore.interactive")


class WorkerClient(QObject):
    """One worker process, its events as Qt signals in the thread that made this object.

    The process is ended by `stop`, or with this object, or, should the viewer die, by itself. Its arrays lie
    in a private folder that is removed with it.

    Parameters
    ----------
    command
        The program and its first arguments; another than the real worker is for tests.
    parent
        Qt's parent.
    """

    said = Signal(object)
    """A `blushcore.interactive.messages.Event`, in the order they were sent."""
    died = Signal(str, str)
    """The worker ended without being asked to: what happened and what to do, as sentences. See `details`."""

    def __init__(self, command: tuple[str, ...] = COMMAND, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._command = command
        self._process: QProcess | None = None
        self._lines = LineBuffer()
        self._stderr = b""
        self._folder: Path | None = None

    @property
    def is_running(self) -> bool:
        """Whether there is a process, be it still on its way up."""
        return self._process is not None

    @property
    def pid(self) -> int | None:
        """Its process id, once it has one."""
        pid = 0 if self._process is None else int(self._process.processId())
        return pid or None

    @property
    def folder(self) -> Path:
        """Where arrays for the worker are put; a new one for each process.

        Only there while the worker runs.
        """
        if self._folder is None:
            raise RuntimeError("the worker does not run")
        return self._folder

    @property
    def details(self) -> str:
        """The end of what the worker, or the one before, said on stderr."""
        return self._stderr.decode(errors="replace").strip()

    def start(self) -> None:
        """Start the process; its first event is `Ready`. One that runs stays as it is."""
        if self._process is not None:
            return
        self._lines, self._stderr = LineBuffer(), b""
        self._folder = scratch_folder()
        process = QProcess(self)
        environment = QProcessEnvironment.systemEnvironment()
        environment.insert("PYTHONUNBUFFERED", "1")
        process.setProcessEnvironment(environment)
        process.readyReadStandardOutput.connect(self._on_output)
        process.readyReadStandardError.connect(self._on_stderr)
        process.finished.connect(self._on_finished)
        process.errorOccurred.connect(self._on_error)
        self._process = process
        program, *arguments = self._command
        process.start(program, [*arguments, "--folder", str(self._folder), "--remove-folder"])

    def tell(self, request: BaseModel) -> None:
        """Send a request; without a worker it goes nowhere."""
        if self._process is not None:
            self._process.write(to_line(request))

    def stop(self) -> None:
        """End the process at once. Nothing it holds is of value; `died` is not emitted."""
        process, self._process = self._process, None
        if process is not None:
            for signal in (
                process.readyReadStandardOutput,
                process.readyReadStandardError,
                process.finished,
                process.errorOccurred,
            ):
                signal.disconnect()
            process.kill()
            process.waitForFinished(_END_MILLISECONDS)
            process.deleteLater()
        self._remove_folder()

    def restart(self) -> None:
        """End the process if it runs, and start another."""
        self.stop()
        self.start()

    def _remove_folder(self) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def _on_output(self) -> None:
        if self._process is None:
            return
        for line in self._lines.feed(bytes(self._process.readAllStandardOutput().data())):
            try:
                event = parse_event(line)
            except GarbledError as error:
                # Nothing that can be acted on; but whoever looks for a fault should see it.
                self._remember(f"{error}\n".encode())
                continue
            if isinstance(event, Ready) and event.protocol != PROTOCOL:
                self._die("The worker is of another version than this viewer.", "Install napari-blush again.")
                return
            self.said.emit(event)
            if self._process is None:  # whoever was told stopped it
                return

    def _on_stderr(self) -> None:
        if self._process is not None:
            self._remember(bytes(self._process.readAllStandardError().data()))

    def _remember(self, text: bytes) -> None:
        self._stderr = (self._stderr + text)[-_KEPT_OF_STDERR:]

    def _on_error(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart:
            self._die(
                f"The worker could not be started: {self._command[0]} cannot be run.",
                "Is the environment that napari runs in still there? Install it again.",
            )

    def _on_finished(self, code: int, status: QProcess.ExitStatus) -> None:
        self._on_output()
        self._on_stderr()
        if status == QProcess.ExitStatus.CrashExit:
            self._die(
                "The worker was killed or crashed, most likely because memory ran out.",
                "Restart it. If it happens again, close other programs or take a smaller map.",
            )
        else:
            self._die(
                f"The worker ended by itself (exit code {code}).",
                "Restart it. If it happens again, see the details.",
            )

    def _die(self, problem: str, remedy: str) -> None:
        if self._process is None:
            return
        self.stop()
        self.died.emit(problem, remedy)
