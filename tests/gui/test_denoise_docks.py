"""Several docks *Denoise map* beside one viewer, and one closed and opened again: nothing is lost or left."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest
from denoising import add_map, blob
from docks import put_beside, take_away
from worker_stand_ins import SilentWorker, pump, wait_until

pytestmark = pytest.mark.gui


def denoise(widget: Any, worker: SilentWorker, factor: float = 0.5) -> None:
    """Denoise what is chosen, and wait until the result is shown."""
    worker.answer_loads_until(lambda: widget.session.can_work)
    known = len(widget.session.history)
    widget.denoise()
    worker.answer_denoise(factor)
    wait_until(lambda: len(widget.session.history) > known and widget.layers.result is not None, 60)
    wait_until(lambda: widget.layers.denoised is not None and "denoised" in widget.layers.denoised.name, 60)


def test_each_dock_has_layers_of_its_own(open_widget, silent, tmp_path):
    viewer, first = open_widget(silent)
    source = add_map(viewer, blob())
    denoise(first, silent)
    result, split = first.layers.denoised, first.layers.split
    values = np.array(result.data)
    other = SilentWorker(tmp_path / "other")
    _, second = open_widget(other, viewer)
    denoise(second, other, 0.25)
    wait_until(lambda: second.layers.split is not None, 60)
    assert second.layers.denoised is not result
    np.testing.assert_array_equal(result.data, values)
    np.testing.assert_allclose(second.layers.denoised.data, 0.25 * blob().data, atol=1e-6)
    assert first.layers.split is split
    assert split.is_open
    second.shut_down()
    first.shut_down()
    assert [layer.name for layer in viewer.layers] == ["map", "map denoised", "map denoised [1]"]
    assert source.visible


def test_a_dock_opened_again_leaves_earlier_results_alone(open_widget, silent, tmp_path):
    viewer, first = open_widget(silent)
    add_map(viewer, blob())
    denoise(first, silent)
    earlier = first.layers.denoised
    values = np.array(earlier.data)
    first.shut_down()
    again = SilentWorker(tmp_path / "again")
    _, second = open_widget(again, viewer)
    assert second.panels.inputs.offers(earlier)  # it is a map like any other now
    denoise(second, again, 0.25)
    assert second.layers.denoised is not earlier
    np.testing.assert_array_equal(earlier.data, values)


def test_a_copy_of_a_result_is_the_users(open_widget, silent):
    from napari.layers._layer_actions import _duplicate_layer

    viewer, widget = open_widget(silent)
    add_map(viewer, blob())
    denoise(widget, silent)
    result = widget.layers.denoised
    bare = getattr(viewer, "__wrapped__", viewer)
    bare.layers.selection = {result}
    _duplicate_layer(bare.layers)
    copy = viewer.layers["map denoised copy"]
    values = np.array(copy.data)
    viewer.layers.remove(result)
    denoise(widget, silent, 0.25)
    np.testing.assert_array_equal(copy.data, values)
    assert "map denoised" in viewer.layers
    assert copy.name == "map denoised copy"


def test_nothing_is_left_of_a_dock_that_was_closed(make_viewer, tmp_path):
    from qtpy.QtCore import QEvent
    from qtpy.QtWidgets import QApplication

    from napari_blush.denoise.widget import DenoiseWidget

    viewer = make_viewer()
    bare = getattr(viewer, "__wrapped__", viewer)
    add_map(viewer, blob())

    def callbacks() -> list[int]:
        groups = (bare.dims.events, bare.layers.events, bare.scene.camera.events, bare.events)
        emitters = [emitter for group in groups for emitter in group.emitters.values()]
        return [len(emitter.callbacks) for emitter in emitters] + [len(bare.mouse_drag_callbacks)]

    alive: list[weakref.ref[Any]] = []
    counts = []
    for number in range(3):
        worker = SilentWorker(tmp_path / str(number))
        widget = DenoiseWidget(viewer, worker)
        put_beside(viewer, widget, "Denoise map")
        denoise(widget, worker)
        alive += [weakref.ref(widget), weakref.ref(widget.session.history[0])]
        take_away(viewer, widget)
        del widget, worker
        QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        pump(0.1)
        gc.collect()
        counts.append(callbacks())
    assert [one() for one in alive] == [None] * len(alive)
    assert counts[1] == counts[2]


def test_the_scale_bar_that_somebody_hid_stays_hidden(open_widget, silent, tmp_path):
    viewer, first = open_widget(silent)
    add_map(viewer, blob())
    bar = viewer.canvas.overlays.scale_bar
    wait_until(lambda: bar.visible, 60)
    first.shut_down()
    bar.visible = False
    _, second = open_widget(SilentWorker(tmp_path / "again"), viewer)
    second._worker.answer_loads_until(lambda: second.session.can_work)
    pump(0.1)
    assert not bar.visible
