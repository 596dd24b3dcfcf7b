"""The manifest leads to what exists, and napari starts without what it does not need."""

from __future__ import annotations

import importlib
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

ACTIVATED = """
import importlib, json, sys
import napari_blush
from npe2 import PluginManager

manager = PluginManager.instance()
manager.discover()
manager.activate("napari-blush")
for name in ("reading", "writing", "samples", "notices", "layers.maps", "layers.split", "layers.diameter",
             "layers.binning", "plots.fsc", "compare_widget"):
    importlib.import_module(f"napari_blush.{name}")
from napari_blush.samples import demo_half_maps
demo_half_maps()
from napari_blush.plots.fsc import crossing_angstrom
crossing_angstrom([1, 0], 10.0, 0.143)
print(json.dumps({"torch": "torch" in sys.modules, "matplotlib": "matplotlib" in sys.modules}))
"""


@pytest.mark.gui
def test_the_plugin_needs_no_torch() -> None:
    done = subprocess.run([sys.executable, "-c", ACTIVATED], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"torch": False, "matplotlib": False}


def test_every_command_exists(repository: Path) -> None:
    npe2 = pytest.importorskip("npe2")
    manifest = npe2.PluginManifest.from_file(repository / "napari.yaml")
    for command in manifest.contributions.commands:
        module, name = command.python_name.split(":")
        source = importlib.util.find_spec(module)
        assert source is not None, command.id
        text = Path(source.origin).read_text(encoding="utf-8")
        assert f"def {name}(" in text or f"class {name}(" in text, command.python_name
    package, icon = manifest.icon.split(":")
    assert (Path(importlib.import_module(package).__file__).parent / icon).is_file()


@pytest.mark.gui
def test_the_icon_takes_the_ink_of_the_theme(qapp: object) -> None:
    from napari_blush.icons import blush_icon

    dark, light = (blush_icon(ink, 64).pixmap(64, 64).toImage() for ink in ("#000000", "#ffffff"))
    assert dark.pixelColor(31, 40).lightness() < 10
    assert light.pixelColor(31, 40).lightness() > 245
    assert dark.pixelColor(45, 30) == light.pixelColor(45, 30)  # the blush
