"""The history of results: how many are kept, and what they may be called."""

from __future__ import annotations

from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from blushcore.interactive.messages import DenoiseSettings
from napari_blush.denoise.results import Result

pytestmark = pytest.mark.gui
_Usage = namedtuple("_Usage", "total used free")


@pytest.fixture
def store(silent: Any) -> Any:
    """An empty store."""
    from napari_blush.background import Background
    from napari_blush.denoise.store import ResultStore
    from napari_blush.denoise.worker_maps import WorkerMaps

    background = Background()
    store = ResultStore(silent, WorkerMaps(silent, background), background)
    yield store
    store.close()
    background.close()


def keep(store: Any, number: int) -> Result:
    """Keep a result of 2000 bytes, mapped from files as a real one."""
    arrays = []
    for what in ("map", "mask"):
        path = store.folder / f"{number}-{what}.npy"
        np.save(path, np.full((1, 25, 10), number, dtype=np.float32))
        arrays.append(np.load(path, mmap_mode="r"))
    result = Result(number, ("m",), (), (arrays[0],), arrays[1], DenoiseSettings(), {})
    store.results.append(result)
    return result


def test_results_take_no_more_than_half_of_what_the_disk_has_room_for(store, monkeypatch):
    from napari_blush.denoise import store as module

    results = [keep(store, number) for number in range(5)]
    disk = _Usage(10_000, 6_000, 50_000)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: disk)
    assert store.shorten([]) == []
    disk = _Usage(10_000, 9_900, 100)
    assert store.shorten([results[0]]) == results[1:]  # never one that is looked at
    assert store.results == results[:1]
    assert sorted(path.name for path in store.folder.glob("*.npy")) == ["0-map.npy", "0-mask.npy"]


def test_a_file_is_not_called_what_no_file_may_be(make_viewer, tmp_path):
    from denoising import add_map, blob

    from napari_blush.denoise.files import proposed_path

    layer = add_map(make_viewer(), blob(), 'run/17: "half" <A>?')
    assert proposed_path(layer, layer.name) == Path("run-17- -half- -A-_denoised.mrc")
