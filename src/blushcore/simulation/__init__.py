"""Atoms to densities to half-maps."""

from blushcore.simulation.density import electron_density, in_solvent, particle_mask
from blushcore.simulation.half_maps import (
    HalfMaps,
    PreferredView,
    ReconstructionStatistics,
    draw_statistics,
    simulate_half_maps,
)
from blushcore.simulation.structures import ModelEntry, read_model_table, read_structure

__all__ = [
    "HalfMaps",
    "ModelEntry",
    "PreferredView",
    "ReconstructionStatistics",
    "draw_statistics",
    "electron_density",
    "in_solvent",
    "particle_mask",
    "read_model_table",
    "read_structure",
    "simulate_half_maps",
]
