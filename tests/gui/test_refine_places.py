"""Runs that were watched are found again by the next viewer."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("qtpy")

from napari_blush.refine import places


def test_the_runs_watched_last_are_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "data_folder", lambda: tmp_path / "data")
    assert places.remembered_runs() == []
    runs = [tmp_path / f"run ü {number}" for number in range(12)]
    for run in runs:
        run.mkdir()
        (run / "params.json").touch()
        places.remember_run(run)
    assert places.remembered_runs() == runs[:1:-1]
    places.remember_run(runs[5])
    (runs[11] / "params.json").unlink()
    assert places.remembered_runs() == [runs[5], *(run for run in runs[10:1:-1] if run != runs[5])]
