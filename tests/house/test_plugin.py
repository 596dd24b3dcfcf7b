"""napari itself, started as a user starts it, knows the plugin."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

STARTED = """
import json, sys
import napari
from npe2 import PluginManager

viewer = napari.Viewer(show=True)
manager = PluginManager.instance()
print(json.dumps({
    "enabled": "napari-blush" in manager and not manager.is_disabled("napari-blush"),
    "name": manager.get_manifest("napari-blush").display_name,
    "torch": "torch" in sys.modules,
}))
viewer.close()
"""


@pytest.mark.gui
def test_napari_knows_the_plugin_and_starts_without_torch(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", STARTED],
        env={**os.environ, "NAPARI_CONFIG": str(tmp_path / "settings.yaml"), "NO_AT_BRIDGE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {"enabled": True, "name": "Blush", "torch": False}
