"""PySide6 on Python 3.11, which loses references to `True` until Python aborts."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

import pytest

LOSING = """
import sys
from napari_blush.qt_references import hold_constants
if sys.argv[1] == "held":
    hold_constants()
import pyqtgraph
from qtpy.QtWidgets import QApplication
application = QApplication([])
plot = pyqtgraph.PlotWidget()
for _ in range(10_000):
    line = plot.addLine(x=0)
    plot.removeItem(line)
print("alive")
"""


@pytest.mark.gui
def test_thousands_of_plot_lines_do_not_end_python() -> None:
    if importlib.util.find_spec("PySide6") is None:
        if os.environ.get("BLUSH_REQUIRE_GUI") == "1":
            pytest.fail("BLUSH_REQUIRE_GUI=1, but PySide6 is not installed (scripts/setup --gui)")
        pytest.skip("PySide6 is not installed")
    done = subprocess.run(
        [sys.executable, "-c", LOSING, "held"],
        env={**os.environ, "QT_API": "pyside6", "QT_QPA_PLATFORM": "offscreen"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.stdout.endswith("alive\n"), done.stderr[-2000:]
    assert done.returncode == 0
