"""Stored pairs as a training draws them: what is kept of them changes nothing, and is bounded."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch

from blushcore.training import stored_pairs
from blushcore.training.augmentation import HalfMapPair
from blushcore.training.batches import batches
from blushcore.training.pair_files import PairEntry
from blushcore.training.samples import TrainingBlocks
from blushcore.training.stored_pairs import PairCache, StoredPairs, pair_bytes
from blushcore.volumes import soft_sphere

EDGE = 16
MAP_BYTES = 4 * EDGE**3
ENTRIES = [PairEntry(Path(f"{name}1.mrc"), Path(f"{name}2.mrc")) for name in "abcd"]


def reads(edge: int, names: list[str]) -> Callable[[PairEntry], HalfMapPair]:
    """Return what makes pairs up, and notes their names in order."""

    def load(entry: PairEntry) -> HalfMapPair:
        names.append(entry.half1.name[0])
        generator = torch.Generator().manual_seed(ord(names[-1]))
        half1, half2, signal = (torch.randn((edge,) * 3, generator=generator) for _ in range(3))
        known = signal if names[-1] == "a" else None
        return HalfMapPair(half1, half2, soft_sphere((edge,) * 3, edge / 3, 2), 6.0, edge, known, truth=half1)

    return load


@pytest.fixture
def read(monkeypatch) -> list[str]:
    """The names of what was read, in order; there are no files."""
    names: list[str] = []
    monkeypatch.setattr(stored_pairs, "load_pair", reads(EDGE, names))
    return names


def same(one: HalfMapPair, two: HalfMapPair) -> bool:
    for part in fields(HalfMapPair):
        a, b = getattr(one, part.name), getattr(two, part.name)
        if not (torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b):
            return False
    return True


@pytest.mark.parametrize("turned", [True, False])
@pytest.mark.parametrize("pairs_kept", [10, 2])
def test_what_is_drawn_does_not_depend_on_what_is_kept(read, turned, pairs_kept):
    plain = StoredPairs(ENTRIES, turned)
    keeping = StoredPairs(ENTRIES, turned, PairCache(4 * MAP_BYTES * pairs_kept))
    for seed in range(8):
        one, two = (source(np.random.default_rng(seed)) for source in (plain, keeping))
        assert same(one, two)
        assert one.truth is None
    assert len(plain.cache) == 0


def test_a_pair_is_read_once_while_it_fits(read):
    source = StoredPairs(ENTRIES, cache=PairCache(100 * MAP_BYTES))
    for seed in range(12):
        source(np.random.default_rng(seed))
    assert sorted(read) == ["a", "b", "c", "d"]
    assert source.cache.bytes == (4 + 3 + 3 + 3) * MAP_BYTES  # the signal of one is known


def test_the_bound_is_one_of_bytes_and_what_was_not_used_for_longest_makes_room(read):
    cache = PairCache(7 * MAP_BYTES)
    a, b, c, d = ENTRIES

    def use(entry: PairEntry) -> None:
        cache.get(entry, stored_pairs._as_splines)
        assert cache.bytes <= cache.largest_bytes

    for entry in (a, b, a, c, a, b):
        use(entry)
    # a (4 maps) and b (3) fit; b makes room for c and the other way round, while a is in use.
    assert read == ["a", "b", "c", "b"]
    assert cache.bytes == 7 * MAP_BYTES
    use(c)  # a is the oldest now
    use(d)
    assert read == ["a", "b", "c", "b", "c", "d"]
    assert (len(cache), cache.bytes) == (2, 6 * MAP_BYTES)


def test_a_pair_that_is_larger_than_the_bound_drives_nothing_out(read):
    cache = PairCache(3 * MAP_BYTES)
    a, b = ENTRIES[:2]
    cache.get(b, stored_pairs._as_splines)
    large = cache.get(a, stored_pairs._as_splines)
    assert pair_bytes(large) > cache.largest_bytes
    assert cache.get(b, stored_pairs._as_splines) is not large
    assert read == ["b", "a"]


def test_another_process_begins_with_nothing(read):
    source = StoredPairs(ENTRIES, cache=PairCache(100 * MAP_BYTES))
    source(np.random.default_rng(0))
    sent = pickle.loads(pickle.dumps(source))
    assert (len(sent.cache), sent.cache.bytes, sent.cache.largest_bytes) == (0, 0, 100 * MAP_BYTES)
    assert sent == source


def test_examples_are_the_same_wherever_a_training_begins(monkeypatch):
    """Example i depends on (seed, i) alone: also where other pairs were read before it."""
    monkeypatch.setattr(stored_pairs, "load_pair", reads(66, []))
    blocks = TrainingBlocks(StoredPairs(ENTRIES, cache=PairCache(7 * 4 * 66**3)), seed=3, first_noisy=0)
    running = batches(blocks, 0, 1, workers=0)
    whole = [next(running) for _ in range(3)]
    running.close()
    fresh = TrainingBlocks(StoredPairs(ENTRIES), seed=3, first_noisy=0)
    for ours, alone in zip(whole[2], fresh[2], strict=True):
        assert torch.equal(ours[0], alone)
