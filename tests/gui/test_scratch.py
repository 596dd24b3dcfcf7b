"""Folders of a viewer: those of dead ones are swept, all others stay."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

pytest.importorskip("qtpy")

from napari_blush.scratch import scratch_folder, sweep

PROGRAM = "from napari_blush.scratch import scratch_folder; print(scratch_folder('refine'))"


def test_what_a_dead_viewer_left_is_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    shown = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    left = Path(shown.stdout.strip())
    assert left.parent == tmp_path
    assert left.is_dir()
    nobodys = tmp_path / "blush-without-an-owner"
    nobodys.mkdir()
    elsewhere = tmp_path / "blush-of-another-machine"
    elsewhere.mkdir()
    (elsewhere / ".owner").write_text("another/machine\n1\n2.0\n")
    mine = scratch_folder("refine")
    assert not left.exists()
    assert all(path.is_dir() for path in (mine, nobodys, elsewhere))
    assert sweep(tmp_path) == []
