"""The tests of the plugin, once more with the Qt binding that this run does not use."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

BINDINGS = {"pyqt6": "PyQt6", "pyside6": "PySide6"}
NOT_AGAIN = {"test_split_array.py", "test_reading.py", "test_map_layers.py", Path(__file__).name}
"""No Qt of ours in them."""
LIMIT_SECONDS = 1800.0
"""Far beyond the six minutes that it takes: a run that hangs must not take the whole suite with it."""


@pytest.mark.gui
@pytest.mark.skipif(os.environ.get("BLUSH_ONE_BINDING") == "1", reason="this is the run with the other one")
def test_the_plugin_works_with_the_other_binding(tmp_path: Path) -> None:
    (other,) = BINDINGS.keys() - {os.environ["QT_API"].lower()}
    if importlib.util.find_spec(BINDINGS[other]) is None:
        if os.environ.get("BLUSH_REQUIRE_GUI") == "1":
            pytest.fail(f"BLUSH_REQUIRE_GUI=1, but {BINDINGS[other]} is not installed (scripts/setup --gui)")
        pytest.skip(f"{BINDINGS[other]} is not installed")
    modules = [path for path in sorted(Path(__file__).parent.glob("test_*.py")) if path.name not in NOT_AGAIN]
    log = tmp_path / "log"
    with log.open("w") as sink:
        # Into a file: a pipe would keep us waiting for whatever process a crash of this one leaves behind.
        run = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "pytest",
                "-q",
                "-p",
                "no:cacheprovider",
                f"--basetemp={tmp_path / 'base'}",
                *modules,
            ],
            cwd=Path(__file__).parents[2],
            env={**os.environ, "QT_API": other, "PYTEST_QT_API": other, "BLUSH_ONE_BINDING": "1"},
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = run.wait(timeout=LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(run.pid, signal.SIGKILL)
            run.wait()
    said = log.read_text(errors="replace")
    assert code == 0, f"with {other}, after {LIMIT_SECONDS} s or before:\n{said[-12000:]}"
    assert " passed" in said
