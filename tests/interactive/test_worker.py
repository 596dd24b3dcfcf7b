"""The warm worker: what it answers, that its previews add up to the full result, and how it ends."""

from __future__ import annotations

import itertools
import os
import signal

import numpy as np
import pytest
import torch

from blushcore.denoiser import Denoiser, denoise_map
from blushcore.interactive.messages import (
    Cancel,
    Cancelled,
    Compare,
    Compared,
    Denoise,
    DenoiseSettings,
    Describe,
    Described,
    Done,
    Failed,
    Focus,
    Load,
    Loaded,
    Prepare,
    Prepared,
    Ready,
    SliceInView,
    SlicePicture,
    Working,
)
from conftest import WorkerProcess, wait_for

VOXEL = (1.5, 1.5, 1.5)
numbers = itertools.count()


@pytest.fixture(scope="module")
def settings(random_weights) -> DenoiseSettings:
    return DenoiseSettings(weights=str(random_weights), device="cpu", precision="float32")


@pytest.fixture(scope="module")
def expected(noisy_map, random_weights) -> np.ndarray:
    """What `denoise_map` makes of the map."""
    denoiser = Denoiser.load(random_weights, "cpu", "float32")
    return denoise_map(denoiser, torch.from_numpy(noisy_map[1]), VOXEL).map.numpy()


@pytest.fixture
def loaded(shared_worker: WorkerProcess, noisy_map) -> str:
    """Key of the map, freshly loaded: nothing of it has been computed."""
    shared_worker.tell(Load(key="map", path=noisy_map[0], voxel_size=VOXEL))
    event = shared_worker.until(Loaded)
    assert event.shape == noisy_map[1].shape
    return event.key


def name() -> str:
    return f"work-{next(numbers)}"


def tolerance(array: np.ndarray) -> float:
    """Blocks are summed in another order: a few roundings of float32."""
    return 1e-5 * float(np.abs(array).max())


def test_full_result_equals_denoise_map(shared_worker, loaded, settings, expected, random_weights):
    work = name()
    shared_worker.tell(Denoise(id=work, key=loaded, settings=settings))
    done = shared_worker.until(Done)
    result = np.load(done.map_path)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, expected, rtol=0, atol=tolerance(expected))
    mask = np.load(done.mask_path)
    assert mask.shape == result.shape
    assert 0 <= mask.min() < mask.max() <= 1
    info = Denoiser.load(random_weights, "cpu").info
    assert done.figures["weights_sha256"] == info.sha256
    assert (done.figures["device"], done.figures["precision"]) == ("cpu", "float32")
    assert done.figures["blocks"] == 3
    progress = [e for e in shared_worker.events if isinstance(e, Working) and e.id == work]
    assert [e.done for e in progress] == [0, 1, 2, 3]
    assert progress[-1].eta_seconds == 0


def test_previews_become_exact_follow_the_slider_and_add_up(
    shared_worker, loaded, settings, expected, noisy_map
):
    work = name()
    first = SliceInView(axis=0, index=12)
    shared_worker.tell(Denoise(id=work, key=loaded, settings=settings, mode="preview", focus=first))
    approximate = shared_worker.until(SlicePicture)
    assert approximate.approximate
    assert approximate.whole  # one tile of a slab
    assert approximate.blocks_done == 0
    picture = np.load(approximate.path)
    assert picture.shape == (32, 32)
    assert np.abs(picture - noisy_map[1][12]).max() > 0.1  # not the input
    exact = shared_worker.until(SlicePicture, lambda e: not e.approximate)
    assert (exact.blocks_done, exact.blocks_total) == (1, 1)
    np.testing.assert_allclose(np.load(exact.path), expected[12], rtol=0, atol=tolerance(expected))

    # Another slice of the same block is there at once, one of the other block after its own.
    shared_worker.tell(Focus(id=work, focus=SliceInView(axis=0, index=8)))
    at_once = shared_worker.until(SlicePicture)
    assert (at_once.index, at_once.approximate) == (8, False)
    shared_worker.tell(Focus(id=work, focus=SliceInView(axis=0, index=65)))
    other = shared_worker.until(SlicePicture, lambda e: not e.approximate)
    np.testing.assert_allclose(np.load(other.path), expected[65], rtol=0, atol=tolerance(expected))

    # Across x the slice needs all blocks; when it is exact, the whole map needs no further one.
    shared_worker.tell(Focus(id=work, focus=SliceInView(axis=2, index=16)))
    across = shared_worker.until(SlicePicture, lambda e: e.axis == 2 and not e.approximate)
    np.testing.assert_allclose(np.load(across.path), expected[:, :, 16], rtol=0, atol=tolerance(expected))
    full = name()
    shared_worker.tell(Denoise(id=full, key=loaded, settings=settings))
    assert shared_worker.until(Cancelled).id == work
    done = shared_worker.until(Done)
    assert done.figures["seconds"] < 1
    np.testing.assert_allclose(np.load(done.map_path), expected, rtol=0, atol=tolerance(expected))


def test_slices_of_a_resampled_map_wait_for_all_blocks(shared_worker, noisy_map, settings):
    values = noisy_map[1]
    shared_worker.tell(Load(key="fine", path=noisy_map[0], voxel_size=(1.2, 1.2, 1.2)))
    shared_worker.until(Loaded)
    denoiser = Denoiser.load(settings.weights, "cpu", "float32")
    expected = denoise_map(denoiser, torch.from_numpy(values), (1.2, 1.2, 1.2)).map.numpy()
    view = SliceInView(axis=0, index=3)
    shared_worker.tell(Denoise(id=name(), key="fine", settings=settings, focus=view))
    pictures = []
    while not isinstance(event := shared_worker.next_event(), Done):
        if isinstance(event, SlicePicture):
            pictures.append(event)
    # The last picture before the end is exact; all before it said that they were not.
    assert [p.approximate for p in pictures] == [True] * (len(pictures) - 1) + [False]
    result = np.load(event.map_path)
    np.testing.assert_allclose(result, expected, rtol=0, atol=tolerance(expected))
    np.testing.assert_allclose(np.load(pictures[-1].path), result[3], rtol=0, atol=tolerance(expected))


def test_cancelling_keeps_what_is_done(shared_worker, loaded, settings):
    work = name()
    shared_worker.tell(Denoise(id=work, key=loaded, settings=settings))
    shared_worker.until(Working, lambda e: e.done == 1)
    shared_worker.tell(Cancel(id=work))
    # Too late for the block in hand, which was the last: that is no error either.
    ended = shared_worker.until((Cancelled, Done))
    shared_worker.tell(Denoise(id=name(), key=loaded, settings=settings))
    assert shared_worker.until(Working).done >= 1
    shared_worker.until(Done)
    assert ended.id == work


def test_another_diameter_is_another_result(shared_worker, loaded, settings):
    maps = []
    for diameter in (30.0, 44.0):
        shared_worker.tell(Denoise(id=name(), key=loaded, settings=settings.replace(diameter=diameter)))
        done = shared_worker.until(Done)
        assert done.figures["diameter_angstrom"] == diameter
        maps.append(np.load(done.map_path))
    assert np.abs(maps[0] - maps[1]).max() > 0.05


def test_a_mask_keeps_the_rest_flat(shared_worker, loaded, settings, tmp_path, noisy_map):
    mask = np.zeros(noisy_map[1].shape, np.float32)
    mask[:30] = 1
    np.save(tmp_path / "mask.npy", mask)
    shared_worker.tell(Load(key="soft", path=tmp_path / "mask.npy", voxel_size=VOXEL, role="mask"))
    assert shared_worker.until(Loaded).estimated_diameter is None
    shared_worker.tell(Denoise(id=name(), key=loaded, settings=settings, mask="soft"))
    done = shared_worker.until(Done)
    assert done.figures["blocks"] == 1
    result = np.load(done.map_path)
    assert float(np.ptp(result[31:])) < 1e-5
    assert float(np.ptp(result[10:20])) > 0.1


def test_halves_are_compared_before_and_after(shared_worker, tmp_path, settings):
    rng = np.random.default_rng(2)
    signal = np.zeros((32, 32, 32), np.float32)
    signal[10:22, 10:22, 10:22] = 3
    ids = []
    for half in (1, 2):
        path = tmp_path / f"half{half}.npy"
        np.save(path, signal + rng.normal(size=signal.shape).astype(np.float32))
        shared_worker.tell(Load(key=f"half{half}", path=path, voxel_size=VOXEL))
        ids.append(name())
        shared_worker.tell(Denoise(id=ids[-1], key=f"half{half}", settings=settings))
        shared_worker.until(Done)
    shared_worker.tell(Compare(id="fsc", halves=("half1", "half2"), results=tuple(ids)))
    compared = shared_worker.until(Compared)
    assert len(compared.before) == len(compared.after) == 17
    assert compared.before[0] == pytest.approx(1, abs=0.05)
    assert compared.before[12] < 0.5
    assert compared.after != compared.before
    assert compared.box_size_angstrom == pytest.approx(48)


def test_what_there_is_to_choose_from(shared_worker, loaded, settings):
    shared_worker.tell(Describe(key=loaded), Prepare(settings=settings))
    described = shared_worker.until(Described)
    cpu = next(device for device in described.devices if device.device == "cpu")
    assert 0 < cpu.free <= cpu.total
    # Ten volumes of the larger grid and the network's activations.
    assert cpu.predicted_peak > 10 * 4 * 72 * 32 * 32 + 400e6
    prepared = shared_worker.until(Prepared)
    assert (prepared.weights, prepared.device, prepared.precision) == ("random", "cpu", "float32")


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (Load(key="x", path="nowhere.mrc"), "nowhere.mrc"),
        (Denoise(id="1", key="unknown", settings=DenoiseSettings()), "unknown|weights"),
        (Prepare(settings=DenoiseSettings(weights="nobody")), "no network weights 'nobody'"),
        (Prepare(settings=DenoiseSettings(device="cuda:77")), "cuda|weights"),
        (Compare(id="f", halves=("a", "b")), "'a'"),
    ],
)
def test_failures_are_sentences_and_it_goes_on(shared_worker, request_, words, loaded, settings):
    import re

    shared_worker.tell(request_)
    failed = shared_worker.until(Failed)
    assert failed.request == request_.request
    assert re.search(words, failed.problem + failed.remedy)
    assert failed.error_type == "BlushError"
    shared_worker.tell(Describe())
    shared_worker.until(Described)


def test_a_mask_that_is_none(shared_worker, noisy_map):
    shared_worker.tell(Load(key="mask", path=noisy_map[0], voxel_size=VOXEL, role="mask"))
    assert "mask holds values" in shared_worker.until(Failed).problem


def test_values_that_are_no_numbers(shared_worker, tmp_path):
    values = np.zeros((8, 8, 8), np.float32)
    values[1, 2, 3] = np.nan
    np.save(tmp_path / "nan.npy", values)
    shared_worker.tell(Load(key="nan", path=tmp_path / "nan.npy", voxel_size=VOXEL))
    failed = shared_worker.until(Failed)
    assert "nan at voxel x, y, z = 3, 2, 1" in failed.problem
    assert failed.error_type == "BlushError"


def test_garbage_is_answered_and_survived(new_worker, noisy_map):
    new_worker.until(Ready)
    new_worker.say(b'garbage\n\n{"request": "dance"}\n{"request": "load", "ke')
    assert new_worker.until(Failed).request == "?"
    assert new_worker.until(Failed).request == "?"
    new_worker.say(f'y": "m", "path": "{noisy_map[0]}", "voxel_size": [1.5, 1.5, 1.5]}}\n'.encode())
    assert new_worker.until(Loaded).key == "m"
    assert new_worker.end() == 0


def test_it_ends_with_whoever_started_it(new_worker, noisy_map, settings):
    """In the middle of work, and leaves nothing behind."""
    new_worker.until(Ready)
    if hasattr(os, "nice"):
        mine = min(os.getpriority(os.PRIO_PROCESS, 0), 18)  # 19 is the nicest there is
        assert os.getpriority(os.PRIO_PROCESS, new_worker.process.pid) > mine
    new_worker.tell(
        Load(key="m", path=noisy_map[0], voxel_size=VOXEL),
        Denoise(id="1", key="m", settings=settings),
    )
    new_worker.until(Working)
    assert new_worker.end() == 0
    assert not new_worker.folder.exists()


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_worker_that_was_killed_leaves_no_half_written_array(new_worker, noisy_map, settings):
    new_worker.until(Ready)
    new_worker.tell(
        Load(key="m", path=noisy_map[0], voxel_size=VOXEL),
        Denoise(id="1", key="m", settings=settings, mode="preview", focus=SliceInView(axis=0, index=9)),
    )
    new_worker.until(SlicePicture)
    new_worker.process.kill()
    assert new_worker.wait() == -signal.SIGKILL
    assert wait_for(lambda: all(np.load(path).shape for path in new_worker.folder.glob("*.npy")))
