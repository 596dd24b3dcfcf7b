"""The circle has the diameter that it says, wherever one looks, and can be dragged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from blushcore.volumes import Volume

pytestmark = [pytest.mark.gui, pytest.mark.usefixtures("no_log_errors")]


def radii(circle: Any) -> np.ndarray:
    """Distances of the solid circle's points from the centre within the displayed plane."""
    displayed = list(circle._viewer.dims.displayed)
    return np.linalg.norm(circle._grip.overlay.drawing.lines[0] - circle.centre[displayed], axis=1)


def with_circle(viewer: Any, volume: Volume, diameter: float) -> Any:
    from napari_blush.layers.diameter import DiameterCircle
    from napari_blush.layers.maps import add_or_update_map

    layer = add_or_update_map(viewer, "map", volume, name="map")
    viewer.reset_view()
    return DiameterCircle(viewer, layer, diameter)


def test_it_is_the_sphere_as_the_slice_cuts_it(make_viewer: Callable[..., Any], two_maps: Any) -> None:
    viewer = make_viewer()
    circle = with_circle(viewer, two_maps[0], 16.0)
    assert circle.centre.tolist() == [-10 + 2 * 6, 2 * 7, 30 + 2 * 8]  # voxel n // 2
    viewer.dims.set_current_step(0, 6)
    assert np.allclose(radii(circle), 8)
    viewer.dims.set_current_step(0, 8)  # 4 Å beside the centre
    assert np.allclose(radii(circle), np.sqrt(64 - 16))
    assert circle._grip.overlay.drawing.words[0].text == "16 Å"
    viewer.dims.set_current_step(0, 11)  # 10 Å beside it: outside the sphere, and only the full size is dashed
    assert circle.radius_here == 0
    assert all(len(line) == 3 for line in circle._grip.overlay.drawing.lines)

    viewer.dims.roll()
    viewer.dims.set_current_step(2, 8)
    assert np.allclose(radii(circle), 8)
    viewer.dims.ndisplay = 3
    assert [line.shape[1] for line in circle._grip.overlay.drawing.lines] == [3, 3, 3]
    assert all(
        np.allclose(np.linalg.norm(line - circle.centre[list(viewer.dims.displayed)], axis=1), 8)
        for line in circle._grip.overlay.drawing.lines
    )
    viewer.dims.ndisplay = 2
    changes: list[float] = []
    circle.diameter_changed.connect(changes.append)
    circle.diameter = 20
    circle.diameter = 20
    assert changes == [20]
    circle.diameter = 0
    assert not circle._grip.overlay.visible
    circle.close()


def test_it_is_dragged(make_viewer: Callable[..., Any], two_maps: Any) -> None:
    from mouse import CanvasMouse

    viewer = make_viewer(show=True)
    circle = with_circle(viewer, two_maps[0], 16.0)
    viewer.dims.set_current_step(0, 8)
    y, x = circle.centre[1:]
    mouse, camera = CanvasMouse(viewer), viewer.scene.camera.center
    mouse.drag((y + circle.radius_here, x), (y, x + 3.0))
    # The sphere that cuts this slice, 4 Å beside its centre, with a radius of 3 Å
    assert circle.diameter == pytest.approx(10, abs=0.4)
    assert viewer.scene.camera.center == camera
    mouse.drag((y, x), (y + 2, x))  # inside: moves the picture
    assert circle.diameter == pytest.approx(10, abs=0.4)
    assert viewer.scene.camera.center != camera
    circle.close()


def test_it_goes_with_its_layer(make_viewer: Callable[..., Any], two_maps: Any) -> None:
    viewer = make_viewer()
    circle = with_circle(viewer, two_maps[0], 16.0)
    circle.visible = False
    assert not circle._grip.overlay.visible
    circle.visible = True
    viewer.layers.clear()
    assert [key for key in viewer.scene.overlays if key.startswith("blush")] == []
    circle.close()
