"""A map as an artefact: one file under the name it is given, and sentences with the name it will have."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from blushcore.jobs.map_file import MapFile
from blushcore.protocol import BlushError
from blushcore.volumes import Volume, read_map

DATA = np.random.default_rng(0).normal(size=(6, 7, 8)).astype(np.float32)


def test_it_is_written_plainly_to_the_name_it_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "replace", lambda *_: pytest.fail("whoever keeps the file renames it"))
    file = MapFile("half1", "half1.mrc.gz", Volume(DATA, (1.5, 1.5, 1.5)))
    file.write(tmp_path / "temporary")
    assert [path.name for path in tmp_path.iterdir()] == ["temporary"]
    assert gzip.decompress((tmp_path / "temporary").read_bytes())[208:211] == b"MAP"
    np.testing.assert_array_equal(read_map(tmp_path / "temporary").data, DATA)


def test_what_cannot_be_written_is_told_with_its_own_name(tmp_path: Path) -> None:
    bad = DATA.copy()
    bad[1, 2, 3] = np.nan
    with pytest.raises(
        BlushError, match=r"^half1\.mrc was not written: the map holds values that are not finite"
    ):
        MapFile("half1", "half1.mrc", Volume(bad, (1.5, 1.5, 1.5))).write(tmp_path / "temporary.mrc")
