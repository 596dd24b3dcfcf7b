"""Maps on their way to the worker: of those that are overtaken nothing stays anywhere."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from denoising import blob
from worker_stand_ins import pump, wait_until

from blushcore.interactive.messages import Load, Loaded, Release

pytestmark = pytest.mark.gui


@pytest.fixture
def maps(silent: Any) -> Iterator[Any]:
    """Maps for a worker that only listens; what failed is in ``failures``."""
    from napari_blush.background import Background
    from napari_blush.denoise.worker_maps import WorkerMaps

    background = Background()
    maps = WorkerMaps(silent, background)
    maps.failures = []
    maps.failed.connect(maps.failures.append)
    yield maps
    background.close()


def loaded(request: Load) -> Loaded:
    return Loaded(key=request.key, shape=(32,) * 3, voxel_size=request.voxel_size, estimated_diameter=None)


def test_maps_that_are_overtaken_are_released_and_their_files_removed(maps, silent):
    for seed in range(3):
        maps.load([blob(seed), blob(seed + 1)], None)
        wait_until(lambda seed=seed: len(silent.asked(Load)) == 2 * (seed + 1), 60)
    *stale, one, two = silent.asked(Load)
    assert {request.key for request in silent.asked(Release)} == {request.key for request in stale}
    for request in (*stale, one, two):
        maps.on_loaded(loaded(request))
    assert maps.are_there
    assert list(silent.folder.iterdir()) == []


def test_maps_that_are_overtaken_before_they_are_written_are_not(maps, silent):
    for seed in range(4):
        maps.load([blob(seed)], None)
    wait_until(lambda: bool(silent.asked(Load)), 60)
    pump(0.1)
    (request,) = silent.asked(Load)
    assert [path.name for path in silent.folder.iterdir()] == [f"{request.key}.npy"]


def test_a_worker_that_dies_while_maps_are_written_is_the_only_failure(maps, silent):
    shutil.rmtree(silent.folder)  # as with the process
    maps.load([blob()], None)
    maps.forget()
    pump(0.3)
    assert maps.failures == []


def test_a_folder_that_takes_no_map_is_named(maps, silent):
    shutil.rmtree(silent.folder)
    maps.load([blob()], None)
    wait_until(lambda: bool(maps.failures), 60)
    assert f"by way of {silent.folder}: No such file or directory." in maps.failures[0].problem


def test_a_full_disk_is_called_one(maps, silent, monkeypatch):
    def full(path: Any, array: Any) -> None:
        raise OSError("884736 requested and 433120 written")  # all that numpy says

    monkeypatch.setattr("napari_blush.denoise.worker_maps.np.save", full)
    maps.load([blob()], None)
    wait_until(lambda: bool(maps.failures), 60)
    assert maps.failures[0].problem.endswith(": the disk is full.")
    assert "Make room" in maps.failures[0].remedy
    assert list(silent.folder.iterdir()) == []


def test_work_that_is_done_at_once_is_told_after_the_call(qtbot):
    from napari_blush.background import Background

    background = Background()
    for _ in range(200):  # the thread is often quicker than the one that asks
        told: list[int] = []
        background.run(lambda: 1, told.append, lambda _: None)
        assert told == []
        wait_until(lambda told=told: told == [1], 60)
    background.close()


class SlowArray:
    """Values that take a while to come, as those of a file far away; counts in which thread they were read."""

    def __init__(self, values: Any) -> None:
        self.values, self.shape, self.dtype, self.ndim = values, values.shape, values.dtype, values.ndim
        self.whole_reads_in: list[str] = []

    def __getitem__(self, key: Any) -> Any:
        return self.values[key]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        self.whole_reads_in.append(threading.current_thread().name)
        return self.values.astype(dtype or self.dtype)


def test_layers_that_are_not_at_hand_are_read_in_the_background(open_widget, silent):
    viewer, widget = open_widget(silent)
    values = SlowArray((100 * blob().data).astype(">i2"))
    arguments = {"scale": (1.5,) * 3, "units": ("angstrom",) * 3, "contrast_limits": (0, 100)}
    viewer.add_image(values, name="far away", rgb=False, multiscale=False, **arguments)
    assert widget.panels.status.title.text() == "Reading the map"
    assert not widget.session.can_work
    silent.answer_loads_until(lambda: widget.session.can_work)
    np.testing.assert_array_equal(widget.session.sources[0].data, values.values)
    assert widget.session.sources[0].data.dtype == np.float32
    assert values.whole_reads_in
    assert threading.current_thread().name not in values.whole_reads_in
    first = widget.session.sources[0]
    widget._maps.take()
    assert widget.session.sources[0] is first  # read once

    turned = viewer.add_image(values.values, name="turned", rotate=(0, 0, 30), rgb=False, **arguments)
    widget.panels.inputs.choose(turned)
    wait_until(lambda: "turned is mirrored" in widget.panels.status.title.text(), 60)
    assert not widget.session.can_work
