"""Atoms to densities to half-maps."""

from blushcore.simulation.density import electron_density, in_solvent, particle_mask
from blushcore.simulation.half_maps import (
    HalfMaps,
    PreferredView,
    ReconstructionStatistics,
    draw_statistics,
    simulate_half_maps,
    usual_b_factor,
)
from blushcore.simulation.rotations import random_rotation
from blushcore.simulation.structures import ModelEntry, atom_positions, read_model_table, read_structure

__all__ = [
    "HalfMaps",
    "ModelEntry",
    "PreferredView",
    "ReconstructionStatistics",
    "atom_positions",
    "draw_statistics",
    "electron_density",
    "in_solvent",
    "particle_mask",
    "random_rotation",
    "read_model_table",
    "read_structure",
    "simulate_half_maps",
    "usual_b_factor",
]
