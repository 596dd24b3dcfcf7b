"""The supply of examples: each depends on the seed and its number alone, however it is made."""

from __future__ import annotations

import itertools
import os
import signal
import threading

import numpy as np
import pytest
import torch

from blushcore.protocol import BlushError
from blushcore.simulation import ModelEntry, read_model_table
from blushcore.training.augmentation import HalfMapPair
from blushcore.training.batches import BatchStream, batches
from blushcore.training.samples import SimulatedPairs, TrainingBlocks, simulate_pair
from blushcore.volumes.masks import soft_sphere
from synthetic_models import pdb_line, write_model_table

MASK = soft_sphere((66,) * 3, 20, 5)


def quick_pairs(generator: np.random.Generator) -> HalfMapPair:
    """Noise in place of a simulation."""
    torch_generator = torch.Generator().manual_seed(int(generator.integers(2**63)))
    signal, *noise = (torch.randn(MASK.shape, generator=torch_generator) for _ in range(3))
    return HalfMapPair(signal + noise[0], signal + noise[1], MASK, 6.0, 60.0, signal)


def failing_pairs(generator: np.random.Generator) -> HalfMapPair:
    raise BlushError("There is no atomic model at x.pdb.", "Give one.")


def killed_pairs(generator: np.random.Generator) -> HalfMapPair:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("still alive")


@pytest.fixture
def examples() -> TrainingBlocks:
    return TrainingBlocks(quick_pairs, seed=3, first_noisy=6)


def equal(one, other) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def alike(one, other) -> bool:
    """Up to rounding, to float16 at last: a worker process has one thread, this one has all."""
    return all(torch.allclose(a, b, rtol=2e-3, atol=1e-3) for a, b in zip(one, other, strict=True))


def test_an_example_is_the_same_in_any_order(examples):
    forth = [examples[i] for i in (2, 9)]
    back = [examples[i] for i in (9, 2)]
    assert equal(forth[0], back[1])
    assert equal(forth[1], back[0])
    assert not equal(forth[0], forth[1])
    other_seed = TrainingBlocks(quick_pairs, seed=4, first_noisy=6)
    assert not equal(other_seed[2], forth[0])


def test_targets_turn_noisy_at_the_number_given(examples):
    clean, noisy = (TrainingBlocks(quick_pairs, 3, first_noisy=n) for n in (100, 0))
    assert equal(examples[5], clean[5])
    assert equal(examples[6], noisy[6])
    assert torch.equal(clean[6][0], noisy[6][0])  # the input is the same
    assert not torch.equal(clean[6][2], noisy[6][2])


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_are_the_examples_in_order(examples, workers):
    stream = batches(examples, first=4, batch_size=2, workers=workers)
    made = list(itertools.islice(stream, 3))
    stream.close()
    for i, batch in enumerate(made):
        for j in range(2):
            assert alike([part[j] for part in batch], examples[4 + 2 * i + j])
            assert not alike([part[j] for part in batch], examples[5 + 2 * i + j])


def test_each_volume_is_made_once_and_kept_no_longer_than_needed():
    made = []

    class Counting(TrainingBlocks):
        def volume(self, key):
            made.append(key)
            return volume

        def cut(self, _index, _volume):
            return (torch.zeros(1),) * 4

    volume = TrainingBlocks(quick_pairs, 3, 50).volume((0, True))
    stream = batches(Counting(quick_pairs, 3, 50), first=0, batch_size=4, workers=0)
    for _ in range(150):
        next(stream)
    assert len(made) == len(set(made))
    assert max(number for number, _ in made) < 600 / 12 + 24
    kept = stream.gi_frame.f_locals["kept"]
    assert all(number >= 600 // 12 and not clean for number, clean in kept)


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_in_a_worker_keeps_its_sentence(workers):
    stream = batches(TrainingBlocks(failing_pairs, 0, 0), 0, 1, workers)
    with pytest.raises(BlushError) as caught:
        next(stream)
    assert caught.value.problem == "There is no atomic model at x.pdb."
    assert caught.value.remedy == "Give one."


def test_a_killed_worker_is_told_in_a_sentence():
    stream = batches(TrainingBlocks(killed_pairs, 0, 0), 0, 1, workers=1)
    with pytest.raises(BlushError, match="process that simulates half-maps for the training was killed"):
        next(stream)


def test_a_stream_waits_no_longer_than_it_is_told(examples):
    may_begin = threading.Event()

    class Held(TrainingBlocks):
        def volume(self, key):
            assert may_begin.wait(60)
            return super().volume(key)

    with BatchStream(Held(quick_pairs, seed=3, first_noisy=6), 0, 1, workers=0) as stream:
        try:
            assert stream.take(0.01) is None
        finally:
            may_begin.set()
        for number in range(2):
            batch = [part[0] for part in stream.take(60.0)]
            assert alike(batch, examples[number])  # its thread need not divide sums as this one does
            assert not alike(batch, examples[number + 1])


def test_a_diagonal_rod_fits_its_box_however_it_is_turned(tmp_path):
    along = np.linspace(-55, 55, 60)  # 110 Å along each axis of the file, 190 Å along the rod
    lines = [pdb_line(i + 1, "CA", "A", i + 1, np.full(3, x), 20.0) for i, x in enumerate(along)]
    (tmp_path / "rod.pdb").write_text("\n".join([*lines, "END"]))
    entry = ModelEntry("rod", tmp_path / "rod.pdb", "train", 110.0)
    for seed in range(3):
        pair = simulate_pair(entry, np.random.default_rng(seed), resolution=8.0, size_factor=1.0)
        assert len(set(pair.half1.shape)) == 1


def test_simulated_pairs_are_the_generator_s(tmp_path):
    models = read_model_table(write_model_table(tmp_path, train=2), "train")
    pairs = SimulatedPairs(models)
    one, again, other = (pairs(np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert torch.equal(one.half1, again.half1)
    assert not torch.equal(one.half1, other.half1)
    assert one.signal is not None
    assert one.truth is not None
    assert one.half1.shape == one.truth.shape == (80, 80, 80)
    assert 3.2 <= one.resolution <= 11
