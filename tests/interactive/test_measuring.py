"""The worker measures local resolution, as `blush local-resolution` does, and can be stopped at it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from blushcore.interactive.messages import (
    Cancel,
    Cancelled,
    Failed,
    Load,
    Loaded,
    LocalResolutionMeasured,
    MeasureLocalResolution,
    Working,
)
from blushcore.shells.local_resolution import local_resolution, usual_window_angstrom

N, VOXEL = 40, 2.0


@pytest.fixture(scope="module")
def halves(tmp_path_factory) -> tuple[np.ndarray, np.ndarray, list[Path]]:
    """Two noisy copies of one object of low frequencies."""
    rng = np.random.default_rng(3)
    frequency = np.fft.fftfreq(N)
    radius = np.sqrt(frequency[:, None, None] ** 2 + frequency[:, None] ** 2 + np.fft.rfftfreq(N) ** 2)
    smooth = np.fft.irfftn(np.fft.rfftn(rng.normal(size=(N,) * 3)) * (radius < 0.15))
    both = [(smooth * 6 + rng.normal(size=smooth.shape)).astype(np.float32) for _ in range(2)]
    folder = tmp_path_factory.mktemp("halves")
    paths = [folder / f"half{number}.npy" for number in (1, 2)]
    for path, half in zip(paths, both, strict=True):
        np.save(path, half)
    return both[0], both[1], paths


def load(worker, halves) -> None:
    for number, path in enumerate(halves[2], 1):
        worker.tell(Load(key=f"half{number}", path=path, voxel_size=(VOXEL,) * 3))
        worker.until(Loaded)


def test_the_map_is_that_of_the_command(shared_worker, halves):
    load(shared_worker, halves)
    shared_worker.tell(MeasureLocalResolution(id="local", halves=("half1", "half2")))
    done = shared_worker.until(LocalResolutionMeasured)
    window = usual_window_angstrom(halves[0], halves[1], voxel_size=VOXEL)
    assert done.window == pytest.approx(window)
    expected = local_resolution(halves[0], halves[1], voxel_size=VOXEL, window_angstrom=window)
    np.testing.assert_allclose(np.load(done.path), expected.map, rtol=1e-5)
    assert done.median == pytest.approx(expected.percentiles(50.0)[0], rel=1e-5)
    told = [event for event in shared_worker.events if isinstance(event, Working) and event.id == "local"]
    assert told[-1].done == told[-1].total > 0


def test_it_can_be_stopped_and_what_cannot_be_measured_is_told(shared_worker, halves):
    load(shared_worker, halves)
    shared_worker.tell(MeasureLocalResolution(id="stopped", halves=("half1", "half2")), Cancel(id="stopped"))
    assert shared_worker.until(Cancelled).id == "stopped"
    shared_worker.tell(MeasureLocalResolution(id="tiny", halves=("half1", "half2"), window=4.0))
    failed = shared_worker.until(Failed)
    assert (failed.id, failed.request) == ("tiny", "measure_local_resolution")
    assert "A window of 4 Å" in failed.problem
