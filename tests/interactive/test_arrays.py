"""Arrays that worker and viewer hand to each other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from blushcore.interactive.arrays import ArrayFolder
from blushcore.protocol import BlushError

resource = pytest.importorskip("resource")  # not on Windows


@pytest.fixture
def little_room() -> Iterator[int]:
    """No file may become longer than so many bytes, as on a disk that runs full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, hard))
    yield 1 << 16
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_said_so_and_nothing_is_left(tmp_path: Path, little_room: int) -> None:
    folder = ArrayFolder(tmp_path)
    small = np.arange(8, dtype=np.float32)
    np.testing.assert_array_equal(np.load(folder.write(small, "small")), small)
    with pytest.raises(BlushError, match="The disk is full: an array could not be written") as told:
        folder.write(np.zeros(little_room, dtype=np.float32), "large")
    assert "Make room" in told.value.remedy
    assert [path.name for path in tmp_path.iterdir()] == ["000001-small.npy"]


def test_a_folder_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(BlushError, match=f"No such file or directory: .*{tmp_path.name}/gone"):
        ArrayFolder(tmp_path / "gone").write(np.zeros(3, dtype=np.float32), "map")
