"""``napari RUN_DIR`` opens a run without a question, once the dock has had a run."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.gui


def test_run_directories_open_without_a_question(
    make_viewer: Callable[..., Any], recorded: Path, tmp_path: Path, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari.errors import MultipleReaderError
    from napari.settings import get_settings

    from napari_blush.live import opening
    from napari_blush.live.preference import PLUGIN, prefer_this_plugin

    monkeypatch.setattr(opening, "refine_widget", lambda _: None)
    run = tmp_path / "refine_001"
    shutil.copytree(recorded, run)
    viewer = make_viewer()
    settings = get_settings()
    assert settings.config_path is None  # nothing is saved in the settings of who runs the tests
    with pytest.raises(MultipleReaderError):
        viewer.open(str(run))
    marker = tmp_path / "data" / "told"
    assert prefer_this_plugin(marker)
    viewer.open(str(run))  # as ``napari RUN_DIR`` and a drop on the canvas do
    [dock] = [dock for name, dock in viewer.window.dock_widgets.items() if name == "Run refine_001"]
    qtbot.waitUntil(lambda: dock.layers.shown == 3, timeout=20_000)
    dock.close()

    # Who takes the preference away, or has another, is not overruled.
    settings.plugins.extension2reader = {"*/refine_[0-9][0-9][0-9]/": "napari"}
    assert not prefer_this_plugin(marker)
    marker.unlink()
    assert prefer_this_plugin(marker)
    assert settings.plugins.extension2reader["*/refine_[0-9][0-9][0-9]/"] == "napari"
    assert settings.plugins.extension2reader["*/classify_[0-9][0-9][0-9]/"] == PLUGIN
    settings.plugins.extension2reader = {}
