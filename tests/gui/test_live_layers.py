"""A run's maps in a real viewer: one layer each, updated in place, and the user's own stays."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from blushcore.volumes import read_map

pytestmark = [pytest.mark.gui, pytest.mark.usefixtures("no_log_errors")]

BOX, VOXEL_SIZE = 24, 2.0


@pytest.fixture
def live(qtbot: Any, make_viewer: Callable[..., Any]) -> Iterator[Callable[..., tuple[Any, Any, Any]]]:
    from napari_blush.live import LiveLayers, LiveRun

    opened = []

    def start(directory: Path, viewer: Any = None) -> tuple[Any, Any, Any]:
        viewer = viewer or make_viewer()
        run = LiveRun(viewer, directory, poll_milliseconds=20)
        layers = LiveLayers(viewer, run)
        layers._pause.setInterval(1)
        opened.append((run, layers))
        return viewer, run, layers

    yield start
    for run, layers in opened:
        layers.close()
        run.close()


def shows(qtbot: Any, layers: Any, iteration: int) -> None:
    qtbot.waitUntil(lambda: layers.shown == iteration and not layers._loading, timeout=120_000)


def loaded(layers: Any) -> set[str]:
    """The roles whose layers hold anything."""
    there = {role: layers.layer(role) for role in layers.roles}
    return {role for role, layer in there.items() if layer is not None and np.any(layer.data)}


def at_hand(layer: Any) -> np.ndarray:
    """The values behind a layer, as they were in the files."""
    return getattr(layer.data, "data", layer.data) if not isinstance(layer.data, np.ndarray) else layer.data


def test_iterations_arrive_in_layers_of_the_right_scale(
    qtbot: Any, live: Any, recorded: Path, tmp_path: Path
) -> None:
    from replay import Replay

    from napari_blush.layers.view import unwrapped

    with Replay(recorded, tmp_path / "live") as replay:
        viewer, _, layers = live(replay.run.path)
        replay.play_iteration()
        shows(qtbot, layers, 0)
        assert layers.roles == ("map", "mask")
        first = unwrapped(layers.layer("map"))
        replay.play_iteration()
        shows(qtbot, layers, 1)
        assert layers.roles == ("half1", "half2", "before", "map", "difference", "mask")
        made = [unwrapped(layers.layer(role)) for role in layers.roles]
        replay.play_iteration()
        shows(qtbot, layers, 2)
        replay.play()
        shows(qtbot, layers, 3)
        assert [unwrapped(layer) for layer in viewer.layers] == made  # the split view's is gone again
        assert unwrapped(layers.layer("map")) is first
        for role in layers.roles:
            layer = layers.layer(role)
            assert layer.data.shape == (BOX,) * 3
            assert np.allclose(layer.scale, VOXEL_SIZE)
            assert [str(unit) for unit in layer.units] == ["angstrom"] * 3
        names = [layer.name for layer in viewer.layers if layer.metadata["blush"].get("key")]
        assert names == [
            "live half 1",
            "live half 2",
            "live before the prior",
            "live map",
            "live difference (map − before)",
            "live mask",
        ]
        assert viewer.canvas.overlays.scale_bar.visible
        assert layers.layer("map").metadata["blush"]["iteration"] == 3


def test_before_and_after_are_split_and_the_map_is_the_halves_mean(
    qtbot: Any, live: Any, recorded: Path
) -> None:
    _, run, layers = live(recorded)
    shows(qtbot, layers, 3)
    final = read_map(recorded / "run_class001.mrc").data
    assert np.array_equal(layers.layer("map").data, final)
    assert layers.split is None  # the last iteration has nothing before the prior
    layers.show_iteration(2)
    shows(qtbot, layers, 2)
    assert not layers.following
    assert (layers.split.before.name, layers.split.after.name) == ("run before the prior", "run map")
    assert loaded(layers) == {"before", "map"}
    size = len(read_map(recorded / "run_it002_half1_class001.mrc").data)
    assert size < BOX  # the history is light
    mean = sum(read_map(recorded / f"run_it002_half{half}_class001.mrc").data for half in (1, 2)) / 2
    assert np.asarray(layers.layer("map").data).mean() == pytest.approx(mean.mean(), rel=1e-4)
    layers.set_mode("halves")
    qtbot.waitUntil(lambda: layers.split is not None and layers.split.before.name == "run half 1")
    layers.set_mode("single")
    assert layers.split is None
    layers.show_iteration(None)
    shows(qtbot, layers, 3)
    assert layers.following
    assert run.summary.iteration == 3


def test_hidden_layers_are_not_read_until_they_are_looked_at(qtbot: Any, live: Any, recorded: Path) -> None:
    _, _, layers = live(recorded)
    layers.set_mode("single")
    layers.show_iteration(1)
    shows(qtbot, layers, 1)
    qtbot.waitUntil(lambda: loaded(layers) == {"map"})
    for role in ("difference", "mask"):
        layers.layer(role).visible = True
    qtbot.waitUntil(lambda: loaded(layers) == {"map", "difference", "mask"})
    assert layers.layer("difference").colormap.name == "twilight_shifted"
    low, high = layers.layer("difference").contrast_limits
    assert low == -high
    layers.layer("difference").visible = False
    layers.show_iteration(2)
    shows(qtbot, layers, 2)
    assert loaded(layers) == {"map", "mask"}  # what is hidden lets go of the iteration before


def test_contrast_follows_sigma_until_the_user_sets_it(
    qtbot: Any, live: Any, recorded: Path, tmp_path: Path
) -> None:
    from replay import Replay

    from napari_blush.layers.contrast import contrast_of_map

    with Replay(recorded, tmp_path / "live") as replay:
        _, _, layers = live(replay.run.path)
        layers.set_mode("single")
        limits = []
        for iteration in (0, 1):
            replay.play_iteration()
            shows(qtbot, layers, iteration)
            layer = layers.layer("map")
            assert tuple(layer.contrast_limits) == pytest.approx(contrast_of_map(at_hand(layer)))
            limits.append(tuple(layer.contrast_limits))
        assert limits[0] != limits[1]
        layer.contrast_limits = (0.1, 0.2)
        layer.gamma = 0.8
        replay.play_iteration()
        shows(qtbot, layers, 2)
        assert tuple(layer.contrast_limits) == pytest.approx((0.1, 0.2))
        assert layer.gamma == 0.8


def test_the_contrast_fits_the_final_map_after_a_split_view(
    qtbot: Any, live: Any, recorded: Path, tmp_path: Path
) -> None:
    from replay import Replay

    from napari_blush.layers.contrast import contrast_of_map

    with Replay(recorded, tmp_path / "live") as replay:
        _, _, layers = live(replay.run.path)
        for iteration in (0, 1, 2):
            replay.play_iteration()
            shows(qtbot, layers, iteration)
        assert layers.split is not None
        in_split = tuple(layers.layer("map").contrast_limits)
        assert in_split == pytest.approx(tuple(layers.layer("before").contrast_limits))
        replay.play()
        shows(qtbot, layers, 3)
    assert layers.split is None
    layer = layers.layer("map")
    fitting = contrast_of_map(at_hand(layer))
    assert fitting != pytest.approx(in_split, rel=0.05)
    assert tuple(layer.contrast_limits) == pytest.approx(fitting)


def test_a_contrast_set_in_the_split_view_is_the_users(
    qtbot: Any, live: Any, recorded: Path, tmp_path: Path
) -> None:
    from replay import Replay

    with Replay(recorded, tmp_path / "live") as replay:
        _, _, layers = live(replay.run.path)
        for iteration in (0, 1):
            replay.play_iteration()
            shows(qtbot, layers, iteration)
        layers.split.layer.contrast_limits = (0.05, 0.4)
        replay.play_iteration()
        shows(qtbot, layers, 2)
        assert tuple(layers.split.layer.contrast_limits) == pytest.approx((0.05, 0.4))
        replay.play()
        shows(qtbot, layers, 3)
    assert tuple(layers.layer("map").contrast_limits) == pytest.approx((0.05, 0.4))


def test_in_3d_the_contrast_follows_the_projections(
    qtbot: Any, live: Any, recorded: Path, tmp_path: Path
) -> None:
    from replay import Replay

    from napari_blush.layers.contrast import contrast_of_map, contrast_of_projection

    with Replay(recorded, tmp_path / "live") as replay:
        viewer, _, layers = live(replay.run.path)
        for iteration in (0, 1):
            replay.play_iteration()
            shows(qtbot, layers, iteration)
        viewer.dims.ndisplay = 3
        replay.play_iteration()
        shows(qtbot, layers, 2)
        for role in ("before", "map"):
            layer = layers.layer(role)
            assert layer.visible
            assert tuple(layer.contrast_limits) == pytest.approx(contrast_of_projection(np.asarray(layer.data)))
        layers.layer("map").contrast_limits = (0.1, 0.9)
        layers.show_iteration(1)
        shows(qtbot, layers, 1)
        assert tuple(layers.layer("map").contrast_limits) == pytest.approx((0.1, 0.9))
        layers.show_iteration(None)
        replay.play()
        shows(qtbot, layers, 3)
        viewer.dims.ndisplay = 2
        final = layers.layer("map")
        assert tuple(final.contrast_limits) == pytest.approx(contrast_of_map(at_hand(final)))


def test_a_removed_layer_does_not_come_back(qtbot: Any, live: Any, recorded: Path, tmp_path: Path) -> None:
    from replay import Replay

    with Replay(recorded, tmp_path / "live") as replay:
        viewer, _, layers = live(replay.run.path)
        for iteration in (0, 1):
            replay.play_iteration()
            shows(qtbot, layers, iteration)
        viewer.layers.remove(layers.layer("half1"))
        viewer.layers.remove(layers.layer("before"))  # one of the split view's
        assert layers.mode == "single"
        replay.play_iteration()
        shows(qtbot, layers, 2)
        assert layers.layer("half1") is None
        assert layers.layer("before") is None
        assert layers.layer("map").visible

        layers.set_mode("split")  # which needs it
        qtbot.waitUntil(lambda: layers.split is not None, timeout=120_000)
        assert layers.layer("before").metadata["blush"]["iteration"] == 2
        assert layers.layer("half1") is None
        layers.set_mode("single")
        viewer.layers.remove(layers.layer("map"))
        layers.set_mode("single")
        qtbot.waitUntil(lambda: layers.layer("map") is not None, timeout=120_000)
        assert layers.layer("map").visible


def test_a_copy_of_a_layer_is_the_users(qtbot: Any, live: Any, recorded: Path, tmp_path: Path) -> None:
    from napari.layers import Image
    from replay import Replay

    def iteration_of(layer: Any) -> int:
        return int(layer.metadata["blush"]["iteration"])

    with Replay(recorded, tmp_path / "live") as replay:
        viewer, _, layers = live(replay.run.path)
        for iteration in (0, 1):
            replay.play_iteration()
            shows(qtbot, layers, iteration)
        made = layers.layer("map")
        copy = Image.create(*made.as_layer_data_tuple())  # as napari duplicates layers
        viewer.layers.insert(viewer.layers.index(made) + 1, copy)
        replay.play_iteration()
        shows(qtbot, layers, 2)
        assert iteration_of(copy) == 1
        assert iteration_of(layers.layer("map")) == 2
        viewer.layers.remove(copy)
        replay.play()
        shows(qtbot, layers, 3)
        assert iteration_of(layers.layer("map")) == 3


def test_another_run_takes_the_place_of_the_one_before(
    qtbot: Any, live: Any, recorded: Path, tmp_path: Path
) -> None:
    from replay import recorded_run

    small = recorded_run(tmp_path / "small", box=8, iterations=1)
    viewer, _, before = live(recorded)
    shows(qtbot, before, 3)
    viewer.dims.set_point(0, 0.0)
    before.close()
    _, _, layers = live(small, viewer)
    shows(qtbot, layers, 1)
    assert [layer.name for layer in viewer.layers if layer.visible] == ["small map"]
    assert [layer.name for layer in viewer.layers.selection] == ["small map"]
    assert viewer.dims.point[0] == pytest.approx(4 * VOXEL_SIZE)
    layers.close()
    _, _, again = live(recorded, viewer)  # whose layers are there already, and lie lower
    shows(qtbot, again, 3)
    assert [layer.name for layer in viewer.layers if layer.visible] == ["run map"]


def test_a_run_has_its_layers_whatever_its_directory_is_called(
    qtbot: Any, live: Any, recorded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer, _, before = live(recorded)
    shows(qtbot, before, 3)
    count = len(viewer.layers)
    before.close()
    monkeypatch.chdir(recorded.parent)
    _, _, again = live(Path("run"), viewer)
    shows(qtbot, again, 3)
    assert len(viewer.layers) == count


def test_a_run_in_the_place_of_another_is_read_anew(
    qtbot: Any, live: Any, recorded: Path, tmp_path: Path
) -> None:
    import shutil

    from replay import Replay, recorded_run

    other = recorded_run(tmp_path / "other", box=16, iterations=1)
    with Replay(recorded, tmp_path / "live") as replay:
        _, run, layers = live(replay.run.path)
        replay.play_iteration()
        shows(qtbot, layers, 0)
        assert layers.layer("map").data.shape == (BOX,) * 3
        shutil.rmtree(replay.run.path)
        qtbot.waitUntil(lambda: run.summary.life == "unreachable", timeout=120_000)
    with Replay(other, tmp_path / "live") as replay:
        replay.play_iteration()  # its first record has the number and the files of the other's
        qtbot.waitUntil(lambda: layers.layer("map").data.shape == (16,) * 3, timeout=120_000)


def test_hidden_layers_are_left_alone(qtbot: Any, live: Any, recorded: Path, tmp_path: Path) -> None:
    from replay import Replay

    with Replay(recorded, tmp_path / "live") as replay:
        _, _, layers = live(replay.run.path)
        for iteration in (0, 1):
            replay.play_iteration()
            shows(qtbot, layers, iteration)
        told: list[str] = []
        for role in ("half1", "half2", "difference", "mask"):
            layers.layer(role).events.data.connect(lambda _, role=role: told.append(role))
        replay.play_iteration()
        shows(qtbot, layers, 2)
        assert told == []


def test_maps_that_cannot_be_read_are_said_and_the_layers_stay(
    qtbot: Any, live: Any, recorded: Path, tmp_path: Path
) -> None:
    import shutil

    directory = shutil.copytree(recorded, tmp_path / "copy")
    events = directory / "events.jsonl"  # so old that nobody waits for its files
    events.write_text(re.sub(r'"time": [0-9.]+', '"time": 1.0', events.read_text()))
    damaged = directory / "run_it001_half1_class001.mrc"
    damaged.write_bytes(b"?" * damaged.stat().st_size)
    (directory / "run_it002_half1_class001.mrc").unlink()
    (directory / "run_it002_half2_class001.mrc").unlink()
    (directory / "run_it002_half1_class001_before_prior.mrc").unlink()
    _, _, layers = live(directory)
    told: list[str] = []
    layers.failed.connect(told.append)
    shows(qtbot, layers, 3)
    final = layers.layer("map").data
    for iteration, words in ((1, damaged.name), (2, "iteration 2 are not there")):
        layers.show_iteration(iteration)
        qtbot.waitUntil(lambda words=words: bool(told) and words in told[-1])
    assert layers.shown == 3
    assert layers.layer("map").data is final
    assert len(told) == 2


def test_large_boxes_are_binned_and_whole_on_request(
    qtbot: Any, live: Any, recorded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_blush.live import layers as module

    monkeypatch.setattr(module, "LARGEST_SHOWN", 8)
    viewer, _, layers = live(recorded)
    shows(qtbot, layers, 3)
    layer = layers.layer("map")
    assert layer.data.shape == (8,) * 3
    assert np.allclose(layer.scale, 3 * VOXEL_SIZE)
    assert np.allclose(layer.translate, VOXEL_SIZE)
    layers.show_iteration(2)
    shows(qtbot, layers, 2)
    assert layers.split is not None
    layers.full = True
    qtbot.waitUntil(lambda: layers.layer("map").data.shape == (BOX,) * 3)
    assert np.allclose(layer.scale, VOXEL_SIZE)
    qtbot.waitUntil(lambda: layers.split is not None and layers.split.layer.data.shape == (BOX,) * 3)
    assert all(one.data.shape == (BOX,) * 3 for one in viewer.layers)


def test_two_hundred_updates_leave_nothing_behind(
    qtbot: Any, live: Any, recorded: Path, tmp_path: Path
) -> None:
    import gc

    from qtpy.QtWidgets import QApplication
    from replay import Replay

    def volumes() -> int:
        from blushcore.volumes import Volume

        gc.collect()
        return sum(type(thing) is Volume for thing in gc.get_objects())

    with Replay(recorded, tmp_path / "live") as replay:
        viewer, _, layers = live(replay.run.path)
        replay.play_iteration()
        record = replay.play_iteration()
        shows(qtbot, layers, 1)
        seen: list[int] = []
        layers.changed.connect(lambda: seen.append(layers.shown))
        before = None
        for iteration in range(2, 202):
            replay.again(record, iteration)
            if iteration % 10 == 1:
                shows(qtbot, layers, iteration)
            if iteration == 21:
                before = volumes(), len(QApplication.allWidgets()), len(viewer.layers), len(layers.children())
        assert (volumes(), len(QApplication.allWidgets()), len(viewer.layers), len(layers.children())) == before
        assert seen[-1] == 201
        assert 20 <= len(seen) <= 200  # what was overtaken was left out
        assert len(layers.iterations) == 202
