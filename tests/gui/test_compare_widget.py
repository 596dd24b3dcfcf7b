"""The dock widget *Compare maps*."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

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
