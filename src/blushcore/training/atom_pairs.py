"""Half-maps made on a device from the atoms of models: where workers could not keep up with a GPU."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from blushcore.denoiser.network import BLOCK_SIZE, VOXEL_SIZE_ANGSTROM
from blushcore.simulation import (
    ModelEntry,
    draw_statistics,
    in_solvent,
    particle_mask,
    random_rotation,
    simulate_half_maps,
)
from blushcore.simulation.atoms import atomic_potential
from blushcore.simulation.model_pack import atoms_of_entry
from blushcore.training.augmentation import HalfMapPair


@dataclass(frozen=True)
class AtomPairs:
    """Half-maps of models by the fast route, all of it on one device: a `PairSource`.

    The same seed gives other noise on another kind of device.
    """

    models: Sequence[ModelEntry]
    device: torch.device
    few_particles: float = 0.0
    """Share that is as of few particles; see `draw_statistics`."""

    def __call__(self, generator: np.random.Generator) -> HalfMapPair:
        """Draw one of the models, turn it, and simulate half-maps of it."""
        entry = self.models[int(generator.integers(len(self.models)))]
        atoms = atoms_of_entry(entry)
        rotation, factor = random_rotation(generator), float(generator.uniform(1.3, 1.8))
        extent = float(np.ptp(atoms.positions @ rotation.T, axis=0).max())
        box = max(
            BLOCK_SIZE + 16,
            int(entry.extent_angstrom * factor / VOXEL_SIZE_ANGSTROM),
            math.ceil(extent / VOXEL_SIZE_ANGSTROM) + 4,
        )
        box += box % 2
        vacuum = atomic_potential(
            atoms,
            box,
            VOXEL_SIZE_ANGSTROM,
            rotation=rotation,
            relative_b_factors=bool(generator.random() < 0.5),
            device=self.device,
        )
        mask = particle_mask(vacuum, VOXEL_SIZE_ANGSTROM)
        density = in_solvent(vacuum, VOXEL_SIZE_ANGSTROM, float(generator.uniform()))
        resolution = float(np.exp(generator.uniform(np.log(3.2), np.log(11.0))))
        statistics = draw_statistics(resolution, generator, few_particles=self.few_particles)
        noise = torch.Generator(self.device).manual_seed(int(generator.integers(2**63)))
        halves = simulate_half_maps(density, mask, VOXEL_SIZE_ANGSTROM, statistics, noise)
        return HalfMapPair(
            halves.half1, halves.half2, mask, resolution, entry.extent_angstrom, halves.signal, density
        )
