"""An endless, reproducible supply of training examples from atomic models."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from blushcore.denoiser.network import BLOCK_SIZE, VOXEL_SIZE_ANGSTROM
from blushcore.simulation import (
    draw_statistics,
    electron_density,
    in_solvent,
    particle_mask,
    read_structure,
    simulate_half_maps,
)
from blushcore.training.augmentation import (
    HalfMapPair,
    PreparedVolume,
    _random_rotation,
    cut_block,
    prepare_volume,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from blushcore.simulation import ModelEntry

_BLOCKS_PER_VOLUME = 12
_VOLUMES_IN_PLAY = 24


def simulate_pair(
    entry: ModelEntry,
    generator: np.random.Generator,
    *,
    resolution: float | None = None,
    anisotropy: float = 0.5,
    size_factor: float | None = None,
) -> HalfMapPair:
    """Draw a model in a random orientation and make two half-maps of it by the fast route, at 1.5 Å.

    Parameters
    ----------
    resolution
        Å; drawn from 3.2 to 11 Å (uniform in its logarithm) when None.
    anisotropy
        Chance of preferred views.
    size_factor
        Box over extent of the particle; 1.3 to 1.8 when None.
    """
    model = read_structure(entry.path)
    factor = generator.uniform(1.3, 1.8) if size_factor is None else size_factor
    box = max(BLOCK_SIZE + 16, int(entry.extent_angstrom * factor / VOXEL_SIZE_ANGSTROM))
    box += box % 2
    density = electron_density(
        model,
        box,
        VOXEL_SIZE_ANGSTROM,
        rotation=_random_rotation(generator),
        relative_b_factors=bool(generator.random() < 0.5),
    )
    mask = particle_mask(density, VOXEL_SIZE_ANGSTROM)
    density = in_solvent(density, VOXEL_SIZE_ANGSTROM, float(generator.uniform()))
    if resolution is None:
        resolution = float(np.exp(generator.uniform(np.log(3.2), np.log(11.0))))
    statistics = draw_statistics(resolution, generator, anisotropy=anisotropy)
    torch_generator = torch.Generator().manual_seed(int(generator.integers(2**63)))
    halves = simulate_half_maps(density, mask, VOXEL_SIZE_ANGSTROM, statistics, torch_generator)
    return HalfMapPair(halves.half1, halves.half2, mask, resolution, entry.extent_angstrom, halves.signal)


class SimulatedBlocks(Dataset[tuple[Tensor, Tensor, Tensor, Tensor]]):
    """Example `i` depends on (seed, i) alone, whichever came before it: training resumes where it stopped.

    Each simulated volume serves twelve blocks, drawn from a window of 24 volumes that moves along, so that neighbouring
    examples come from different molecules. Volumes in the window are kept.

    Parameters
    ----------
    first_noisy
        Examples from this one on have the other half as target (noise2noise), those before the signal.
    """

    def __init__(self, models: Sequence[ModelEntry], seed: int, first_noisy: int) -> None:
        self.models = models
        self.seed = seed
        self.first_noisy = first_noisy
        self._volumes: OrderedDict[tuple[int, bool], PreparedVolume] = OrderedDict()

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        generator = np.random.default_rng([self.seed, 1, index])
        volume_index = index // _BLOCKS_PER_VOLUME + int(generator.integers(_VOLUMES_IN_PLAY))
        block = cut_block(self._volume(volume_index, index < self.first_noisy), generator)
        return block.input, block.local_std, block.target, block.mask

    def _volume(self, index: int, clean_targets: bool) -> PreparedVolume:
        key = (index, clean_targets)
        if key not in self._volumes:
            generator = np.random.default_rng([self.seed, 0, index])
            entry = self.models[generator.integers(len(self.models))]
            self._volumes[key] = prepare_volume(
                simulate_pair(entry, generator), generator, clean_targets=clean_targets
            )
            while len(self._volumes) > _VOLUMES_IN_PLAY + 1:
                self._volumes.popitem(last=False)
        return self._volumes[key]
