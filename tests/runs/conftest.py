"""Runs are tested in memory where the system has such a folder: every recorded line is handed to the disk, and
what is tested is the order of things, not the patience of this machine's disk."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
MEMORY = Path("/dev/shm")


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    folder = MEMORY if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="blush-test-", dir=folder) as path:
        yield Path(path)


@pytest.fixture
def spawn() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start toy_cli.py (or another program of this folder) with arguments; none outlives the test."""
    started = []

    def start(*words: object, program: str = "toy_cli.py") -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, str(HERE / program), *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()
