"""An endless, reproducible supply of training examples: blocks out of pairs of half-maps."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from blushcore.denoiser.network import BLOCK_SIZE, VOXEL_SIZE_ANGSTROM
from blushcore.simulation import (
    Composition,
    ModelEntry,
    acquisitions,
    compose_particle,
    draw_image_statistics,
    draw_statistics,
    electron_density,
    half_maps_from_images,
    in_solvent,
    particle_mask,
    random_rotation,
    read_structure,
    simulate_half_maps,
)
from blushcore.simulation.structures import atom_positions
from blushcore.training.augmentation import HalfMapPair, PreparedVolume, cut_block, prepare_volume

Example: TypeAlias = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]
"""Block, its local standard deviation, target and mask, float32 64³ each, and the resolution in Å.

Of a batch they are ``(b, 64, 64, 64)`` and ``(b,)``."""
PairSource: TypeAlias = Callable[[np.random.Generator], HalfMapPair]
"""Draws a pair of half-maps; the same state of the generator gives the same pair."""
VolumeKey: TypeAlias = tuple[int, bool]
"""A volume's number in the supply, and whether its targets are noise-free."""

BLOCKS_PER_VOLUME = 12
"""How many examples a volume serves, on average."""
VOLUMES_IN_PLAY = 24
"""From how many successive volumes an example is drawn."""

_VOLUME_STREAM, _BLOCK_STREAM = 0, 1
"""Second word of the seeds, so that nothing random is drawn twice from the same numbers."""


_AS_IT_IS = Composition()


@dataclass(frozen=True)
class SimulatedPairs:
    """Half-maps of atomic models: a `PairSource`."""

    models: Sequence[ModelEntry]
    images_share: float = 0.0
    """Share of the pairs that are reconstructed from images; the others go by the fast route."""
    few_particles: float = 0.0
    """Share of those by the fast route that are as of few particles; see `draw_statistics`."""
    composition: Composition = _AS_IT_IS
    """What happens to the models before: nothing by default, `blushcore.simulation.compose.USUAL` for most."""

    def __call__(self, generator: np.random.Generator) -> HalfMapPair:
        """Draw one of the models and simulate half-maps of it."""
        from_images = self.images_share > 0 and generator.random() < self.images_share
        entry = self.models[int(generator.integers(len(self.models)))]
        return simulate_pair(
            entry,
            generator,
            from_images=from_images,
            composition=self.composition,
            others=self.models,
            few_particles=self.few_particles,
        )


@dataclass(frozen=True)
class MixedPairs:
    """Pairs of one source or another: a `PairSource`."""

    first: PairSource
    second: PairSource
    second_share: float

    def __call__(self, generator: np.random.Generator) -> HalfMapPair:
        """Draw the source, and a pair from it."""
        return (self.second if generator.random() < self.second_share else self.first)(generator)


def simulate_pair(
    entry: ModelEntry,
    generator: np.random.Generator,
    *,
    resolution: float | None = None,
    anisotropy: float = 0.5,
    size_factor: float | None = None,
    from_images: bool = False,
    composition: Composition = _AS_IT_IS,
    others: Sequence[ModelEntry] = (),
    few_particles: float = 0.0,
) -> HalfMapPair:
    """Put a model into a random orientation and make two half-maps of it, at 1.5 Å.

    Parameters
    ----------
    entry
        The model.
    generator
        Source of all that is drawn.
    resolution
        Å; drawn from 3.2 to 11 Å (uniform in its logarithm) when None.
    anisotropy
        Chance of preferred views.
    size_factor
        Box over extent of the particle; 1.3 to 1.8 when None.
    from_images
        Reconstruct them from images, which takes half a minute, instead of the fast route.
    composition, others
        What happens to the model before, and from which models a partner is drawn.
    few_particles
        Chance that the fast route is as of few particles.

    Raises
    ------
    BlushError
        When the model cannot be read.
    """
    density, mask, extent = _draw_particle(entry, generator, size_factor, composition, others)
    if resolution is None:
        resolution = float(np.exp(generator.uniform(np.log(3.2), np.log(11.0))))
    if from_images:
        known = acquisitions()
        uneven = [data_set for data_set in known if data_set.direction_shares is not None]
        choice = uneven if generator.random() < anisotropy else known[:1]
        acquisition = choice[int(generator.integers(len(choice)))]
        if choice is not uneven:
            acquisition = replace(acquisition, direction_shares=None)
        images = draw_image_statistics(resolution, generator)
        halves = half_maps_from_images(density, mask, VOXEL_SIZE_ANGSTROM, acquisition, images, generator)
    else:
        statistics = draw_statistics(resolution, generator, anisotropy=anisotropy, few_particles=few_particles)
        torch_generator = torch.Generator().manual_seed(int(generator.integers(2**63)))
        halves = simulate_half_maps(density, mask, VOXEL_SIZE_ANGSTROM, statistics, torch_generator)
    return HalfMapPair(halves.half1, halves.half2, mask, resolution, extent, halves.signal, density)


def _draw_particle(
    entry: ModelEntry,
    generator: np.random.Generator,
    size_factor: float | None,
    composition: Composition,
    others: Sequence[ModelEntry],
) -> tuple[Tensor, Tensor, float]:
    """Return a model's density in solvent, turned at random, its mask and its extent in Å."""
    if not composition.changes_nothing:
        particle = compose_particle(
            entry,
            others,
            generator,
            composition,
            voxel_size=VOXEL_SIZE_ANGSTROM,
            smallest_box=BLOCK_SIZE + 16,
            size_factor=generator.uniform(1.3, 1.8) if size_factor is None else size_factor,
            relative_b_factors=bool(generator.random() < 0.5),
            solvent_contrast=float(generator.uniform()),
        )
        return particle.density, particle.mask, particle.extent_angstrom
    model = read_structure(entry.path)
    factor = generator.uniform(1.3, 1.8) if size_factor is None else size_factor
    box = max(BLOCK_SIZE + 16, int(entry.extent_angstrom * factor / VOXEL_SIZE_ANGSTROM))
    rotation = random_rotation(generator)
    # The table's extent is along the axes of the file: a rod along a diagonal becomes longer when it is turned.
    turned = float(np.ptp(atom_positions(model) @ rotation.T, axis=0).max())
    box = max(box, math.ceil(turned / VOXEL_SIZE_ANGSTROM) + 4)
    box += box % 2
    density = electron_density(
        model,
        box,
        VOXEL_SIZE_ANGSTROM,
        rotation=rotation,
        relative_b_factors=bool(generator.random() < 0.5),
    )
    mask = particle_mask(density, VOXEL_SIZE_ANGSTROM)
    return in_solvent(density, VOXEL_SIZE_ANGSTROM, float(generator.uniform())), mask, entry.extent_angstrom


@dataclass(frozen=True)
class TrainingBlocks:
    """Examples by number: example `i` depends on (seed, i) alone, so that training resumes where it stopped.

    Each volume serves twelve blocks, drawn from a window of 24 volumes that moves along, so that neighbouring
    examples come from different molecules. Of several lanes, one for each of the processes that share a
    training, each has volumes and examples of its own.
    """

    pairs: PairSource
    seed: int
    first_noisy: int
    """Examples from this one on have the other half as target (noise2noise), those before the signal."""
    lane: int = 0
    lanes: int = 1
    device: torch.device | None = None
    """Where volumes are made and stay, in this process; by default workers make them."""

    def __getitem__(self, index: int) -> Example:
        """Make one example and all it needs; `batches` makes many without doing anything twice."""
        return self.cut(index, self.volume(self.volume_of(index)))

    def volume_of(self, index: int) -> VolumeKey:
        """Return which volume an example is cut out of."""
        return self._begin(index)[1]

    def volume(self, key: VolumeKey) -> PreparedVolume:
        """Make a volume: draw the pair, filter it, add noise."""
        number, clean_targets = key
        generator = np.random.default_rng([self.seed, _VOLUME_STREAM, self._among_all(number)])
        pair = self.pairs(generator)
        if self.device is not None:
            pair = pair.on(self.device)
        return prepare_volume(pair, generator, clean_targets=clean_targets)

    def cut(self, index: int, volume: PreparedVolume) -> Example:
        """Cut an example out of its volume."""
        generator, _ = self._begin(index)
        block = cut_block(volume, generator)
        return block.input, block.local_std, block.target, block.mask, block.resolution

    def is_past(self, key: VolumeKey, index: int) -> bool:
        """Whether no example from `index` on is cut out of a volume."""
        number, clean_targets = key
        return number < index // BLOCKS_PER_VOLUME or (clean_targets and index >= self.first_noisy)

    def _begin(self, index: int) -> tuple[np.random.Generator, VolumeKey]:
        generator = np.random.default_rng([self.seed, _BLOCK_STREAM, self._among_all(index)])
        number = index // BLOCKS_PER_VOLUME + int(generator.integers(VOLUMES_IN_PLAY))
        return generator, (number, index < self.first_noisy)

    def _among_all(self, number: int) -> int:
        """Return the number of this lane's volume or example among those of all lanes."""
        return number * self.lanes + self.lane
