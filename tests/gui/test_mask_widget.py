"""*Soft mask* in a real viewer: a layer that follows threshold and edge, and a file of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from docks import delete, put_beside

from blushcore.interactive.messages import Failed, Load, MakeMask, MaskMade, Release
from blushcore.protocol import BlushError
from blushcore.volumes import Volume, read_map, suggest_threshold

pytestmark = pytest.mark.gui

N, VOXEL = 16, 2.0


@pytest.fixture
def stage(make_viewer: Callable[..., Any], silent: Any):
    """A viewer with the dock, whose worker only listens."""
    from napari_blush.layers.view import unwrapped
    from napari_blush.mask.widget import MaskWidget

    viewer = unwrapped(make_viewer())
    widget = MaskWidget(viewer, worker=silent)
    put_beside(viewer, widget, "Soft mask")
    yield viewer, widget
    widget.close()


def add(viewer: Any, name: str, value: float = 0.0) -> Any:
    from napari_blush.layers.maps import add_or_update_map

    values = np.random.default_rng(len(viewer.layers)).random((N,) * 3).astype(np.float32) + value
    return add_or_update_map(viewer, name, Volume(values, (VOXEL,) * 3), name=name)


def asked(worker: Any, count: int) -> MakeMask:
    """Return the newest wish, once there are so many."""
    from worker_stand_ins import wait_until

    def is_there() -> bool:
        if worker.asked(Load):
            worker.answer_loads()
        return len(worker.asked(MakeMask)) >= count

    wait_until(is_there)
    requests = worker.asked(MakeMask)
    assert len(requests) == count
    return requests[-1]


def answer(worker: Any, request: MakeMask, value: float = 1.0, **changes: Any) -> None:
    path = worker.array(request.id, np.full((N,) * 3, value))
    facts = {"threshold": 0.5, "lowest": 0.0, "highest": 1.0, "volume_nm3": 12.5, "share_of_box": 0.25}
    worker.said.emit(MaskMade(id=request.id, path=path, **{**facts, **changes}))


def mask_layer(viewer: Any) -> Any:
    from napari_blush.layers.maps import find_map
    from napari_blush.mask.widget import KEY

    return find_map(viewer, KEY)


def shown(stage: Any) -> Any:
    """Make the first mask, and return its layer."""
    from worker_stand_ins import wait_until

    viewer, widget = stage
    widget.button.click()
    answer(widget._worker, asked(widget._worker, 1))
    wait_until(lambda: mask_layer(viewer) is not None)
    return mask_layer(viewer)


def test_the_mask_of_both_halves_is_shown_over_the_map(stage):
    viewer, widget = stage
    assert not widget.button.isEnabled()
    assert not widget._worker.is_running
    add(viewer, "half1")
    add(viewer, "half2", value=2.0)
    assert (widget.map_box.currentText(), widget.other_box.currentText()) == ("half1", "half2")
    layer = shown(stage)
    [handed] = widget._worker.loaded.values()
    np.testing.assert_allclose(handed, (viewer.layers["half1"].data + viewer.layers["half2"].data) / 2)
    assert layer.name == "Mask of half1"
    assert layer.blending == "additive"
    assert tuple(layer.contrast_limits) == (0.0, 1.0)
    assert widget.message.text() == "12.5 nm³ inside, 25 % of the box."
    assert (widget.slider.minimum(), widget.slider.maximum()) == (0.0, 1.0)
    assert widget.slider.value() == pytest.approx(0.5)
    assert widget.automatic.isChecked()
    assert "Mask of half1" not in [widget.map_box.itemText(at) for at in range(widget.map_box.count())]


def test_it_follows_the_slider_and_only_the_last_wish_counts(stage):
    from worker_stand_ins import pump, wait_until

    viewer, widget = stage
    add(viewer, "map")
    layer = shown(stage)
    for value in (0.6, 0.7):
        widget.slider.setValue(value)
    assert not widget.automatic.isChecked()
    request = asked(widget._worker, 2)
    assert request.settings.threshold == pytest.approx(0.7)
    for value in (0.8, 0.9):  # while one is made
        widget.slider.setValue(value)
        pump(0.1)
    assert len(widget._worker.asked(MakeMask)) == 2
    answer(widget._worker, request, value=0.7, threshold=0.7)
    last = asked(widget._worker, 3)
    assert last.settings.threshold == pytest.approx(0.9)
    answer(widget._worker, last, value=0.9, warnings=("The mask reaches the faces of the box.",))
    wait_until(lambda: "faces" in widget.message.text())
    assert mask_layer(viewer) is layer
    assert float(layer.data.max()) == pytest.approx(0.9)
    widget.form.set_values({"extend": 3.0})
    assert asked(widget._worker, 4).settings.extend == 3.0


def test_it_follows_the_map_and_another_map(stage):
    from worker_stand_ins import wait_until

    viewer, widget = stage
    one = add(viewer, "one")
    shown(stage)
    one.data = one.data + 5.0
    request = asked(widget._worker, 2)
    assert widget._worker.loaded[request.key].mean() > 5.0
    answer(widget._worker, request)
    add(viewer, "two")
    widget.map_box.setCurrentText("two")
    widget.map_box.activated.emit(0)
    answer(widget._worker, asked(widget._worker, 3))
    wait_until(lambda: mask_layer(viewer).name == "Mask of two")
    assert len(widget._worker.asked(Release)) == 2


def test_what_cannot_be_made_is_said(stage):
    viewer, widget = stage
    add(viewer, "map")
    shown(stage)
    widget.slider.setValue(1.0)
    request = asked(widget._worker, 2)
    failure = Failed(request="make_mask", id=request.id, problem="Nothing is inside.", remedy="Lower it.")
    widget._worker.said.emit(failure)
    assert widget.message.text() == "Nothing is inside. Lower it."
    widget.slider.setValue(0.2)
    assert asked(widget._worker, 3).settings.threshold == pytest.approx(0.2)
    widget._worker.died.emit("The worker was killed.", "Restart it.")
    assert "killed" in widget.message.text()
    widget._worker.stop()
    widget.button.click()
    asked(widget._worker, 4)


def test_where_no_threshold_can_be_suggested_it_is_chosen_by_eye(stage):
    viewer, widget = stage
    one = add(viewer, "map")
    widget.button.click()
    request = asked(widget._worker, 1)
    with pytest.raises(BlushError) as refused:
        suggest_threshold(one.data)
    words = {"problem": refused.value.problem, "remedy": refused.value.remedy}
    widget._worker.said.emit(Failed(request="make_mask", id=request.id, **words))
    assert widget.message.text().endswith("Choose the threshold by eye: move the slider.")
    assert (widget.slider.minimum(), widget.slider.maximum()) == pytest.approx((one.data.min(), one.data.max()))
    widget.slider.setValue(0.75)
    assert asked(widget._worker, 2).settings.threshold == pytest.approx(0.75, abs=1e-3)


def test_it_is_saved_with_its_place(stage, tmp_path, monkeypatch):
    from worker_stand_ins import wait_until

    from napari_blush.mask import widget as module

    viewer, widget = stage
    add(viewer, "map")
    assert not widget.save.isEnabled()
    shown(stage)
    path = tmp_path / "mask.mrc"
    monkeypatch.setattr(module, "ask_where_to_save", lambda *_: path)
    told: list[str] = []
    monkeypatch.setattr(widget, "say", told.append)
    widget.save.click()
    wait_until(lambda: bool(told))
    assert read_map(path).voxel_size == (VOXEL,) * 3
    monkeypatch.setattr(module, "ask_where_to_save", lambda *_: tmp_path / "no such folder" / "mask.mrc")
    wrong: list[Exception] = []
    monkeypatch.setattr(widget, "say_error", wrong.append)
    widget.save.click()
    wait_until(lambda: bool(wrong))
    assert "does not exist" in str(wrong[0])


def test_nothing_in_it_is_cut_off_and_it_ends_with_its_dock(make_viewer):
    from qtpy.QtWidgets import QScrollArea

    viewer = make_viewer()
    dock, widget = viewer.window.add_plugin_dock_widget("napari-blush", "Soft mask")
    [area] = widget.findChildren(QScrollArea)
    bar = area.verticalScrollBar().sizeHint().width()
    assert area.widget().minimumSizeHint().width() + bar <= widget.minimumWidth()
    assert not widget._worker.is_running
    viewer.window.remove_dock_widget(dock)
    assert not widget.is_open
    delete(widget)


def test_the_whole_way_with_the_real_worker(make_viewer):
    from worker_stand_ins import wait_until

    from napari_blush.layers.maps import add_or_update_map
    from napari_blush.layers.view import unwrapped
    from napari_blush.mask.widget import MaskWidget

    viewer = unwrapped(make_viewer())
    widget = MaskWidget(viewer)
    put_beside(viewer, widget, "Soft mask")
    place = np.indices((32,) * 3) - 16
    blob = 5 * np.exp(-(place**2).sum(axis=0) / 40.0)
    values = (blob + np.random.default_rng(0).normal(size=blob.shape)).astype(np.float32)
    add_or_update_map(viewer, "map", Volume(values, (3.0,) * 3), name="map")
    widget.button.click()
    wait_until(lambda: mask_layer(viewer) is not None or widget.message.objectName() == "blushError")
    layer = mask_layer(viewer)
    assert float(layer.data[16, 16, 16]) == 1.0
    assert float(layer.data[0, 0, 0]) == 0.0
    widget.close()


# --- what changes while a mask is there, or on its way --------------------------------------------------------


def test_no_map_but_the_one_that_was_chosen_replaces_the_mask(stage):
    from worker_stand_ins import pump, wait_until

    viewer, widget = stage
    one = add(viewer, "one")
    two = add(viewer, "two")
    viewer.layers.selection = {two}
    one.name = "first"  # what is selected is proposed
    assert widget.map_box.currentText() == "two"
    shown(stage)
    viewer.layers.selection = {mask_layer(viewer)}
    one.name = "another"
    add(viewer, "half1")
    pump(0.2)
    assert widget.map_box.currentText() == "two"
    viewer.layers.remove(two)
    assert "of other maps" in widget.message.text()
    widget.form.set_values({"extend": 3.0})
    pump(0.2)
    assert len(widget._worker.asked(MakeMask)) == 1
    assert mask_layer(viewer).name == "Mask of two"
    widget.button.click()
    answer(widget._worker, asked(widget._worker, 2))
    wait_until(lambda: mask_layer(viewer).name == "Mask of half1")


def test_a_mask_that_was_removed_stays_away_until_it_is_asked_for(stage):
    from worker_stand_ins import pump

    viewer, widget = stage
    add(viewer, "map")
    layer = shown(stage)
    widget.slider.setValue(0.7)
    request = asked(widget._worker, 2)
    viewer.layers.remove(layer)
    assert not widget.save.isEnabled()
    answer(widget._worker, request)
    widget.slider.setValue(0.8)
    pump(0.2)
    assert mask_layer(viewer) is None
    assert list(widget._worker.folder.glob("*.npy")) == []
    widget.button.click()
    assert asked(widget._worker, 3).settings.threshold == pytest.approx(0.8)


def test_the_slider_reaches_over_another_map_and_shows_small_densities(stage):
    viewer, widget = stage
    one = add(viewer, "one")
    shown(stage)
    widget.slider.setValue(0.4)
    answer(widget._worker, asked(widget._worker, 2))
    two = add(viewer, "two")
    two.data = two.data * 1e-3
    widget.map_box.setCurrentText("two")
    widget.map_box.activated.emit(0)
    request = asked(widget._worker, 3)
    assert request.settings.threshold is None  # 0.4 is no density of this map
    assert widget.slider.maximum() == pytest.approx(float(two.data.max()), rel=1e-3)
    failure = Failed(request="make_mask", id=request.id, problem="None can be suggested.", remedy="Choose it.")
    widget._worker.said.emit(failure)
    widget.slider.setValue(0.00012345)
    assert widget.slider._label.text() == "0.00012345"
    one.data = np.full_like(one.data, np.nan)  # the worker tells
    widget.map_box.setCurrentText("one")
    widget.map_box.activated.emit(0)
    asked(widget._worker, 4)


def test_leaving_the_label_of_the_slider_does_not_change_the_threshold(stage):
    from worker_stand_ins import pump, wait_until

    viewer, widget = stage
    add(viewer, "map")
    widget.button.click()
    request = asked(widget._worker, 1)
    answer(widget._worker, request, threshold=0.0123456789, lowest=-0.02, highest=0.05)
    wait_until(lambda: mask_layer(viewer) is not None)
    assert widget.slider.value() == pytest.approx(0.0123456789, abs=1e-6)
    widget.slider._label.editingFinished.emit()
    pump(0.2)
    assert widget.automatic.isChecked()
    assert len(widget._worker.asked(MakeMask)) == 1


def test_halves_of_other_grids_are_refused_and_a_new_voxel_size_is_taken(stage):
    from napari_blush.layers.maps import set_voxel_size

    viewer, widget = stage
    one = add(viewer, "half1")
    set_voxel_size(add(viewer, "half2"), 1.5)
    widget.button.click()
    assert "half1 and half2 are not on one grid" in widget.message.text()
    assert widget.message.objectName() == "blushError"
    set_voxel_size(one, 1.5)
    assert widget._worker.loaded.keys() == set()
    request = asked(widget._worker, 1)
    answer(widget._worker, request)
    set_voxel_size(one, 1.4)
    set_voxel_size(viewer.layers["half2"], 1.4)
    assert asked(widget._worker, 2).key != request.key


def test_of_a_denoised_map_it_warns(stage):
    from napari_blush.layers.maps import remember

    viewer, widget = stage
    remember(add(viewer, "map denoised"), denoising={"weights": "v1"})
    shown(stage)
    assert "was denoised" in widget.message.text()
    assert widget.message.objectName() == "blushWarning"


def test_maps_whose_names_tell_of_masks_can_be_chosen_too(stage):
    viewer, widget = stage
    add(viewer, "solvent mask")
    add(viewer, "unmasked map")
    assert [widget.map_box.itemText(at) for at in range(2)] == ["solvent mask", "unmasked map"]
    assert widget.map_box.currentText() == "unmasked map"


def test_what_fails_late_of_earlier_work_is_not_heard(stage):
    """The worker died while an array was on its way: its folder is gone, and another mask is wanted by now."""
    from worker_stand_ins import pump

    viewer, widget = stage
    add(viewer, "map")
    worker = widget._worker
    widget.button.click()
    request = asked(worker, 1)
    path = worker.array(request.id, np.ones((N,) * 3))
    path.unlink()
    said = MaskMade(
        id=request.id, path=path, threshold=0.5, lowest=0.0, highest=1.0, volume_nm3=1.0, share_of_box=0.1
    )
    worker.said.emit(said)
    worker.died.emit("The worker was killed.", "Restart it.")
    widget.button.click()
    pump(0.2)
    assert "exchanged" not in widget.message.text()
    asked(worker, 2)
