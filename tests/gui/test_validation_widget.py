"""*Test the denoiser* in a real viewer: what it asks for, what it shows, and what may go wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from docks import delete, put_beside

from blushcore.interactive.messages import (
    Cancel,
    DenoiserValidated,
    Describe,
    Failed,
    Load,
    Release,
    ValidateDenoiser,
    Working,
)
from blushcore.volumes import Volume

pytestmark = pytest.mark.gui

N, VOXEL = 16, 2.0


@pytest.fixture
def stage(make_viewer: Callable[..., Any], silent: Any):
    """A viewer with the dock, whose worker only listens."""
    from napari_blush.layers.view import unwrapped
    from napari_blush.validation.widget import ValidationWidget

    viewer = unwrapped(make_viewer())
    widget = ValidationWidget(viewer, worker=silent)
    put_beside(viewer, widget, "Test the denoiser")
    yield viewer, widget
    widget.close()


def add(viewer: Any, name: str) -> Any:
    from napari_blush.layers.maps import add_or_update_map

    values = np.random.default_rng(len(viewer.layers)).random((N,) * 3).astype(np.float32)
    return add_or_update_map(viewer, name, Volume(values, (VOXEL,) * 3), name=name)


def found_by(name: str, verdict: str = "invents beyond", **curves: list[float | None]) -> DenoiserValidated:
    plain = list(np.linspace(1, 0, N // 2 + 1))
    return DenoiserValidated(
        id=name,
        sentences=("Weights v1, on cpu.", "A denoised half agrees more.", "It makes up 0.26."),
        figures={
            "verdict": verdict,
            "box": N,
            "voxel_size_angstrom": VOXEL,
            "curves": {"raw": plain, "cross": plain, "transfer_noise": [None, *plain[1:]], **curves},
        },
    )


def begun(stage: Any) -> ValidateDenoiser:
    """Ask for a test of the first two maps, and return the request."""
    from worker_stand_ins import wait_until

    _, widget = stage
    worker = widget._worker
    known = len(worker.asked(ValidateDenoiser))
    widget.button.click()
    wait_until(lambda: len(worker.asked(Load)) >= len(widget.task._keys))
    worker.answer_loads()
    request: ValidateDenoiser = worker.asked(ValidateDenoiser)[known]
    return request


def test_nothing_is_started_before_there_are_two_maps(stage):
    viewer, widget = stage
    assert not widget.button.isEnabled()
    assert "Open the two half-maps" in widget.card.text.text()
    add(viewer, "half2")
    assert not widget._worker.is_running
    add(viewer, "half1")
    assert [box.currentText() for box in widget.maps.boxes()] == ["half1", "half2", "the whole sphere"]
    assert widget.button.isEnabled()
    assert len(widget._worker.asked(Describe)) == 1
    add(viewer, "solvent mask")
    assert widget.maps.mask_box.currentText() == "solvent mask"
    assert len(widget._worker.asked(Describe)) == 1
    widget._worker.describe()
    widget.settings.form.set_values({"weights": "second"})
    assert widget.settings.form.values()["weights"] == "second"


def test_progress_verdict_and_curves(stage):
    viewer, widget = stage
    for name in ("half1", "half2", "mask"):
        add(viewer, name)
    widget.settings.form.set_values({"diameter": 25.0, "seed": 3})
    request = begun(stage)
    assert request.mask is not None
    assert request.settings.diameter == 25.0
    assert request.settings.seed == 3
    roles = [load for load in widget._worker.loaded if load.endswith("mask")]
    assert roles == [request.mask]
    step = Working(id=request.id, stage="denoising half-map 2", done=3, total=12, eta_seconds=200.0)
    widget._worker.said.emit(step)
    assert widget.card.text.text() == "Denoising half-map 2 · 25 % · about 3 min left"
    assert (widget.card.bar.value(), widget.card.bar.maximum()) == (3, 12)
    assert widget.button.text() == "Stop"
    widget._worker.said.emit(found_by(request.id))
    assert widget.card.property("tone") == "ask"
    assert "makes detail up beyond" in widget.card.title.text()
    assert widget.button.text() == "Test"
    assert widget.found.isVisibleTo(widget)
    assert widget.found.of.text() == "half1 and half2"
    assert [label.text() for label in widget.found.sentences][2] == "It makes up 0.26."
    assert [curve.name for curve in widget.found.plot.curves] == [
        "noise ×",
        "raw halves",
        "denoised half, other raw",
    ]
    assert widget.card.bar.isHidden()
    assert len(widget._worker.asked(Release)) == 3
    request = begun(stage)
    widget._worker.said.emit(found_by(request.id, "harm", chance=[0.0] * (N // 2 + 1)))
    assert widget.card.property("tone") == "bad"
    assert len(widget.found.sentences) == 3
    assert "random phases" in [curve.name for curve in widget.found.plot.curves]


def test_curves_are_exported(stage, tmp_path):
    viewer, widget = stage
    add(viewer, "half1")
    add(viewer, "half2")
    widget._worker.said.emit(found_by(begun(stage).id))
    widget.found.plot.export(tmp_path / "validation.csv")
    rows = (tmp_path / "validation.csv").read_text().splitlines()
    assert len(rows) == 1 + N // 2 + 1
    assert "raw halves" in rows[0]


def test_it_can_be_stopped_and_may_fail(stage):
    viewer, widget = stage
    add(viewer, "half1")
    add(viewer, "half2")
    request = begun(stage)
    widget.button.click()
    assert [asked.id for asked in widget._worker.asked(Cancel)] == [request.id]
    assert widget.button.text() == "Test"
    widget._worker.said.emit(found_by(request.id))  # too late: nobody wants to know
    assert not widget.found.isVisibleTo(widget)
    request = begun(stage)
    failure = Failed(request="validate_denoiser", id=request.id, problem="It is so.", remedy="Mend it.")
    widget._worker.said.emit(failure)
    assert widget.card.text.text() == "It is so. Mend it."
    assert widget.button.isEnabled()
    begun(stage)
    widget._worker.died.emit("The worker was killed.", "Restart it.")
    assert "killed" in widget.card.text.text()
    assert widget.button.text() == "Test"


def test_a_map_that_goes_away_meanwhile_changes_nothing(stage):
    viewer, widget = stage
    one = add(viewer, "half1")
    add(viewer, "half2")
    request = begun(stage)
    viewer.layers.remove(one)
    assert widget.button.text() == "Stop"
    widget._worker.said.emit(found_by(request.id))
    assert widget.found.of.text() == "half1 and half2"
    assert not widget.button.isEnabled()
    viewer.add_image(np.zeros((4, 4, 4)), name="half1, in pixels")
    widget.button.click()
    assert "voxel size" in widget.card.text.text()


def test_what_was_found_stays_until_other_maps_are_chosen(stage):
    viewer, widget = stage
    add(viewer, "half1")
    add(viewer, "half2")
    widget._worker.said.emit(found_by(begun(stage).id, "harm"))
    add(viewer, "another")
    viewer.layers["half1"].name = "half1 of yesterday"
    assert widget.card.title.text() == "It does not keep to the data"
    assert widget.maps.half1_box.currentText() == "half1 of yesterday"
    viewer.layers.remove("half2")
    assert "It does not keep" not in widget.card.title.text()


def test_maps_of_other_grids_are_told_by_name_and_denoised_ones_are_doubted(stage):
    from napari_blush.layers.maps import remember, set_voxel_size

    viewer, widget = stage
    add(viewer, "half1")
    two = add(viewer, "half2")
    remember(two, denoising={"weights": "v1"})
    set_voxel_size(two, 1.5)
    widget.button.click()
    assert "half1 and half2 are not on one grid" in widget.card.text.text()
    set_voxel_size(two, VOXEL)
    two.translate = (100.0, 0.0, 0.0)
    widget._worker.said.emit(found_by(begun(stage).id))
    told = [label.text() for label in widget.found.sentences]
    assert told[0] == "half2 was denoised: test with the half-maps as they were reconstructed."
    assert "half2 begins at 0, 0, 100 Å" in told[1]
    assert [label.objectName() for label in widget.found.sentences] == ["blushWarning"] * 2 + ["blushHint"] * 3


def test_denoised_maps_are_not_proposed(stage):
    from napari_blush.layers.maps import add_or_update_map

    viewer, widget = stage
    add(viewer, "J42_map_half_A")
    values = np.random.default_rng(9).random((N,) * 3).astype(np.float32)
    volume = Volume(values, (VOXEL,) * 3)
    add_or_update_map(viewer, "x", volume, name="J42 denoised", details={"denoising": {"weights": "v1"}})
    assert not widget.button.isEnabled()
    add(viewer, "J42_map_half_B")
    add(viewer, "last")
    assert [box.currentText() for box in widget.maps.boxes()][:2] == ["J42_map_half_A", "J42_map_half_B"]
    assert widget.button.isEnabled()


def test_arrays_of_a_test_that_was_stopped_do_not_stay(stage):
    from worker_stand_ins import pump

    viewer, widget = stage
    add(viewer, "half1")
    add(viewer, "half2")
    widget.button.click()
    widget.button.click()  # before they are written
    pump(0.2)
    assert widget._worker.asked(Load) == []
    assert list(widget._worker.folder.glob("*.npy")) == []
    widget._background.run(lambda: 1 / 0, print, lambda error: widget.task._on_trouble("task-0", error))
    request = begun(stage)  # what fails late of another does not end it
    widget._worker.said.emit(found_by(request.id))
    assert widget.found.isVisibleTo(widget)


def test_an_atomic_model_is_taken_where_it_is_dropped(stage, tmp_path):
    _, widget = stage
    widget.take_files([tmp_path / "fitted.cif"])
    assert widget.settings.form.values()["model"] == tmp_path / "fitted.cif"


def test_nothing_in_it_is_cut_off(stage):
    from qtpy.QtWidgets import QScrollArea

    viewer, widget = stage
    add(viewer, "half1")
    add(viewer, "half2")
    widget._worker.said.emit(found_by(begun(stage).id))
    [area] = widget.findChildren(QScrollArea)
    bar = area.verticalScrollBar().sizeHint().width()
    assert area.widget().minimumSizeHint().width() + bar <= widget.minimumWidth()


def test_it_is_in_the_menu_and_ends_with_its_dock(make_viewer):
    viewer = make_viewer()
    dock, widget = viewer.window.add_plugin_dock_widget("napari-blush", "Test the denoiser")
    assert widget.is_open
    assert not widget._worker.is_running  # no process before it is needed
    viewer.window.remove_dock_widget(dock)
    assert not widget.is_open
    delete(widget)


def test_the_whole_way_with_the_real_worker(make_viewer, tmp_path: Path):
    from worker_stand_ins import wait_until

    from napari_blush.layers.view import unwrapped
    from napari_blush.validation.widget import ValidationWidget

    viewer = unwrapped(make_viewer())
    widget = ValidationWidget(viewer)
    put_beside(viewer, widget, "Test the denoiser")
    rng = np.random.default_rng(0)
    place = np.indices((32,) * 3) - 16
    blob = 4 * np.exp(-((place**2).sum(axis=0)) / 40.0)
    from napari_blush.layers.maps import add_or_update_map

    for name in ("half1", "half2"):
        values = (blob + rng.normal(size=blob.shape)).astype(np.float32)
        add_or_update_map(viewer, name, Volume(values, (1.5,) * 3), name=name)
    widget.settings.form.set_values({"device": "cpu"})
    widget.run()
    wait_until(lambda: widget.found.isVisibleTo(widget) or widget.card.property("tone") == "bad")
    assert "Weights" in widget.found.sentences[0].text()
    widget.close()
