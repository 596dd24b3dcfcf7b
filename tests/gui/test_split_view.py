"""The split view in a real viewer: what it shows, how it is dragged, what it survives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from blushcore.protocol import BlushError
from blushcore.volumes import Volume

pytestmark = [pytest.mark.gui, pytest.mark.usefixtures("no_log_errors")]


def opened(viewer: Any, two_maps: tuple[Volume, Volume]) -> Any:
    from napari_blush.layers.maps import add_or_update_map
    from napari_blush.layers.split import SplitView

    before, after = (
        add_or_update_map(viewer, key, volume, name=key)
        for key, volume in zip(("before", "after"), two_maps, strict=True)
    )
    viewer.reset_view()
    return SplitView(viewer, before, after)


def shown_after(split: Any) -> np.ndarray:
    """Which pixels of the displayed slice come from the second map."""
    return np.asarray(split.layer._slice.image.raw) > 50


def test_left_is_before_and_right_after(make_viewer: Callable[..., Any], two_maps: Any) -> None:
    split = opened(make_viewer(), two_maps)
    low, high = 30 - 1.0, 30 + 16 * 2 - 1.0  # Å along x: edges of the voxels
    assert split.position == (low + high) / 2
    assert np.array_equal(shown_after(split)[0], np.arange(16) >= 8)
    split.position = 30 + 2 * 5 + 0.5  # between the centres of voxels 5 and 6
    assert np.array_equal(shown_after(split)[3], np.arange(16) >= 6)
    split.position = -1000
    assert shown_after(split).all()
    assert split.position == low
    split.position = 1000
    assert not shown_after(split).any()
    split.close()


def test_the_divider_is_dragged_and_the_camera_stays(make_viewer: Callable[..., Any], two_maps: Any) -> None:
    from mouse import CanvasMouse

    viewer = make_viewer(show=True)
    split = opened(viewer, two_maps)
    moved: list[float] = []
    split.position_changed.connect(moved.append)
    mouse, middle, centre = CanvasMouse(viewer), split.position, viewer.scene.camera.center

    mouse.move(13.0, middle)
    assert viewer.cursor.style == "pointing"
    mouse.drag((13.0, middle), (10.0, middle - 8))
    assert split.position == pytest.approx(middle - 8, abs=0.5)
    assert moved[-1] == split.position
    assert viewer.scene.camera.center == centre
    mouse.move(13.0, middle + 10)
    assert viewer.cursor.style == "standard"

    mouse.drag((13.0, middle + 10), (13.0, middle))  # beside it: the picture is moved, as ever
    assert split.position == pytest.approx(middle - 8, abs=0.5)
    assert viewer.scene.camera.center != centre
    assert viewer.scene.camera.mouse_pan
    split.close()


def test_axes_are_rolled_and_each_keeps_its_place(make_viewer: Callable[..., Any], two_maps: Any) -> None:
    viewer = make_viewer()
    split = opened(viewer, two_maps)
    split.position = 40.0
    viewer.dims.roll()  # (z, y, x) → (x, z, y): y runs across
    assert split.axis == 1
    assert split.position == 0 - 1 + 14  # the middle of y
    assert np.array_equal(shown_after(split)[2], np.arange(14) >= 7)
    viewer.dims.set_current_step(2, 3)
    assert np.array_equal(shown_after(split)[2], np.arange(14) >= 7)
    viewer.dims.transpose()  # z runs across, y down
    assert split.axis == 0
    assert np.array_equal(shown_after(split)[2], np.arange(12) >= 6)
    viewer.dims.order = (0, 1, 2)
    assert split.position == 40.0
    assert np.array_equal(shown_after(split)[2], np.arange(16) >= 5)
    split.close()


def test_new_data_is_shown_and_limits_are_shared(make_viewer: Callable[..., Any], two_maps: Any) -> None:
    viewer = make_viewer()
    split = opened(viewer, two_maps)
    limits = split.after.contrast_limits
    assert limits == split.before.contrast_limits == split.layer.contrast_limits
    split.after.data = two_maps[1].data * 0 - 7
    assert (np.asarray(split.layer._slice.image.raw)[:, 8:] == -7).all()
    split.before.data[...] = 5
    split.refresh()
    assert (np.asarray(split.layer._slice.image.raw)[:, :8] == 5).all()
    split.layer.contrast_limits = (0.2, 0.6)
    assert split.before.contrast_limits == split.after.contrast_limits == [0.2, 0.6]
    split.close()


def test_three_dimensions_stand_side_by_side(make_viewer: Callable[..., Any], two_maps: Any) -> None:
    viewer = make_viewer(show=True)
    split = opened(viewer, two_maps)
    other = viewer.add_points(np.zeros((1, 3)), units=("angstrom",) * 3, name="other")
    viewer.dims.ndisplay = 3
    grid = viewer.canvas.grid
    assert grid.enabled
    assert grid.actual_shape(viewer.layers) == (1, 2)
    places = [grid.position(viewer.layers.index(layer), viewer.layers) for layer in (split.before, split.after)]
    assert places == [(0, 0), (0, 1)]
    assert [layer.visible for layer in (split.before, split.after, split.layer, other)] == [1, 1, 0, 0]
    viewer.dims.ndisplay = 2
    assert not grid.enabled
    assert [layer.visible for layer in (split.before, split.after, split.layer, other)] == [0, 0, 1, 1]
    viewer.dims.ndisplay = 3
    split.close()
    assert not grid.enabled
    assert [layer.visible for layer in (split.before, split.after, other)] == [1, 1, 1]


def test_projections_have_a_contrast_of_their_own(make_viewer: Callable[..., Any], two_maps: Any) -> None:
    viewer = make_viewer()
    split = opened(viewer, two_maps)
    pair = (split.before, split.after)
    split.before.contrast_limits = (0.25, 0.75)
    blending = [str(layer.blending) for layer in pair]
    viewer.dims.ndisplay = 3
    for layer, volume in zip(pair, two_maps, strict=True):
        black, white = layer.contrast_limits
        # napari interpolates between voxels first, which takes the peaks off noise
        near = [volume.data[:, y : y - 1 or None, x : x - 1 or None] for y in (0, 1) for x in (0, 1)]
        projection = np.mean(near, axis=0).max(axis=0)
        assert projection.min() <= black < np.median(projection) < white <= projection.max()
        assert layer.blending == "opaque"  # black is not seen through
    split.after.contrast_limits = (99.0, 102.0)  # the other keeps its own
    assert split.before.contrast_limits[1] <= 1
    viewer.dims.ndisplay = 2
    assert [tuple(layer.contrast_limits) for layer in (*pair, split.layer)] == [(0.25, 0.75)] * 3
    assert [str(layer.blending) for layer in pair] == blending
    split.after.contrast_limits = (0.1, 0.9)
    assert tuple(split.before.contrast_limits) == (0.1, 0.9)
    viewer.dims.ndisplay = 3
    assert tuple(split.after.contrast_limits) == (99.0, 102.0)
    split.close()
    assert tuple(split.before.contrast_limits) == (0.1, 0.9)


def test_layers_may_be_renamed(make_viewer: Callable[..., Any], two_maps: Any) -> None:
    split = opened(make_viewer(), two_maps)
    split.before.name = "half 1"
    assert [word.text for word in split._divider._grip.overlay.drawing.words] == ["half 1", "after"]
    assert split.layer.name == "half 1 | after"
    split.layer.name = "mine"
    split.after.name = "half 2"
    assert split.layer.name == "mine"
    split.close()


def test_labels_do_not_repeat_the_name_of_the_run() -> None:
    from napari_blush.layers.divider import without_common_name

    assert without_common_name("run before the prior", "run map") == ("before the prior", "map")
    assert without_common_name("map", "map denoised") == ("map", "map denoised")
    assert without_common_name("one map", "another map") == ("one map", "another map")


def test_labels_are_cut_in_the_middle_to_the_room_there_is() -> None:
    from napari_blush.layers.divider import _shortened

    assert _shortened("demo half 1 denoised (#1)", 40) == "demo half 1 denoised (#1)"
    assert _shortened("demo half 1 denoised (#1)", 20) == "demo half …ised (#1)"
    assert _shortened("half1", 5) == "half1"
    assert _shortened("half one", 4) == ""


@pytest.mark.parametrize("which", ["before", "after", "layer"])
def test_a_removed_layer_ends_it(make_viewer: Callable[..., Any], two_maps: Any, which: str) -> None:
    viewer = make_viewer()
    split = opened(viewer, two_maps)
    ended: list[bool] = []
    split.closed.connect(lambda: ended.append(True))
    limits = split._limits_of_after
    viewer.layers.remove(getattr(split, which))
    assert ended == [True]
    assert not split.is_open
    assert {layer.name for layer in viewer.layers} == {"before", "after"} - {which}
    assert all(layer.visible for layer in viewer.layers)
    assert tuple(split.after.contrast_limits) == limits
    assert [key for key in viewer.scene.overlays if key.startswith("blush")] == []
    viewer.dims.roll()  # nothing of it listens any more
    split.close()


def test_data_of_another_size_ends_it(make_viewer: Callable[..., Any], two_maps: Any) -> None:
    viewer = make_viewer()
    split = opened(viewer, two_maps)
    split.after.data = np.zeros((4, 4, 4), np.float32)
    assert not split.is_open
    assert len(viewer.layers) == 2


def test_maps_that_do_not_fit_are_refused(make_viewer: Callable[..., Any], two_maps: Any) -> None:
    from napari_blush.layers.maps import add_or_update_map
    from napari_blush.layers.split import SplitView

    viewer = make_viewer()
    one, two = two_maps
    first = add_or_update_map(viewer, "a", one, name="a")
    wrong = {
        "size": two.with_data(two.data[:-2]),
        "voxel size": two.with_data(two.data, (2.1, 2.1, 2.1)),
    }
    for what, volume in wrong.items():
        second = add_or_update_map(viewer, what, volume, name=what)
        with pytest.raises(BlushError, match=what):
            SplitView(viewer, first, second)
    with pytest.raises(BlushError, match="itself"):
        SplitView(viewer, first, first)
    assert [layer.visible for layer in viewer.layers] == [True] * 3
