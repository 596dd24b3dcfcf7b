"""Pairs from files as a training draws them: read once while there is memory for them, turned each time.

A pair serves many volumes of a training. To read it, bring it onto the network's grid and find its mask and its
splines takes longer than to turn it; so what comes of that is kept, what was used last the longest.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from blushcore.simulation import random_rotation
from blushcore.training.augmentation import HalfMapPair
from blushcore.training.pair_files import PairEntry, load_pair
from blushcore.training.turning import SplinePair, maps_of, spline_pair

KeptPair: TypeAlias = HalfMapPair | SplinePair


class PairCache:
    """Pairs that were read, up to so many bytes; those not used for longest make room.

    Each process has its own: what is sent to another arrives empty, with the same bound.

    Parameters
    ----------
    largest_bytes
        Bound of what is kept; a pair that is larger than that is not kept at all.
    """

    def __init__(self, largest_bytes: int = 0) -> None:
        self.largest_bytes = largest_bytes
        self.bytes = 0
        """Of what is kept now."""
        self._kept: OrderedDict[PairEntry, KeptPair] = OrderedDict()

    def get(self, entry: PairEntry, read: Callable[[PairEntry], KeptPair]) -> KeptPair:
        """Return what `read` makes of an entry, or made of it before."""
        if entry in self._kept:
            self._kept.move_to_end(entry)
            return self._kept[entry]
        pair = read(entry)
        size = pair_bytes(pair)
        if size <= self.largest_bytes:
            while self.bytes + size > self.largest_bytes:
                _, oldest = self._kept.popitem(last=False)
                self.bytes -= pair_bytes(oldest)
            self._kept[entry] = pair
            self.bytes += size
        return pair

    def __len__(self) -> int:
        return len(self._kept)

    def __reduce__(self) -> tuple[type[PairCache], tuple[Any, ...]]:
        return PairCache, (self.largest_bytes,)


def pair_bytes(pair: KeptPair) -> int:
    """Return how much memory a pair takes."""
    maps = maps_of(pair.coefficients if isinstance(pair, SplinePair) else pair)
    return sum(volume.untyped_storage().nbytes() for volume in maps)


@dataclass(frozen=True)
class StoredPairs:
    """Pairs from files: a `PairSource` that draws one of them, and how it lies.

    What is drawn depends on the generator alone, whatever is in the cache; files must not change meanwhile.
    """

    entries: Sequence[PairEntry]
    turned: bool = True
    """Whether each time it lies in another orientation."""
    cache: PairCache = field(default_factory=PairCache, compare=False)
    """By default nothing is kept."""

    def __call__(self, generator: np.random.Generator) -> HalfMapPair:
        """Draw an entry, read it and turn it."""
        entry = self.entries[int(generator.integers(len(self.entries)))]
        pair = self.cache.get(entry, _as_splines if self.turned else _as_it_lies)
        return pair.turned(random_rotation(generator)) if isinstance(pair, SplinePair) else pair


def _as_splines(entry: PairEntry) -> SplinePair:
    return spline_pair(load_pair(entry))


def _as_it_lies(entry: PairEntry) -> HalfMapPair:
    pair = load_pair(entry)
    return HalfMapPair(pair.half1, pair.half2, pair.mask, pair.resolution, pair.diameter, pair.signal)
