"""The worker makes soft masks, as `blush mask` does."""

from __future__ import annotations

import numpy as np
import pytest

from blushcore.cli import main
from blushcore.interactive.messages import Failed, Load, Loaded, MakeMask, MaskMade, Release
from blushcore.volumes import Volume, read_map, write_map
from blushcore.volumes.mask_settings import MaskSettings

N, VOXEL = 32, 3.0


@pytest.fixture(scope="module")
def blob() -> np.ndarray:
    place = np.indices((N,) * 3) - N // 2
    noise = np.random.default_rng(2).normal(size=(N,) * 3)
    return (5 * np.exp(-(place**2).sum(axis=0) / 60.0) + noise).astype(np.float32)


def load(worker, blob, tmp_path) -> None:
    np.save(tmp_path / "map.npy", blob)
    worker.tell(Load(key="map", path=tmp_path / "map.npy", voxel_size=(VOXEL,) * 3))
    worker.until(Loaded)


def make(worker, name: str, **settings) -> MaskMade:
    worker.tell(MakeMask(id=name, key="map", settings=MaskSettings(**settings)))
    made: MaskMade = worker.until(MaskMade)
    assert made.id == name
    return made


def test_it_is_the_mask_of_the_command(shared_worker, blob, tmp_path):
    load(shared_worker, blob, tmp_path)
    write_map(tmp_path / "map.mrc", Volume(blob, (VOXEL,) * 3))
    assert main(["mask", str(tmp_path / "map.mrc"), "-o", str(tmp_path / "mask.mrc"), "--extend", "9"]) == 0
    made = make(shared_worker, "one", extend=9.0)
    np.testing.assert_array_equal(np.load(made.path), read_map(tmp_path / "mask.mrc").data)
    assert made.lowest < made.threshold < made.highest
    assert made.volume_nm3 == pytest.approx(made.share_of_box * (N * VOXEL / 10) ** 3)
    assert made.warnings == ()


def test_threshold_low_pass_and_edge_count(shared_worker, blob, tmp_path):
    load(shared_worker, blob, tmp_path)
    usual = make(shared_worker, "usual")
    higher = make(shared_worker, "higher", threshold=(usual.threshold + usual.highest) / 2)
    assert higher.volume_nm3 < 0.8 * usual.volume_nm3
    hard = np.load(make(shared_worker, "hard", soft_edge=0.0).path)
    assert set(np.unique(hard)) == {0.0, 1.0}
    unfiltered = make(shared_worker, "unfiltered", lowpass=0.0, threshold=2.0)
    assert unfiltered.highest == pytest.approx(float(blob.max()))
    assert unfiltered.highest > usual.highest


def test_what_cannot_be_made_is_told_and_the_worker_goes_on(shared_worker, blob, tmp_path):
    load(shared_worker, blob, tmp_path)
    shared_worker.tell(MakeMask(id="nothing", key="map", settings=MaskSettings(threshold=1e6)))
    failed = shared_worker.until(Failed)
    assert (failed.id, failed.request) == ("nothing", "make_mask")
    full = make(shared_worker, "full", threshold=-1e6)
    assert "faces of the box" in full.warnings[0]
    shared_worker.tell(Release(key="map"), MakeMask(id="gone", key="map", settings=MaskSettings()))
    assert "no map" in shared_worker.until(Failed).problem
