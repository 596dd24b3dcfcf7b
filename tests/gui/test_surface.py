"""The surface coloured by local resolution: its geometry, its colours, and the dock in a real viewer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from docks import delete, put_beside

from blushcore.interactive.messages import (
    Cancel,
    Failed,
    LocalResolutionMeasured,
    MeasureLocalResolution,
    Release,
    Working,
)
from blushcore.protocol import BlushError
from blushcore.volumes import MapHeader, Volume

pytestmark = pytest.mark.gui

VOXEL, ORIGIN = 2.0, (-10.0, 0.0, 30.0)


def ball(radius: float = 9.0, n: int = 32, *, speck: bool = False) -> Volume:
    """A ball (radius in voxels, about the centre) with a soft edge: its surface at 0.5 is a sphere."""
    place = np.indices((n, n, n)) - n // 2
    distance = np.sqrt((place**2).sum(axis=0))
    values = np.clip(radius + 1 - distance, 0, 2) / 2
    if speck:
        values[2:4, 2:4, 2:4] = 1.0
    return Volume(values.astype(np.float32), (VOXEL,) * 3, MapHeader(origin=ORIGIN))


def gradient(n: int = 32, shift: float = 0.0) -> Volume:
    """3 Å at z = 0, 0.1 Å more with each voxel."""
    values = np.broadcast_to(3 + 0.1 * np.arange(n, dtype=np.float32)[:, None, None], (n, n, n))
    origin = (ORIGIN[0] + shift, *ORIGIN[1:])
    return Volume(np.ascontiguousarray(values), (VOXEL,) * 3, MapHeader(origin=origin))


def centre(volume: Volume) -> np.ndarray:
    return np.array(volume.position) + np.array(volume.shape) // 2 * VOXEL


def signed_volume(mesh: Any) -> float:
    """Volume inside a mesh (Å³), positive if its triangles run anticlockwise in (x, y, z) from outside."""
    a, b, c = (mesh.vertices[mesh.faces[:, corner]][:, ::-1].astype(float) for corner in range(3))
    return float(np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6)


def test_where_nothing_stands_out_a_lower_threshold_is_taken():
    from napari_blush.surface.drawing import Spread, Wanted, draw

    noise = np.random.default_rng(1).normal(size=(40,) * 3).astype(np.float32)
    faint = Volume(noise + 3.5 * ball(n=40).data, (VOXEL,) * 3)
    local = faint.with_data(np.full((40,) * 3, 5.0, np.float32))
    drawn = draw(Wanted(faint, local, Spread(0.0, 1.2, 6.0), None, 15.0))
    assert 2.0 <= drawn.level <= 4.0
    with pytest.raises(BlushError, match=r"nothing at 5\.90 σ"):  # what somebody chose is taken as it is
        draw(Wanted(faint, local, Spread(0.0, 1.2, 6.0), 5.9, 15.0))


def test_the_surface_of_a_ball_is_a_sphere_where_the_ball_is():
    from napari_blush.surface.mesh import surface_of

    mesh = surface_of(ball(), 0.5)
    radii = np.linalg.norm(mesh.vertices - centre(ball()), axis=1)
    np.testing.assert_allclose(radii, 9.0 * VOXEL, rtol=0.02)
    assert signed_volume(mesh) == pytest.approx(4 / 3 * np.pi * (9 * VOXEL) ** 3, rel=0.03)
    assert mesh.step == 1


def test_a_surface_is_closed_at_the_faces_of_the_box():
    from napari_blush.surface.mesh import surface_of

    values = np.zeros((12, 12, 12), np.float32)
    values[6:] = 1.0
    mesh = surface_of(Volume(values, (1.0,) * 3), 0.5)
    assert signed_volume(mesh) == pytest.approx(6.5 * 12 * 12, rel=0.15)  # its edges are half a voxel out
    edges = np.sort(
        np.concatenate([mesh.faces[:, [0, 1]], mesh.faces[:, [1, 2]], mesh.faces[:, [2, 0]]]), axis=1
    )
    _, counts = np.unique(edges, axis=0, return_counts=True)
    assert set(counts.tolist()) == {2}


def test_large_maps_are_drawn_coarser(monkeypatch):
    from napari_blush.surface import mesh

    monkeypatch.setattr(mesh, "LONGEST_EDGE", 12)
    coarse = mesh.surface_of(ball(), 0.5)
    assert coarse.step == 2
    assert signed_volume(coarse) == pytest.approx(4 / 3 * np.pi * (9 * VOXEL) ** 3, rel=0.15)


def test_small_pieces_are_left_out_and_nothing_is_nothing():
    from napari_blush.surface.mesh import surface_of

    assert len(surface_of(ball(speck=True), 0.5, least_angstrom=15).faces) == len(surface_of(ball(), 0.5).faces)
    assert len(surface_of(ball(speck=True), 0.5).faces) > len(surface_of(ball(), 0.5).faces)
    assert surface_of(ball(), 0.5, least_angstrom=500).is_empty
    assert surface_of(ball(), 2.0).is_empty


def test_values_come_from_the_same_place_in_space():
    from napari_blush.surface.mesh import values_at

    points = np.array([centre(ball()), centre(ball()) + np.array([VOXEL / 2, 5, 5])], np.float32)
    np.testing.assert_allclose(values_at(points, gradient()), [4.6, 4.65], rtol=1e-5)
    np.testing.assert_allclose(values_at(points, gradient(shift=VOXEL)), [4.5, 4.55], rtol=1e-5)
    with pytest.raises(BlushError, match="elsewhere in space"):
        values_at(points, gradient(shift=500.0))


def test_where_a_map_says_nothing_the_coarsest_is_taken():
    from napari_blush.surface.drawing import as_resolution

    np.testing.assert_array_equal(as_resolution(np.array([3, 0, 5, np.nan, 4], np.float32)), [3, 5, 5, 5, 4])
    with pytest.raises(BlushError, match="no map of resolution"):
        as_resolution(np.array([-1, 0, 2], np.float32))


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        ((3.0, 6.2), (3, 4, 5, 6)),
        ((2.9, 3.4), (3.0, 3.2, 3.4)),
        ((4.0, 4.0), (4.0,)),
        ((1, 99), (20, 40, 60, 80)),
    ],
)
def test_the_bar_is_marked_at_round_values(ends, expected):
    from napari_blush.surface.colour_bar import round_values

    assert round_values(*ends, 5) == pytest.approx(expected)


def test_layers_are_told_by_their_names():
    from napari.layers import Image

    from napari_blush.panels.map_choices import is_half, is_mask
    from napari_blush.surface.choices import is_local

    def named(name: str) -> Image:
        return Image(np.zeros((2, 2, 2)), name=name)

    assert all(is_local(named(name)) for name in ("local", "run_locres", "Local resolution (Å)", "x_local-res"))
    assert not any(is_local(named(name)) for name in ("map", "focal", "run_class001"))
    assert is_half(named("run_half1_class001_unfil"), 1)
    assert is_half(named("half-map 2"), 2)
    assert not is_half(named("half12"), 1)
    assert is_half(named("cryosparc_P1_J42_003_volume_map_half_B"), 2)
    assert not is_half(named("half_apo"), 1)
    assert is_mask(named("mask_fsc_auto"))
    assert not any(is_mask(named(name)) for name in ("postprocess_masked", "unmasked map"))


# --- the dock -------------------------------------------------------------------------------------------------


@pytest.fixture
def stage(make_viewer: Callable[..., Any], silent: Any):
    """A viewer with the dock, whose worker only listens."""
    from napari_blush.layers.view import unwrapped
    from napari_blush.surface.widget import SurfaceWidget

    viewer = unwrapped(make_viewer())
    widget = SurfaceWidget(viewer, worker=silent)
    put_beside(viewer, widget, "Coloured surface")
    yield viewer, widget
    widget.close()


def add(viewer: Any, name: str, volume: Volume) -> Any:
    from napari_blush.layers.maps import add_or_update_map

    return add_or_update_map(viewer, name, volume, name=name)


def shown(widget: Any) -> Any:
    from worker_stand_ins import wait_until

    widget.show_button.click()
    wait_until(lambda: widget.surface is not None)
    return widget.surface


def redrawn(widget: Any, change: Callable[[], Any]) -> Any:
    """Wait until the surface has been drawn anew after a change."""
    from worker_stand_ins import wait_until

    before = widget.surface.data
    change()
    wait_until(lambda: widget.surface.data[0] is not before[0])
    return widget.surface


def test_a_map_is_shown_coloured_by_another(stage):
    viewer, widget = stage
    assert not widget.show_button.isEnabled()
    assert "Open a map" in widget.message.text()
    one = add(viewer, "map", ball())
    assert "measure it" in widget.message.text()
    assert widget.maps.halves.isVisibleTo(widget.maps)
    local = add(viewer, "local", gradient())
    assert not widget.maps.halves.isVisibleTo(widget.maps)
    assert (widget.maps.map_box.currentText(), widget.maps.local_box.currentText()) == ("map", "local")

    layer = shown(widget)
    assert layer in viewer.layers
    assert viewer.dims.ndisplay == 3
    assert not one.visible
    assert not local.visible
    assert str(layer.units[0]) == "angstrom"
    corners, _, values = layer.data
    np.testing.assert_allclose(values, 3 + 0.1 * (corners[:, 0] - ORIGIN[0]) / VOXEL, atol=1e-3)
    assert tuple(layer.contrast_limits) == widget.colours.limits
    assert layer.contrast_limits[0] < layer.contrast_limits[1]
    spread = one.data.std()
    level = widget.level.slider.value()
    assert f"{one.data.mean() + level * spread:.4g}" in widget.level.density.text()
    assert widget.colours.bar.ticks
    assert viewer.window._qt_viewer.canvas.native.isVisible() is not None


def test_the_surface_follows_the_threshold_in_place(stage, no_log_errors):
    viewer, widget = stage
    add(viewer, "map", ball())
    add(viewer, "local", gradient())
    layer = shown(widget)
    layer.opacity, layer.name = 0.5, "mine"
    widget.level.slider.setRange(0.5, 5.0)
    radius = np.linalg.norm(layer.data[0] - centre(ball()), axis=1).mean()
    top = (1.0 - ball().data.mean()) / ball().data.std()
    again = redrawn(widget, lambda: widget.level.slider.setValue(0.98 * top))
    assert again is layer
    assert (layer.opacity, layer.name, len(viewer.layers)) == (0.5, "mine", 3)
    assert np.linalg.norm(layer.data[0] - centre(ball()), axis=1).mean() < radius
    viewer.screenshot(canvas_only=True, flash=False)  # draws it: OpenGL's errors would be in the log


def test_only_the_newest_of_many_thresholds_is_drawn(stage, monkeypatch):
    from worker_stand_ins import wait_until

    from napari_blush.surface import widget as module

    viewer, widget = stage
    add(viewer, "map", ball())
    add(viewer, "local", gradient())
    shown(widget)
    drawn, draw = [], module.draw
    monkeypatch.setattr(module, "draw", lambda wanted: drawn.append(wanted.level) or draw(wanted))
    for level in np.linspace(1.0, 2.0, 20):
        widget.level.slider.setValue(float(level))
    wait_until(lambda: bool(drawn) and drawn[-1] == widget.level.slider.value())
    assert len(drawn) < 20


def test_a_surface_follows_its_map(stage):
    viewer, widget = stage
    one = add(viewer, "map", ball())
    add(viewer, "local", gradient())
    layer = shown(widget)
    radius = np.linalg.norm(layer.data[0] - centre(ball()), axis=1).mean()
    redrawn(widget, lambda: setattr(one, "data", ball(radius=6.0).data))
    assert np.linalg.norm(layer.data[0] - centre(ball()), axis=1).mean() < 0.75 * radius
    add(viewer, "other map", ball(radius=11.0))
    box = widget.maps.map_box
    redrawn(widget, lambda: (box.setCurrentIndex(box.findText("other map")), box.activated.emit(0)))
    assert np.linalg.norm(layer.data[0] - centre(ball()), axis=1).mean() > radius


def test_colours_are_set_here_or_in_the_layers_own_controls(stage):
    viewer, widget = stage
    add(viewer, "map", ball())
    add(viewer, "local", gradient())
    layer = shown(widget)
    widget.colours.finest.setValue(2.0)
    assert not widget.colours.automatic.isChecked()
    assert layer.contrast_limits[0] == 2.0
    layer.contrast_limits = (3.0, 7.0)
    assert widget.colours.limits == (3.0, 7.0)
    assert widget.colours.bar._limits == (3.0, 7.0)
    before = widget.colours.bar._colours.copy()
    widget.colours.colormap.setCurrentText("turbo")
    widget.colours.colormap.activated.emit(0)
    assert layer.colormap.name == "turbo"
    assert (widget.colours.bar._colours != before).any()
    widget.colours.automatic.click()
    assert tuple(layer.contrast_limits) != (3.0, 7.0)
    widget.colours.bar.grab()  # it can be painted


def test_what_cannot_be_drawn_is_said(stage):
    from worker_stand_ins import wait_until

    viewer, widget = stage
    add(viewer, "map", ball())
    add(viewer, "local", ball().with_data(np.zeros((32,) * 3)))
    widget.show_button.click()
    wait_until(lambda: "no map of resolution" in widget.message.text())
    assert widget.surface is None
    viewer.layers.clear()
    viewer.add_image(np.random.default_rng(0).random((8, 8, 8)), name="in pixels")
    add(viewer, "local", gradient())
    widget.show_button.click()
    assert "voxel size of in pixels is not known" in widget.message.text()


def test_where_there_is_nothing_another_threshold_can_be_chosen(stage):
    from worker_stand_ins import wait_until

    viewer, widget = stage
    noise = np.random.default_rng(3).normal(size=(32,) * 3).astype(np.float32)
    add(viewer, "map", ball().with_data(noise))
    add(viewer, "local", gradient())
    widget.show_button.click()
    wait_until(lambda: "Choose a lower threshold" in widget.message.text())
    assert widget.level.isEnabled()
    widget.level.slider.setValue(1.0)
    wait_until(lambda: widget.surface is not None)
    assert "nothing" not in widget.message.text()


def test_nothing_in_the_dock_is_cut_off(stage):
    from qtpy.QtWidgets import QScrollArea

    _, widget = stage
    [area] = widget.findChildren(QScrollArea)
    bar = area.verticalScrollBar().sizeHint().width()
    assert area.widget().minimumSizeHint().width() + bar <= widget.minimumWidth()


def test_local_resolution_is_measured_in_the_computing_process(stage):
    from worker_stand_ins import wait_until

    viewer, widget = stage
    worker = widget._worker
    add(viewer, "map", ball())
    add(viewer, "half1", ball())
    add(viewer, "half2", ball(radius=8.9))
    assert [box.currentText() for box in (widget.maps.half1_box, widget.maps.half2_box)] == ["half1", "half2"]
    widget.maps.measure.click()
    worker.answer_loads()
    wait_until(lambda: bool(worker.asked(MeasureLocalResolution)) or worker.answer_loads() is not None)
    [request] = worker.asked(MeasureLocalResolution)
    worker.said.emit(Working(id=request.id, stage="local resolution", done=3, total=10))
    assert "3 of 10" in widget.message.text()
    assert widget.maps.progress.isVisibleTo(widget.maps)
    assert widget.maps.measure.text() == "Stop measuring"
    path = worker.array("local", gradient().data)
    worker.said.emit(LocalResolutionMeasured(id=request.id, path=path, window=30.0, median=4.4))
    wait_until(lambda: widget.surface is not None)
    local = widget.maps.local_box.currentData()
    assert "Local resolution" in local.name
    assert tuple(local.translate) == ORIGIN
    assert not path.exists()
    assert len(worker.asked(Release)) == 2
    assert not widget.maps.progress.isVisibleTo(widget.maps)
    assert [layer.name for layer in viewer.layers if layer.visible] == [widget.surface.name]


def test_a_measurement_can_be_stopped_and_may_fail(stage):
    viewer, widget = stage
    worker = widget._worker
    add(viewer, "half1", ball())
    add(viewer, "half2", ball(radius=8.9))
    widget.maps.measure.click()
    worker.answer_loads()
    widget.maps.measure.click()
    assert len(worker.asked(Cancel)) == 1
    assert not widget.job.is_running
    assert widget.maps.measure.text() == "Measure local resolution"
    widget.maps.measure.click()
    [*_, id_] = [widget.job._id]
    worker.said.emit(Failed(request="measure_local_resolution", id=id_, problem="It is so.", remedy="Mend it."))
    assert widget.message.text() == "It is so. Mend it."
    widget.maps.measure.click()
    worker.died.emit("The worker was killed.", "Restart it.")
    assert "killed" in widget.message.text()
    assert widget.maps.measure.isEnabled()


def test_it_is_in_the_menu_and_ends_with_its_dock(make_viewer):
    viewer = make_viewer()
    dock, widget = viewer.window.add_plugin_dock_widget("napari-blush", "Coloured surface")
    assert widget.is_open
    assert not widget._worker.is_running  # no process before it is needed
    viewer.window.remove_dock_widget(dock)
    assert not widget.is_open
    delete(widget)
