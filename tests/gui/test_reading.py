"""Files of users into a viewer, and back into files."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from blushcore.protocol import BlushError
from blushcore.volumes import MapHeader, Volume, read_map, write_map

pytestmark = pytest.mark.gui

PLUGIN = "napari-blush"


@pytest.fixture
def map_file(tmp_path: Path) -> Path:
    values = np.random.default_rng(1).normal(size=(24, 26, 28)).astype(np.float32)
    header = MapHeader(start=(-12, -13, -14), labels=("made by the tests",))
    write_map(tmp_path / "half1.mrc.gz", Volume(values, (2.5, 2.5, 2.5), header))
    return tmp_path / "half1.mrc.gz"


def without_voxel_size(path: Path, copy: Path) -> Path:
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[40:52] = struct.pack("<3f", 0, 0, 0)
    copy.write_bytes(content)
    return copy


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the user is told by notifications."""
    from napari.utils.notifications import notification_manager

    said: list[str] = []

    def listen(event: Any) -> None:
        said.append(event.message)

    monkeypatch.setattr(notification_manager, "dispatch", listen)
    return said


def test_a_map_is_shown_where_it_is_and_saved_as_it_was(
    make_viewer: Callable[..., Any], map_file: Path, tmp_path: Path, told: list[str]
) -> None:
    viewer = make_viewer()
    [layer] = viewer.open(str(map_file), plugin=PLUGIN)
    assert layer.name == "half1"
    assert [str(unit) for unit in layer.units] == ["angstrom"] * 3
    assert tuple(layer.axis_labels) == ("z", "y", "x")
    assert np.allclose(layer.scale, 2.5)
    assert np.allclose(layer.translate, (-30, -32.5, -35))
    assert layer.data.dtype == np.float32
    original = read_map(map_file)
    assert layer.contrast_limits == pytest.approx((-1.5, 3.3), abs=0.2)
    assert told == []

    saved = viewer.layers.save(str(tmp_path / "copy.mrc"), plugin=PLUGIN)
    assert saved == [str(tmp_path / "copy.mrc")]
    copy = read_map(tmp_path / "copy.mrc")
    assert np.array_equal(copy.data, original.data)
    assert copy.voxel_size == original.voxel_size
    assert copy.header.start == original.header.start
    assert copy.header.origin == (0, 0, 0)
    assert copy.header.labels[0] == "made by the tests"

    layer.translate = (1, 2, 3)
    viewer.layers.save(str(tmp_path / "moved.mrc.gz"), plugin=PLUGIN)
    moved = read_map(tmp_path / "moved.mrc.gz")
    assert np.allclose(moved.header.origin, (1, 2, 3))
    assert moved.position == moved.header.origin


def test_a_map_without_voxel_size_is_shown_in_pixels_and_says_so(
    make_viewer: Callable[..., Any], map_file: Path, tmp_path: Path, told: list[str]
) -> None:
    from napari_blush.layers.maps import set_voxel_size, volume_of

    viewer = make_viewer()
    [layer] = viewer.open(str(without_voxel_size(map_file, tmp_path / "unset.mrc")), plugin=PLUGIN)
    assert [str(unit) for unit in layer.units] == ["pixel"] * 3
    assert layer.metadata["blush"]["voxel_size_known"] is False
    [sentence] = told
    assert "unset.mrc has no voxel size" in sentence
    assert "in pixels" in sentence
    with pytest.raises(BlushError, match="voxel size of unset is not known"):
        viewer.layers.save(str(tmp_path / "copy.mrc"), plugin=PLUGIN)
    assert not (tmp_path / "copy.mrc").exists()

    set_voxel_size(layer, 1.25)
    assert volume_of(layer).voxel_size == (1.25,) * 3
    assert np.allclose(layer.translate, (-15, -16.25, -17.5))  # start indices times the voxel size
    viewer.layers.save(str(tmp_path / "copy.mrc"), plugin=PLUGIN)
    assert read_map(tmp_path / "copy.mrc").voxel_size == (1.25,) * 3
    with pytest.raises(BlushError, match="-1 Å"):
        set_voxel_size(layer, -1.0)


def test_an_error_is_raised_in_scripts_and_told_to_users(
    make_viewer: Callable[..., Any], tmp_path: Path, told: list[str], qtbot: Any
) -> None:
    from qtpy.QtCore import QTimer

    broken = tmp_path / "broken.mrc"
    broken.write_bytes(b"no map at all")
    viewer = make_viewer()
    with pytest.raises(BlushError, match=r"broken\.mrc is not an MRC map"):
        viewer.open(str(broken), plugin=PLUGIN)
    assert told == []

    opened: list[Any] = []
    # As the menu does: from within the event loop, where no code waits for an exception.
    QTimer.singleShot(0, lambda: opened.append(viewer.open(str(broken), plugin=PLUGIN)))
    qtbot.waitUntil(lambda: bool(opened))
    assert opened == [[]]
    [sentence] = told
    assert sentence.startswith("broken.mrc is not an MRC map")
    assert len(viewer.layers) == 0


def test_images_cannot_be_saved_as_a_map(make_viewer: Callable[..., Any], tmp_path: Path) -> None:
    viewer = make_viewer()
    viewer.add_image(np.zeros((8, 8)), name="flat")
    with pytest.raises(BlushError, match="flat is not a three-dimensional map"):
        viewer.layers.save(str(tmp_path / "flat.mrc"), plugin=PLUGIN)


def test_the_demo_half_maps_open(make_viewer: Callable[..., Any], told: list[str]) -> None:
    viewer = make_viewer()
    viewer.open_sample(PLUGIN, "demo_half_maps")
    assert [(layer.name, layer.visible) for layer in viewer.layers] == [
        ("demo half 1", True),
        ("demo half 2", False),
    ]
    assert viewer.layers[0].data.shape == viewer.layers[1].data.shape
    assert told == []


def test_particle_images_are_shown_one_by_one(
    make_viewer: Callable[..., Any], particle_set: Path, told: list[str]
) -> None:
    viewer = make_viewer()
    [layer] = viewer.open(str(particle_set), plugin=PLUGIN)
    assert np.allclose(layer.scale, (1, 3.5, 3.5))
    assert list(layer.metadata["blush"]["particles"]["rlnAngleRot"]) == [10.0, 20.0, 30.0]
    for row, value in enumerate((2.0, 1.0, 11.0)):
        viewer.dims.set_current_step(0, row)
        assert (np.asarray(layer._slice.image.raw) == value).all()
    assert told == []
    [stack] = viewer.open(str(particle_set.parent.parent / "Extract" / "one.mrcs"), plugin=PLUGIN)
    assert stack.data.shape == (3, 6, 8)
    assert told[0] == "The pixel size of one.mrcs is not known: it is shown in pixels."


def test_a_map_that_is_a_stack_opens_as_images(
    make_viewer: Callable[..., Any], particle_set: Path, tmp_path: Path
) -> None:
    stack = tmp_path / "images.mrc"
    content = bytearray((particle_set.parent.parent / "Extract" / "one.mrcs").read_bytes())
    content[36:40] = struct.pack("<i", 1)  # MZ of a stack
    stack.write_bytes(content)
    [layer] = make_viewer().open(str(stack), plugin=PLUGIN)
    assert tuple(layer.axis_labels) == ("image", "y", "x")


def test_maps_are_binned_on_request(make_viewer: Callable[..., Any], map_file: Path) -> None:
    from napari_blush.layers.binning import bin_selected_maps

    viewer = make_viewer()
    [layer] = viewer.open(str(map_file), plugin=PLUGIN)
    viewer.layers.selection.clear()
    with pytest.raises(BlushError, match="No map is selected"):
        bin_selected_maps(viewer)
    viewer.layers.selection.add(layer)
    bin_selected_maps(viewer)
    small = viewer.layers[-1]
    assert small.data.shape == (12, 13, 14)
    assert small.data[1, 2, 3] == pytest.approx(layer.data[2:4, 4:6, 6:8].mean())
    # The same place in the world: the middle of voxels 2 and 3 is that of block 1.
    assert np.allclose(small.data_to_world((1, 2, 3)), layer.data_to_world((2.5, 4.5, 6.5)))
    assert not layer.visible
