"""Files to read, and folders that cannot be written to."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from mrc_zoo import mrc_bytes

settings.register_profile("busy machine", deadline=None, max_examples=60)
settings.load_profile("busy machine")


@pytest.fixture
def make_map(tmp_path: Path) -> Callable[..., Path]:
    """``make_map(data, name="map.mrc", **as mrc_bytes)`` writes a file and returns its path."""

    def make(data: np.ndarray, name: str = "map.mrc", **arguments) -> Path:
        path = tmp_path / name
        path.write_bytes(mrc_bytes(data, **arguments))
        return path

    return make


@pytest.fixture
def values() -> np.ndarray:
    """Integers from 0 to 100 on three different axis lengths: every mode holds them exactly."""
    return np.random.default_rng(1).integers(0, 101, size=(5, 6, 7)).astype(np.float32)


@pytest.fixture
def as_ordinary_user() -> Iterator[Callable[[], contextlib.AbstractContextManager[Path]]]:
    """Give a folder that can be made unreadable and unwritable, and a user for whom that counts."""
    folder = Path(tempfile.mkdtemp(prefix="blush-permissions-"))
    folder.chmod(0o755)

    @contextlib.contextmanager
    def ordinary() -> Iterator[Path]:
        root = os.geteuid() == 0
        if root:
            os.seteuid(65534)
        try:
            yield folder
        finally:
            if root:
                os.seteuid(0)

    yield ordinary
    folder.chmod(0o755)
    shutil.rmtree(folder)
