"""One pair of half-maps in two parts that share no voxel: one to train on, one to judge by.

The parts lie on either side of a plane across z, with a gap between them. A block belongs to one of them as a
whole, its margins included; so that thin parts have whole blocks too, volumes are continued with zeros along z,
which is what lies beyond the particle's sphere anyway.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own convention

from blushcore.denoiser.network import BLOCK_SIZE
from blushcore.protocol import BlushError
from blushcore.training.augmentation import CUBE_ROTATIONS, Block, HalfMapPair, PreparedVolume, block_at
from blushcore.training.augmentation import prepare_volume as prepare
from blushcore.training.samples import BLOCKS_PER_VOLUME, Example, TrainingBlocks, VolumeKey

_GAP = 8
"""Voxels (12 Å) between the parts: noise is alike over a few voxels."""
_VOLUMES_IN_PLAY = 3
"""Volumes of one pair differ in filters and added noise only."""
_LEAST_PARTICLE = 0.05
_TRIES = 50
_THINNED = 4
"""Every fourth voxel along each axis says well enough how much of the particle a block holds."""
_HELD_OUT_SEED = 11


@dataclass(frozen=True)
class Parts:
    """Where blocks may begin along z, in a volume continued by a block at both ends.

    Attributes
    ----------
    last_trained
        Blocks to train on begin at 0 up to here.
    first_held_out, last_held_out
        Blocks to judge by begin from here up to there.
    """

    last_trained: int
    first_held_out: int
    last_held_out: int


def split_in_parts(mask: Tensor, held_out_share: float) -> Parts:
    """Put the plane where a share of the particle lies beyond it.

    Parameters
    ----------
    mask
        Where the particle is, ``(z, y, x)``, 0 to 1.
    held_out_share
        Of the mask's sum.

    Raises
    ------
    BlushError
        When the mask is empty.
    """
    profile = mask.double().sum(dim=(1, 2))
    total = float(profile.sum())
    if total <= 0:
        raise BlushError("The mask is empty.", "Give another.")
    cumulated = profile.cumsum(0)
    plane = int((cumulated < (1 - held_out_share) * total).sum()) + BLOCK_SIZE  # of the continued volume
    plane = min(max(plane, BLOCK_SIZE + _GAP), BLOCK_SIZE + len(profile) - _GAP)
    return Parts(plane - _GAP // 2 - BLOCK_SIZE, plane + _GAP // 2, len(profile) + BLOCK_SIZE)


def continued(volume: PreparedVolume) -> PreparedVolume:
    """Continue a volume with zeros by a block at both ends of z."""
    ends = (0, 0, 0, 0, BLOCK_SIZE, BLOCK_SIZE)
    names = [field.name for field in fields(PreparedVolume) if field.name != "resolution"]
    return replace(volume, **{name: F.pad(getattr(volume, name), ends) for name in names})


@dataclass(frozen=True)
class OnePair:
    """The same pair of half-maps each time: a `PairSource`."""

    pair: HalfMapPair

    def __call__(self, generator: np.random.Generator) -> HalfMapPair:  # noqa: ARG002 - as others draw
        """Return the pair."""
        return self.pair


@dataclass(frozen=True)
class TrainedPart(TrainingBlocks):
    """Examples from the part of one pair that is trained on, all with the other half as their target."""

    parts: Parts = Parts(0, 0, 0)

    def volume(self, key: VolumeKey) -> PreparedVolume:
        """Filter the pair, add noise, and continue it along z."""
        return continued(super().volume(key))

    def cut(self, index: int, volume: PreparedVolume) -> Example:
        """Cut an example out of the part."""
        generator, _ = self._begin(index)
        origin = _draw_origin(volume, generator, 0, self.parts.last_trained)
        turn = int(generator.integers(len(CUBE_ROTATIONS)))
        return as_example(block_at(volume, origin, int(generator.integers(2)), turn))

    def _begin(self, index: int) -> tuple[np.random.Generator, VolumeKey]:
        generator = np.random.default_rng([self.seed, 1, index])
        return generator, (index // BLOCKS_PER_VOLUME + int(generator.integers(_VOLUMES_IN_PLAY)), False)


def held_out_blocks(pair: HalfMapPair, parts: Parts, count: int) -> list[Example]:
    """Cut the blocks to judge by: always the same, of both directions, with the other half as their target."""
    generator = np.random.default_rng(_HELD_OUT_SEED)
    volume = continued(prepare(pair, generator, clean_targets=False))
    examples = []
    for number in range(count):
        if number % 2 == 0:
            origin = _draw_origin(volume, generator, parts.first_held_out, parts.last_held_out)
        examples.append(as_example(block_at(volume, origin, number % 2)))
    return examples


def as_example(block: Block) -> Example:
    """Return a block as training takes it."""
    return block.input, block.local_std, block.target, block.mask, block.resolution


def _draw_origin(
    volume: PreparedVolume, generator: np.random.Generator, first: int, last: int
) -> tuple[int, int, int]:
    """Draw where a block begins, so that it holds some of the particle; the best of many where none does."""
    n = volume.mask.shape[-1]
    best, found = (0, 0, 0), -1.0
    for _ in range(_TRIES):
        z = int(generator.integers(first, last + 1))
        y, x = (int(place) for place in generator.integers(0, n - BLOCK_SIZE + 1, 2))
        window = tuple(slice(at, at + BLOCK_SIZE, _THINNED) for at in (z, y, x))
        share = float(volume.mask[window].float().mean())
        if share > found:
            best, found = (z, y, x), share
        if found >= _LEAST_PARTICLE:
            break
    return best
