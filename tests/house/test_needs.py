"""A test that needs what the machine lacks is skipped with the reason; where it must not be, it fails."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

MARKED = """
import pytest

@pytest.mark.relion
def test_with_relion():
    pass

def test_with_shared_data(shared_data):
    assert shared_data.is_dir()

def test_without_needs():
    pass
"""


def run_pytest(folder: Path, repository: Path, **environment: str) -> str:
    (folder / "test_marked.py").write_text(MARKED)
    (folder / "conftest.py").write_text((repository / "tests" / "conftest.py").read_text())
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-c",
        str(repository / "pyproject.toml"),
        "-p",
        "no:cacheprovider",
    ]
    done = subprocess.run(
        [*command, "--rootdir", str(folder), str(folder)],
        env={
            **os.environ,
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PATH": str(folder),
            "BLUSH_SHARED_DATA": str(folder / "nowhere"),
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def test_what_is_lacking_skips_with_its_reason(tmp_path: Path, repository: Path) -> None:
    output = run_pytest(tmp_path, repository, BLUSH_REQUIRE_RELION="0")
    assert "1 passed, 2 skipped" in output
    assert "RELION's programs are not on PATH" in output
    assert "nowhere ($BLUSH_SHARED_DATA names another)" in output


@pytest.mark.parametrize("need", ["RELION", "SHARED_DATA"])
def test_what_is_required_fails(tmp_path: Path, repository: Path, need: str) -> None:
    required = {"BLUSH_REQUIRE_RELION": "0", "BLUSH_REQUIRE_SHARED_DATA": "0", f"BLUSH_REQUIRE_{need}": "1"}
    output = run_pytest(tmp_path, repository, **required)
    assert "1 passed, 1 skipped, 1 error" in output
    assert f"BLUSH_REQUIRE_{need}=1, but" in output
