"""The dock widget *Compare maps*."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from docks import delete, put_beside, take_away

from blushcore.volumes import write_map

pytestmark = pytest.mark.gui


def test_two_maps_are_compared(make_viewer: Callable[..., Any], two_maps: Any) -> None:
    from napari_blush.layers.maps import add_or_update_map

    viewer = make_viewer()
    _, widget = viewer.window.add_plugin_dock_widget("napari-blush", "Compare maps")
    assert not widget._button.isEnabled()
    assert "Open two maps" in widget._message.text()
    one = add_or_update_map(viewer, "one", two_maps[0], name="one")
    two = add_or_update_map(viewer, "two", two_maps[1], name="two")
    viewer.add_image(np.zeros((5, 5, 5)), name="small")
    assert [widget._left.itemText(number) for number in range(3)] == ["one", "two", "small"]
    assert (widget._left.currentText(), widget._right.currentText()) == ("one", "two")

    widget._button.click()
    assert widget.split_view is not None
    assert (widget.split_view.before, widget.split_view.after) == (one, two)
    assert widget._left.count() == 3  # the view itself is no map to choose
    assert widget._button.text() == "Stop comparing"
    widget.choose(two, one)
    assert widget.split_view.before == two
    one.name = "first"
    assert widget._left.findText("first") >= 0
    widget._button.click()
    assert widget.split_view is None
    assert len(viewer.layers) == 3

    widget.choose(one, viewer.layers["small"])
    widget.start()
    assert widget.split_view is None
    assert "differ in size" in widget._message.text()
    assert not widget._button.isChecked()

    widget.choose(one, two)
    widget.start()
    viewer.layers.remove(two)
    assert widget.split_view is None
    assert widget._button.text() == "Compare"


def test_the_x_of_the_dock_ends_the_comparison(make_viewer: Callable[..., Any], two_maps: Any) -> None:
    from napari_blush.compare_widget import CompareWidget
    from napari_blush.layers.maps import add_or_update_map

    viewer = make_viewer()
    widget = CompareWidget(viewer)
    put_beside(viewer, widget, "Compare maps")
    one = add_or_update_map(viewer, "one", two_maps[0], name="one")
    two = add_or_update_map(viewer, "two", two_maps[1], name="two")
    limits = tuple(two.contrast_limits)
    widget.choose(one, two)
    widget.start()
    assert len(viewer.layers) == 3
    assert any(key.startswith("blush_divider") for key in viewer.scene.overlays)

    take_away(viewer, widget)
    assert not widget.is_open
    assert [layer.name for layer in viewer.layers] == ["one", "two"]
    assert one.visible
    assert tuple(two.contrast_limits) == limits
    assert not any(key.startswith("blush_divider") for key in viewer.scene.overlays)
    viewer.layers.remove(two)  # nobody listens any more
    delete(widget)


def test_two_files_that_are_dropped_are_chosen(
    make_viewer: Callable[..., Any], two_maps: Any, tmp_path: Path
) -> None:
    from worker_stand_ins import wait_until

    from napari_blush.compare_widget import CompareWidget

    viewer = make_viewer()
    widget = CompareWidget(viewer)
    put_beside(viewer, widget, "Compare maps")
    paths = [tmp_path / f"{name}.mrc" for name in ("before", "after")]
    for path, volume in zip(paths, two_maps, strict=True):
        write_map(path, volume)
    try:
        widget.take_files(paths)
        wait_until(lambda: len(viewer.layers) == 2)
        widget.start()
        assert widget.split_view is not None
        assert (widget.split_view.before.name, widget.split_view.after.name) == ("before", "after")
    finally:
        widget.shut_down()
