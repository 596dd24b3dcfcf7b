"""*Take particles of classes* in the dock *Refine*: ticked, saved as `blush select` does, and refined."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from docks import put_beside

from blushcore.particles import read_particles
from particle_files import stack_bytes

pytestmark = pytest.mark.gui
PATIENCE = 600_000
FIGURES = {
    "class_distribution": [0.25, 0.7, 0.05],
    "class_particles": [300, 1200, 0],
    "class_resolution_angstrom": [12.0, None, 9.0],
}
STAND_IN = """
import json, sys, time, pathlib
while not pathlib.Path(sys.argv[1]).exists(): time.sleep(0.02)
print(json.dumps({"figures": {"particles": 1, "of": 2}, "warnings": []}))
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a classification, its particles and their images."""
    from replay import OPTICS, particle_text, recorded_classification

    folder = tmp_path / "project"
    recorded_classification(folder / "classify_001")
    (folder / "particles.star").write_text(OPTICS + particle_text(np.random.default_rng(0), 50))
    (folder / "particles.mrcs").write_bytes(stack_bytes(np.zeros((50, 16, 16)), pixel_size=2.0))
    return folder


@pytest.fixture
def widget(make_viewer: Callable[..., Any], project: Path, data_folder: Path, qtbot: Any) -> Iterator[Any]:
    """The dock, which watches that classification."""
    from worker_stand_ins import SilentWorker

    from napari_blush.refine.widget import RefineWidget

    widget = RefineWidget(make_viewer(), SilentWorker(project.parent / "arrays"))
    put_beside(widget._viewer, widget, "Refine")
    widget.attach(project / "classify_001")
    qtbot.waitUntil(lambda: widget.state == "finished" and widget.view.layers.shown == 3, timeout=PATIENCE)
    yield widget
    widget.shut_down()


def tick(panel: Any, *numbers: int) -> None:
    from qtpy.QtCore import Qt

    for place, item in enumerate(panel._items(), start=1):
        item.setCheckState(0, Qt.CheckState.Checked if place in numbers else Qt.CheckState.Unchecked)


def rows(panel: Any) -> list[list[str]]:
    return [[item.text(column) for column in range(4)] for item in panel._items()]


def test_classes_are_listed_and_an_empty_one_cannot_be_ticked(qtbot: Any) -> None:
    from qtpy.QtCore import Qt

    from napari_blush.plots.theme import palette_of
    from napari_blush.refine.classes_panel import ClassesPanel

    panel = ClassesPanel()
    qtbot.addWidget(panel)
    assert panel.isHidden()
    panel.set_palette(palette_of("dark"))
    panel.set_classes(4, FIGURES)
    panel.fold.click()
    assert rows(panel) == [
        ["Class 1", "25.0 %", "300", "12.0 Å"],
        ["Class 2", "70.0 %", "1\u202f200", "–"],
        ["Class 3", "5.0 %", "empty", "–"],
    ]
    assert [row.number for row in panel.ticked] == [2]  # the largest, at first
    assert not panel._items()[2].flags() & Qt.ItemFlag.ItemIsEnabled
    colours = [item.icon(0).pixmap(18, 10).toImage().pixelColor(9, 5).name() for item in panel._items()]
    assert colours == list(palette_of("dark").curves[:3])
    tick(panel, 1, 2)
    assert panel.words.text() == "1\u202f500 of 1\u202f500 particles, as they were after iteration 4."
    panel.set_classes(5, {**FIGURES, "class_particles": [0, 1500, 0]})  # ticked, but empty by now
    assert [row.number for row in panel.ticked] == [2]
    tick(panel)
    assert not panel.save_button.isEnabled()
    assert not panel.refine_button.isEnabled()
    assert panel.words.text().startswith("Tick the classes")


def test_particles_are_saved_and_a_place_outside_the_project_is_said(
    widget: Any, project: Path, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from qtpy.QtWidgets import QFileDialog

    asked: list[str] = []

    def answer(_: Any, title: str, proposed: str, kinds: str) -> tuple[str, str]:
        asked.append(proposed)
        return str(project.parent / "elsewhere.star"), kinds

    monkeypatch.setattr(QFileDialog, "getSaveFileName", answer)
    panel = widget.watching.taking.panel
    assert not panel.isHidden()
    tick(panel, 2)
    panel.save_button.click()
    assert asked == [str(project / "classify_001_it003_class2.star")]
    qtbot.waitUntil(lambda: not panel.line.note.is_busy, timeout=PATIENCE)
    assert panel.line.note.tone == "warn"
    assert "20 of 50 particles are in elsewhere.star. From there it cannot be refined" in panel.line.note.text
    assert "refine it with “Images' folder” (Expert)" in panel.line.note.text
    assert len(read_particles(project.parent / "elsewhere.star", needs_ctf=False)) == 20
    assert widget.view is not None  # still watched


def test_a_refinement_of_some_classes_is_set_up(widget: Any, project: Path, qtbot: Any) -> None:
    (project / "classify_001_it003_class1_2.star").write_text("somebody's")
    widget.run_section.output.path = project / "classify_001"  # where the classification went
    panel = widget.watching.taking.panel
    tick(panel, 1, 2)
    assert "begins with the map of class 1; diameter (24 Å), symmetry (C1)" in panel.refine_button.toolTip()
    panel.refine_button.click()
    qtbot.waitUntil(lambda: widget.view is None, timeout=PATIENCE)
    star = project / "classify_001_it003_class1_2_2.star"
    assert (project / "classify_001_it003_class1_2.star").read_text() == "somebody's"
    assert len(read_particles(star, needs_ctf=False)) == 50
    params = widget.value()
    assert params.particles == star
    assert params.reference == project / "classify_001" / "run_it003_class001.mrc"
    assert (params.diameter, params.prior, params.tau_fudge) == (24.0, "wiener", 1.0)
    assert not params.resample_reference  # the last iteration's maps are whole
    assert widget.run_section.path == project / "refine_001"
    assert widget.pages["set_up"].isChecked()
    qtbot.waitUntil(lambda: widget.set_up.particles.facts is not None, timeout=PATIENCE)
    assert widget.set_up.particles.facts.count == 50


def test_the_iteration_that_is_looked_at_is_taken(widget: Any, project: Path, qtbot: Any) -> None:
    taking = widget.watching.taking
    widget.view.slider.slider.setValue(1)
    qtbot.waitUntil(lambda: taking.panel.iteration == 1, timeout=PATIENCE)
    assert taking._proposed().name == "classify_001_it001_class1.star"
    assert taking._file("data").name == "run_it001_data.star"
    assert taking._refinement(project / "x.star").resample_reference  # a map of the history may be cropped
    widget.view.slider.slider.setValue(0)  # the reference has no classes: those of the newest
    qtbot.waitUntil(lambda: taking.panel.iteration == 3, timeout=PATIENCE)


@pytest.mark.parametrize(
    ("name", "what"),
    [("run_it003_data.star", "table of particles"), ("run_it003_class001.mrc", "map of class 1")],
)
def test_a_file_that_is_gone_is_said(widget: Any, project: Path, name: str, what: str) -> None:
    (project / "classify_001" / name).unlink()
    panel = widget.watching.taking.panel
    panel.refine_button.click()
    assert f"The {what} after iteration 3 is not in classify_001." in panel.line.note.text
    assert panel.line.note.tone == "bad"
    assert widget._commands._calls == []
    assert not list(project.glob("*class1.star"))


def test_a_second_click_does_nothing_and_a_run_that_was_left_is_told_in_a_notice(
    widget: Any, project: Path, qtbot: Any
) -> None:
    go, notices = project / "go", list[str]()
    widget._commands._command = (sys.executable, "-c", STAND_IN, str(go))
    taking = widget.watching.taking
    taking._say = notices.append
    taking.panel.refine_button.click()
    assert not taking.panel.refine_button.isEnabled()
    assert not taking.panel.save_button.isEnabled()
    taking._refine()
    assert len(widget._commands._calls) == 1
    widget.card.buttons["set_up"].click()
    before = widget.set_up.values()
    go.touch()
    qtbot.waitUntil(lambda: bool(notices), timeout=PATIENCE)
    assert notices == ["1 of 2 particles are in classify_001_it003_class1.star."]
    assert widget.set_up.values() == before
