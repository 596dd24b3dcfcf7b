"""From napari's menus to the built-in particles: the sample, and five clicks to a running refinement."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from docks import let_go

from blushcore.interactive.messages import MakeDemoParticles, ParticlesMade
from blushcore.volumes import read_map
from tiny_refinement import BOX, PIXEL_SIZE, write_tiny_set

pytestmark = pytest.mark.gui
PATIENCE = 600_000
DOCK = "Refine (Blush)"


@pytest.fixture
def silent(silent: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The worker of the dock that napari opens."""
    from napari_blush.refine import widget

    monkeypatch.setattr(widget, "WorkerClient", lambda: silent)
    return silent


def test_the_sample_fills_the_dock(
    make_viewer: Callable[..., Any], data_folder: Path, silent: Any, qtbot: Any
) -> None:
    from blushcore.jobs.simulate.file_names import REFERENCE

    viewer = make_viewer()
    [layer] = viewer.open_sample("napari-blush", "demo_particles")
    widget = viewer.window.dock_widgets["Refine (napari-blush)"]
    assert widget.state == "making"
    [request] = silent.asked(MakeDemoParticles)
    assert request.folder == data_folder / "demo"
    assert not np.any(layer.data)  # what it shows is being made

    tiny = write_tiny_set(request.folder, count=10)
    reference = tiny.reference.rename(request.folder / REFERENCE)
    parameters = {**tiny.parameters().model_dump(mode="json"), "reference": str(reference)}
    silent.said.emit(ParticlesMade(id="demo", folder=request.folder, truth=reference, parameters=parameters))
    np.testing.assert_array_equal(layer.data, read_map(reference).data)
    np.testing.assert_allclose(layer.scale, PIXEL_SIZE)
    assert [one.name for one in viewer.layers] == ["ref40"]  # one, and the dock takes it
    chosen = widget.set_up.reference.layer
    assert getattr(chosen, "__wrapped__", chosen) is getattr(layer, "__wrapped__", layer)
    assert widget.value().particles == tiny.star
    qtbot.waitUntil(lambda: widget.set_up.particles.facts is not None, timeout=PATIENCE)

    # Once made, it is there at once.
    viewer.layers.clear()
    [layer] = viewer.open_sample("napari-blush", "demo_particles")
    assert layer.data.shape == (BOX,) * 3
    assert np.any(layer.data)
    let_go(viewer, widget)


def test_the_sample_leaves_a_run_that_is_watched(
    make_viewer: Callable[..., Any], data_folder: Path, silent: Any, recorded: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(recorded, run)
    viewer = make_viewer()
    _, widget = getattr(viewer, "__wrapped__", viewer).window.add_plugin_dock_widget("napari-blush", "Refine")
    widget.attach(run)
    viewer.open_sample("napari-blush", "demo_particles")
    assert widget.view is None
    assert widget.state == "making"
    let_go(viewer, widget)


def click_entry(qtbot: Any, menu: Any, text: str) -> Any:
    """Click on an entry of a menu or the menu bar with the mouse; return the menu that opens, if one does."""
    from qtpy.QtCore import Qt
    from qtpy.QtWidgets import QMenuBar

    if not isinstance(menu, QMenuBar):
        qtbot.waitUntil(menu.isVisible)
    (entry,) = [action for action in menu.actions() if action.text().replace("&", "") == text]
    qtbot.mouseClick(menu, Qt.MouseButton.LeftButton, pos=menu.actionGeometry(entry).center())
    return entry.menu()


def test_five_clicks_lead_to_a_running_refinement(
    make_viewer: Callable[..., Any], data_folder: Path, qtbot: Any
) -> None:
    """With the mouse and a real worker: *Plugins*, *Blush*, *Refine*, *Demo particles*, *Run*."""
    import psutil
    from qtpy.QtCore import Qt

    from blushcore.runs import find_worker

    viewer = make_viewer(show=True)
    window = getattr(viewer, "__wrapped__", viewer).window
    plugins = click_entry(qtbot, window._qt_window.menuBar(), "Plugins")
    blush = click_entry(qtbot, plugins, "Blush")
    click_entry(qtbot, blush, "Refine")
    widget = window.dock_widgets[DOCK]
    qtbot.waitUntil(lambda: widget.card.buttons["demo"].isVisible())
    qtbot.mouseClick(widget.card.buttons["demo"], Qt.MouseButton.LeftButton)
    assert widget.state == "making"
    qtbot.waitUntil(lambda: widget.state in ("ready", "wrong"), timeout=PATIENCE)
    assert widget.state == "ready", widget.card.text.text()
    button = widget.run_section.button
    qtbot.waitUntil(lambda: button.isVisible() and button.isEnabled(), timeout=PATIENCE)
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: widget.state == "running", timeout=PATIENCE)
    directory = widget.view.run.directory
    assert directory == data_folder / "demo" / "refine_001"
    worker = find_worker(directory)
    assert worker is not None
    assert str(directory) in psutil.Process(worker.pid).cmdline()
    qtbot.waitUntil(lambda: widget.view.layers.shown == 0, timeout=PATIENCE)  # the reference is seen
    worker.end(stop_seconds=0)
    let_go(viewer, widget)
