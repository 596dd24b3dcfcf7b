"""The dock widget *Denoise map* in a real viewer: with a worker that only listens, and with the real one."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from denoising import add_map, blob
from docks import delete, put_beside, take_away

from blushcore.interactive.messages import Denoise, DenoiseSettings, Load, SliceInView, SlicePicture
from blushcore.volumes import read_map, write_map

pytestmark = pytest.mark.gui


def visible(*widgets: Any) -> list[bool]:
    return [not widget.isHidden() for widget in widgets]


def test_every_control_says_what_it_is_for(open_widget, silent):
    from qtpy.QtWidgets import QAbstractButton, QAbstractSpinBox, QComboBox

    _, widget = open_widget(silent)
    for kind in (QAbstractButton, QComboBox, QAbstractSpinBox):
        for control in widget.findChildren(kind):
            if control.objectName() in ("qt_toolbar_ext_button",) or isinstance(
                control.parent(), QAbstractSpinBox
            ):
                continue
            words = control.toolTip() or control.parent().toolTip()
            assert words, control


def test_the_states_have_their_looks(open_widget, silent):
    viewer, widget = open_widget(silent)
    status = widget.panels.status
    assert status.title.text() == "No map yet"
    assert visible(status.open_button, status.sample_button, status.bar) == [True, True, False]
    assert not status.picture.isHidden()
    assert not status.picture.pixmap().isNull()
    assert not widget.panels.denoise_button.isEnabled()
    add_map(viewer, blob())
    assert status.title.text() == "Reading the map"
    assert visible(status.open_button, status.bar, status.picture) == [False, True, False]
    silent.answer_loads(60.0)
    assert status.title.text() == "Ready"
    assert widget.panels.denoise_button.isEnabled()
    assert widget.panels.form.value().diameter == 60  # the estimate
    widget.panels.denoise_button.click()
    assert status.title.text() == "Denoising"
    assert visible(status.cancel_button, status.bar) == [True, True]
    assert not widget.panels.denoise_button.isEnabled()
    status.cancel_button.click()
    assert status.title.text() == "Cancelled"
    assert status.property("tone") == "idle"
    silent.stop()
    silent.died.emit("It was killed.", "Restart it.")
    assert status.title.text() == "It was killed."
    assert status.property("tone") == "bad"
    assert visible(status.restart_button, status.details_button) == [True, True]
    status.restart_button.click()
    assert silent.starts == 2
    silent.answer_loads()
    assert status.title.text() == "Ready"
    viewer.layers.clear()
    assert status.title.text() == "No map yet"


def test_a_map_without_voxel_size_is_asked_about(open_widget, silent):
    viewer, widget = open_widget(silent)
    layer = add_map(viewer, blob(), units=("pixel",) * 3, scale=(1, 1, 1))
    assert widget.panels.inputs.voxel_size.text() == "not set"
    assert widget.panels.status.title.text() == "What is the voxel size?"
    assert not silent.asked(Load)
    widget.panels.inputs.voxel_size.setValue(2.25)
    silent.answer_loads()
    assert widget.session.sources[0].voxel_size == (2.25,) * 3
    assert tuple(layer.scale) == (2.25,) * 3
    assert [str(unit) for unit in layer.units] == ["angstrom"] * 3
    assert widget.panels.inputs.size_label.text() == "32 × 32 × 32 voxels · 72 Å box"


def test_the_scale_bar_is_in_angstrom_and_then_the_users(open_widget, silent):
    viewer, widget = open_widget(silent)
    bar = viewer.canvas.overlays.scale_bar
    assert not bar.visible
    add_map(viewer, blob())
    silent.answer_loads()
    assert bar.visible
    assert {str(unit) for layer in viewer.layers for unit in layer.units} == {"angstrom"}
    bar.visible = False
    widget.panels.inputs.choose(add_map(viewer, blob(1), "other"))
    silent.answer_loads()
    assert not bar.visible


def test_the_circle_and_the_form_are_one(open_widget, silent):
    viewer, widget = open_widget(silent)
    add_map(viewer, blob())
    silent.answer_loads(60.0)
    circle = widget.panels.diameter.circle
    assert circle.diameter == 60
    circle.diameter = 33.34  # as a drag does
    assert widget.panels.form.value().diameter == 33.3
    widget.panels.form.set_value(DenoiseSettings(diameter=40))
    assert circle.diameter == 40
    widget.panels.diameter.circle_box.setChecked(False)
    assert not circle.visible
    # The user's diameter stays with another map; the estimate can be had again.
    other = add_map(viewer, blob(1), "other")
    widget.panels.inputs.choose(other)
    silent.answer_loads(55.0)
    assert widget.panels.form.value().diameter == 40
    widget.panels.diameter.estimate_button.click()
    assert widget.panels.form.value().diameter == 55


def test_what_there_is_to_choose_from_and_the_memory_it_takes(open_widget, silent):
    _, widget = open_widget(silent)
    silent.describe(peak=3 << 30)
    weights = widget.panels.form.control("weights")
    assert [weights.itemText(i) for i in range(weights.count())] == ["first (default)", "second", "a file …"]
    device = widget.panels.form.control("device")
    assert [device.itemText(i) for i in range(3)] == ["automatic: cuda:0", "cuda:0: NVIDIA H200", "cpu: EPYC"]
    assert widget.panels.memory.text() == "NVIDIA H200: needs up to 3.0 GiB, 8.0 GiB free"
    assert widget.panels.memory.objectName() == "blushHint"
    silent.describe(peak=3 << 30, free=2 << 30)
    assert widget.panels.memory.objectName() == "blushWarning"


def test_the_slice_in_view_is_followed(open_widget, silent):
    from worker_stand_ins import wait_until

    viewer, widget = open_widget(silent)
    add_map(viewer, blob())
    silent.answer_loads()
    widget.preview(True)
    request = silent.asked(Denoise)[-1]
    assert (request.mode, request.focus.axis) == ("preview", 0)
    for index in (3, 4, 5):
        viewer.dims.set_current_step(0, index)
    wait_until(lambda: widget.session._work._focus.index == 5)
    viewer.dims.order = (2, 0, 1)
    viewer.dims.set_current_step(2, 7)
    wait_until(lambda: (widget.session._work._focus.axis, widget.session._work._focus.index) == (2, 7))
    viewer.dims.ndisplay = 3
    wait_until(lambda: widget.session._work._focus is None)
    assert "look at one in 2D" in widget.panels.status.text.text()


def test_pictures_go_into_one_layer_in_place(open_widget, silent):
    from worker_stand_ins import wait_until

    viewer, widget = open_widget(silent)
    source = blob()
    add_map(viewer, source)
    silent.answer_loads()
    widget.panels.display.set_mode("result")
    widget.preview(True)
    work = silent.asked(Denoise)[-1].id

    def picture(index: int, done: int) -> None:
        path = silent.array(f"slice-{index}-{done}", np.full((32, 32), index + done))
        silent.said.emit(
            SlicePicture(
                id=work,
                axis=0,
                index=index,
                path=path,
                blocks_done=done,
                blocks_total=2,
                whole=True,
                approximate=done < 2,
            )
        )

    picture(15, 0)  # before the layer is there
    wait_until(lambda: widget.layers.denoised is not None)
    layer = widget.layers.denoised
    data = layer.data
    assert data[15, 0, 0] == 15
    np.testing.assert_array_equal(data[14], source.data[14])
    assert widget.panels.status.title.text() == "Preview · approximate"
    picture(16, 2)
    assert widget.panels.status.title.text() == "Preview · this slice is final"
    assert widget.layers.denoised.data is data
    assert data[16, 0, 0] == 18
    assert "preview" in layer.name
    np.testing.assert_array_equal(source.data, blob().data)  # the input is nobody's canvas
    viewer.layers.remove(layer)
    assert widget.session.state == "ready"  # nobody computes what is shown nowhere
    assert not widget.panels.preview_button.isChecked()


def test_slice_in_view_of_moved_and_rolled_maps(make_viewer):
    from napari_blush.denoise.view_focus import slice_in_view

    viewer = make_viewer()
    volume = blob(n=16, size=2.0)
    layer = add_map(viewer, volume, translate=(-20.0, 100.0, 7.0))
    viewer.dims.set_point(0, -20.0 + 2 * 5)
    viewer.scene.camera.center = (0, 100.0, 7.0)
    assert slice_in_view(viewer, layer) == SliceInView(axis=0, index=5, centre=(0, 0))
    viewer.dims.order = (1, 2, 0)
    viewer.dims.set_point(1, 100 + 2 * 9)
    assert slice_in_view(viewer, layer).axis == 1
    assert slice_in_view(viewer, layer).index == 9
    viewer.dims.order = (0, 1, 2)
    viewer.add_image(np.zeros((50, 4, 4)), translate=(-20, 0, 0), scale=(2, 1, 1))
    viewer.dims.set_point(0, 70.0)  # beyond the map
    assert slice_in_view(viewer, layer) is None


def test_files_that_are_dropped_are_opened_and_chosen(open_widget, silent, tmp_path):
    from qtpy.QtCore import QMimeData, QPointF, Qt, QUrl
    from qtpy.QtGui import QDropEvent
    from worker_stand_ins import wait_until

    viewer, widget = open_widget(silent)
    paths = [tmp_path / f"half{half}.mrc" for half in (1, 2)]
    for seed, path in enumerate(paths):
        write_map(path, blob(seed))
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    actions, button = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton
    widget.dropEvent(QDropEvent(QPointF(5, 5), actions, mime, button, Qt.KeyboardModifier.NoModifier))
    wait_until(lambda: len(viewer.layers) == 2)
    assert widget.panels.inputs.map_layer.name == "half1"
    assert widget.panels.inputs.half_layer.name == "half2"
    assert widget.session.names == ("half1", "half2")


def test_the_x_of_the_dock_ends_worker_and_circle(make_viewer, silent):
    from napari_blush.denoise.widget import DenoiseWidget

    viewer = make_viewer()
    widget = DenoiseWidget(viewer, silent)
    put_beside(viewer, widget, "Denoise map")
    add_map(viewer, blob())
    silent.answer_loads(30.0)
    assert silent.is_running
    assert any(key.startswith("blush_diameter") for key in viewer.scene.overlays)
    take_away(viewer, widget)
    assert not silent.is_running
    assert not widget.is_open
    assert not any(key.startswith("blush_diameter") for key in viewer.scene.overlays)
    delete(widget)


def test_closing_the_viewer_in_the_middle_of_a_run_ends_the_worker(make_viewer, silent):
    from qtpy.QtCore import QEvent
    from qtpy.QtWidgets import QApplication
    from worker_stand_ins import pump

    from napari_blush.denoise.widget import DenoiseWidget

    viewer = make_viewer()
    bare = getattr(viewer, "__wrapped__", viewer)
    widget = DenoiseWidget(viewer, silent)
    bare.window.add_dock_widget(widget, name="Denoise map")
    add_map(viewer, blob())
    silent.answer_loads_until(lambda: widget.session.can_work)
    results = widget.session._store.folder
    widget.denoise()
    assert silent.is_running
    bare.close()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    pump(0.1)
    assert not silent.is_running
    assert not results.exists()


def test_the_theme_may_change_while_something_is_denoised(open_widget, silent):
    viewer, widget = open_widget(silent)
    add_map(viewer, blob())
    silent.answer_loads_until(lambda: widget.session.can_work)
    widget.denoise()
    for theme in ("light", "dark"):
        viewer.theme = theme
        assert widget.panels.status.title.text() == "Denoising"
        assert not widget.panels.status.cancel_button.isHidden()
    assert widget.session.state == "running"


def test_results_may_be_taken_out_of_layers_and_history(open_widget, silent):
    from worker_stand_ins import wait_until

    viewer, widget = open_widget(silent)
    add_map(viewer, blob())
    silent.answer_loads_until(lambda: widget.session.can_work)
    widget.denoise()
    silent.answer_denoise()
    wait_until(lambda: widget.layers.split is not None)
    viewer.layers.remove("map denoised")
    assert widget.layers.split is None
    widget.panels.history.remove_button.click()
    assert widget.session.history == []
    widget.panels.display.set_mode("difference")  # what is shown still can be
    wait_until(lambda: "map difference (denoised − input)" in viewer.layers)
    difference = viewer.layers["map difference (denoised − input)"]
    np.testing.assert_allclose(difference.data, -0.5 * blob().data, atol=1e-6)
    assert difference.colorbar.visible
    assert viewer.layers.selection  # napari shows the controls of something


def test_what_is_no_map_is_not_offered(open_widget, silent):
    viewer, widget = open_widget(silent)
    viewer.add_image(np.zeros((8, 8)), name="flat")
    viewer.add_image(np.zeros((4, 8, 8)), name="stack", axis_labels=("image", "y", "x"))
    assert widget.panels.inputs.map_box.count() == 0
    assert "no map" in widget.panels.status.text.text()
    first = add_map(viewer, blob(), "a")
    inputs = widget.panels.inputs
    widget.panels.inputs.choose(first, first)
    assert inputs.half_layer is None  # a map is not its own other half


def test_layers_that_no_map_can_be_are_told_and_other_units_converted(open_widget, silent):
    viewer, widget = open_widget(silent)
    layer = add_map(viewer, blob(), scale=(-1.5, 1.5, 1.5))
    assert "mirrored" in widget.panels.status.title.text()
    viewer.layers.remove(layer)
    turned = add_map(viewer, blob(), rotate=(0, 0, 30))
    assert "turned" in widget.panels.status.title.text()
    viewer.layers.remove(turned)
    metric = add_map(viewer, blob(), scale=(0.2,) * 3, translate=(1, 2, 3), units=("nm",) * 3)
    silent.answer_loads()
    assert [str(unit) for unit in metric.units] == ["angstrom"] * 3
    np.testing.assert_allclose(metric.scale, 2.0)
    np.testing.assert_allclose(metric.translate, (10, 20, 30))


def test_grids_that_differ_are_named(open_widget, silent):
    viewer, widget = open_widget(silent)
    one, other = add_map(viewer, blob(), "one"), add_map(viewer, blob(n=24), "other")
    widget.panels.inputs.choose(one, other)
    title = widget.panels.status.title.text()
    assert title.startswith("one and other are not on one grid: 32 × 32 × 32")
    assert not widget.panels.denoise_button.isEnabled()


def test_new_values_in_the_layer_are_taken_in_hand(open_widget, silent):
    from worker_stand_ins import wait_until

    viewer, widget = open_widget(silent)
    layer = add_map(viewer, blob())
    silent.answer_loads()
    layer.data = blob(7).data
    wait_until(lambda: bool(silent.asked(Load)))
    assert widget.session.sources[0].data is layer.data


def test_an_odd_diameter_is_remarked_upon(open_widget, silent):
    viewer, widget = open_widget(silent)
    add_map(viewer, blob())  # 48 Å
    silent.answer_loads(None)
    remark = widget.panels.diameter.remark
    assert "No particle stands out" in remark.text()
    for diameter, words in ((60, "Larger than the box (48 Å)."), (6, "outside it all is flat"), (30, "")):
        widget.panels.form.set_value(DenoiseSettings(diameter=diameter))
        assert words in remark.text()
        assert remark.isHidden() == (not words)


def test_removing_the_map_in_work_is_told_and_ends_it(open_widget, silent, monkeypatch):
    viewer, widget = open_widget(silent)
    said: list[str] = []
    layer = add_map(viewer, blob(), "mine")
    silent.answer_loads()
    widget.denoise()
    monkeypatch.setattr(widget._maps, "_say", said.append)
    viewer.layers.remove(layer)
    assert said == ["Denoising mine was stopped: other maps are chosen now."]
    assert widget.session.state == "empty"


def test_a_renamed_map_lends_its_new_name(open_widget, silent):
    from worker_stand_ins import wait_until

    viewer, widget = open_widget(silent)
    halves = [add_map(viewer, blob(seed), f"h{seed + 1}") for seed in range(2)]
    widget.panels.inputs.choose(*halves)
    silent.answer_loads_until(lambda: widget.session.can_work)
    widget.denoise()
    halves[0].name = "apo"
    silent.answer_denoise()
    halves[1].name = "holo"  # while the second is under way
    silent.answer_denoise()
    wait_until(lambda: "apo denoised" in viewer.layers and "holo denoised" in viewer.layers)
    assert widget.session.history[0].names == ("apo", "holo")
    wait_until(lambda: widget.layers.split is not None)

    mine = viewer.layers["holo denoised"]
    mine.name = "keep this"
    halves[0].name, halves[1].name = "wild type", "mutant"
    assert {layer.name for layer in viewer.layers} == {
        "wild type",
        "mutant",
        "wild type denoised",
        "keep this",
        "wild type | wild type denoised",
    }
    assert not silent.asked(Load)  # a name is nothing to load again


def test_halves_are_not_written_over_what_is_there(tmp_path):
    from blushcore.protocol import BlushError
    from napari_blush.denoise.files import writer_of

    (tmp_path / "emd_1.2_half2.map.gz").touch()
    with pytest.raises(BlushError, match=r"emd_1\.2_half2\.map\.gz would be overwritten"):
        writer_of(tmp_path / "emd_1.2.map.gz", 2, list)
    paths, _ = writer_of(tmp_path / "out", 1, list)
    assert paths == [tmp_path / "out.mrc"]


def test_what_is_dropped_must_be_maps(tmp_path):
    import mrcfile

    from blushcore.protocol import BlushError
    from napari_blush.panels.files import read_as_maps

    stack = tmp_path / "s.mrcs"
    with mrcfile.new(stack) as file:
        file.set_data(np.random.default_rng(1).random((4, 16, 16)).astype(np.float32))
        file.voxel_size = 1.5
    for paths, words in (
        ([stack], "holds particle images"),
        ([tmp_path], "is a folder"),
        ([stack] * 3, "3 files were given"),
    ):
        with pytest.raises(BlushError, match=words):
            read_as_maps(paths)


# --- with the real worker and network -------------------------------------------------------------------------


@pytest.mark.usefixtures("no_log_errors")
def test_from_a_map_to_a_saved_result(open_widget, random_weights, tmp_path):
    import torch
    from worker_stand_ins import pump, wait_until

    from blushcore.denoiser import Denoiser, denoise_map
    from napari_blush.layers.maps import METADATA

    viewer, widget = open_widget()
    session, layers = widget.session, widget.layers
    settings = DenoiseSettings(diameter=40, weights=str(random_weights), device="cpu", precision="float32")
    widget.panels.form.set_value(settings)
    source = blob()
    source_layer = add_map(viewer, source)
    wait_until(lambda: session.state == "ready")
    assert session.estimated_diameter == pytest.approx(40, abs=10)

    pictures = []
    session.picture_came.connect(pictures.append)
    widget.preview(True)
    wait_until(lambda: bool(pictures) and not pictures[-1].approximate)
    wait_until(lambda: layers.split is not None)
    layer = layers.denoised
    denoiser = Denoiser.load(random_weights, "cpu", "float32")
    expected = denoise_map(denoiser, torch.from_numpy(source.data), source.voxel_size, diameter=40).map.numpy()
    index = pictures[-1].index
    close = {"rtol": 0, "atol": 1e-4}
    np.testing.assert_allclose(layer.data[index], expected[index], **close)
    viewer.dims.set_current_step(0, 5)
    wait_until(lambda: pictures[-1].index == 5)
    np.testing.assert_allclose(layer.data[5], expected[5], **close)

    widget.panels.denoise_button.click()
    wait_until(lambda: session.state == "done" and layers.result is not None and "preview" not in layer.name)
    assert layers.denoised == layer  # the same, updated
    np.testing.assert_allclose(layer.data, expected, **close)
    record = layer.metadata[METADATA]["denoising"]
    assert record["figures"]["weights_sha256"] == denoiser.info.sha256
    assert widget.panels.status.title.text() == "Done"
    assert tuple(str(unit) for unit in layer.units) == ("angstrom",) * 3

    widget.panels.display.strength.setValue(0.5)
    halfway = (source.data + expected) / 2
    wait_until(lambda: np.allclose(layer.data, halfway, atol=1e-3))
    assert layer.metadata[METADATA]["denoising"]["strength"] == 0.5
    target = tmp_path / "out.mrc"
    widget.save(target)
    wait_until(target.exists)
    np.testing.assert_allclose(read_map(target).data, halfway, **close)

    widget.panels.display.set_mode("difference")
    widget.panels.display.solvent_mask.setChecked(True)
    wait_until(lambda: layers._own.find("mask") is not None)
    difference = layers._own.find("difference")
    np.testing.assert_allclose(difference.data, (expected - source.data) / 2, **close)
    assert difference.contrast_limits[0] == -difference.contrast_limits[1]
    assert layers.split is None

    # Another diameter: a second result, in the same layers; the first one beside it.
    count = len(viewer.layers)
    widget.panels.form.set_value(settings.replace(diameter=25))
    widget.panels.denoise_button.click()
    wait_until(lambda: len(session.history) == 2 and layers.result is session.history[1])
    pump(0.2)
    assert len(viewer.layers) == count
    assert layers.denoised == layer
    first, second = session.history
    assert widget.panels.history.selected is second
    widget.show_result(first)
    wait_until(lambda: layer.metadata[METADATA]["denoising"]["settings"]["diameter"] == 40)
    widget.panels.display.set_mode("split")
    widget.layers.want(compare_with=second)
    wait_until(lambda: layers.split is not None and layers.split.before != source_layer)
    assert layers.split.before.name == "map denoised (#2)"
    widget.apply_record(layer.metadata[METADATA]["denoising"])
    assert widget.panels.form.value() == settings

    pid, folder = widget._worker.pid, widget._worker.folder
    widget.shut_down()
    assert not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text()
    assert not folder.exists()


def test_three_clicks_from_the_menu_to_a_denoised_map(make_viewer, monkeypatch, tmp_path):
    """In napari's own menu, with the network that is shipped, on a part of the demo maps."""
    from worker_stand_ins import wait_until

    from blushcore.shipped import shipped_file
    from napari_blush import samples

    for half in (1, 2):
        whole = read_map(shipped_file(f"demo/half{half}.mrc.gz"))
        write_map(tmp_path / f"half{half}.mrc", whole.with_data(whole.data[32:64, 32:64, 32:64].copy()))
    monkeypatch.setattr(samples, "shipped_file", lambda name: tmp_path / Path(name).stem.replace(".gz", ""))
    viewer = make_viewer()
    window = getattr(viewer, "__wrapped__", viewer).window
    window.plugins_menu.aboutToShow.emit()
    (blush,) = [action.menu() for action in window.plugins_menu.actions() if action.text() == "Blush"]
    (entry,) = [action for action in blush.actions() if action.text() == "Denoise map"]

    entry.trigger()
    widget = window.dock_widgets["Denoise map (Blush)"]
    widget = getattr(widget, "__wrapped__", widget)
    try:
        widget.panels.status.sample_button.click()
        wait_until(lambda: widget.session.state == "ready")
        widget.panels.denoise_button.click()
        wait_until(lambda: "demo half 1 denoised" in viewer.layers and widget.layers.split is not None)
        assert widget.session.state == "done"
        name = "demo half 1"
        assert not np.array_equal(viewer.layers[f"{name} denoised"].data, viewer.layers[name].data)
    finally:
        widget.shut_down()


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_killed_worker_is_told_and_restarted(open_widget, random_weights):
    from worker_stand_ins import wait_until

    viewer, widget = open_widget()
    widget.panels.form.set_value(
        DenoiseSettings(weights=str(random_weights), device="cpu", precision="float32")
    )
    add_map(viewer, blob())
    wait_until(lambda: widget.session.state == "ready")
    widget.panels.denoise_button.click()
    first = widget._worker.pid
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: widget.session.state == "failed")
    assert "killed or crashed" in widget.panels.status.title.text()
    assert not widget.panels.status.restart_button.isHidden()
    widget.panels.status.restart_button.click()
    wait_until(lambda: widget.session.state == "ready")
    assert widget._worker.pid != first
    widget.panels.denoise_button.click()
    wait_until(lambda: widget.session.state == "done")


def test_two_halves_show_their_fsc(open_widget, random_weights):
    from worker_stand_ins import wait_until

    from napari_blush.denoise.fsc_section import FSC_WARNING

    viewer, widget = open_widget()
    widget.panels.form.set_value(
        DenoiseSettings(weights=str(random_weights), device="cpu", precision="float32")
    )
    halves = [add_map(viewer, blob(seed), f"half{seed + 1}") for seed in range(2)]
    widget.panels.inputs.choose(*halves)
    wait_until(lambda: widget.session.state == "ready")
    widget.panels.denoise_button.click()
    wait_until(lambda: widget.panels.fsc.plot is not None)
    names = [curve.name for curve in widget.panels.fsc.plot.curves]
    assert names == ["after denoising", "half-maps as given"]
    first = widget.session.history[-1]
    widget.panels.inputs.choose(halves[0])
    assert widget.panels.fsc.isHidden()
    viewer.layers.remove(halves[1])
    widget.show_result(first)  # its maps are chosen again; the one that is gone comes back
    assert widget.panels.inputs.half_layer.name == "half2"
    assert widget.panels.inputs.half_layer is not halves[1]
    assert widget.panels.fsc.plot._warning.text() == FSC_WARNING
    assert "half-maps as given" in widget.panels.fsc.plot.readout.text()
    assert "after denoising" not in widget.panels.fsc.plot.readout.text()  # no resolution is claimed of it
    assert not widget.panels.fsc.isHidden()
    wait_until(lambda: "half2 denoised" in viewer.layers)
    assert not viewer.layers["half2 denoised"].visible
