"""The plugin's tests in a run of their own, with the Qt binding that the run which starts it does not use."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

_MODULES = {"pyqt6": "PyQt6", "pyside6": "PySide6"}
_NOT_AGAIN = {"test_split_array.py", "test_reading.py", "test_map_layers.py", "test_both_bindings.py"}
"""No Qt of ours in them."""
_SCREEN = ("xvfb-run", "-a", "-s", "-screen 0 1400x900x24 +extension GLX")
_LIMIT_SECONDS = 1800.0
"""Far beyond the six minutes that it takes: a run that hangs must not take the whole suite with it."""


def binding_not_used() -> str:
    """Return the other binding, as ``QT_API`` has it."""
    (other,) = _MODULES.keys() - {os.environ["QT_API"].lower()}
    return other


def is_installed(binding: str) -> bool:
    return importlib.util.find_spec(_MODULES[binding]) is not None


class OtherBinding:
    """A run that goes on beside the one that started it, on a screen of its own where one can be had.

    What it says goes into a file: a pipe would keep its reader waiting for whatever process a crash leaves.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self._folder, self._log = folder, folder / "log"
        tests = Path(__file__).parent
        modules = [path for path in sorted(tests.glob("test_*.py")) if path.name not in _NOT_AGAIN]
        screen = _SCREEN if shutil.which(_SCREEN[0]) else ()
        words = ("-q", "-p", "no:cacheprovider", f"--basetemp={folder / 'base'}")
        with self._log.open("w") as sink:
            self._run = subprocess.Popen(
                [*screen, sys.executable, "-m", "pytest", *words, *modules],
                cwd=tests.parents[1],
                env={**os.environ, "QT_API": name, "PYTEST_QT_API": name, "BLUSH_ONE_BINDING": "1"},
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def end(self) -> tuple[int | None, str]:
        """Wait for its end; return its exit code, None if it hung, and what it said."""
        try:
            code: int | None = self._run.wait(timeout=_LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            self.kill()
        return code, self._log.read_text(errors="replace")

    def kill(self) -> None:
        """End it and whatever it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._run.pid, signal.SIGKILL)
        self._run.wait()

    def remove(self) -> None:
        """End it and take its files away."""
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)
