"""Atoms to densities to half-maps and particle sets.

The names are imported on first use: most of them bring torch along.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from blushcore.simulation.acquisition import Acquisition, acquisitions
    from blushcore.simulation.compose import ComposedParticle, Composition, compose_particle
    from blushcore.simulation.density import electron_density, in_solvent, particle_mask
    from blushcore.simulation.half_maps import (
        HalfMaps,
        ReconstructionStatistics,
        draw_statistics,
        simulate_half_maps,
        usual_b_factor,
    )
    from blushcore.simulation.image_route import ImageStatistics, draw_image_statistics, half_maps_from_images
    from blushcore.simulation.particle_draws import ParticleDraws, draw_particles
    from blushcore.simulation.rotations import random_rotation
    from blushcore.simulation.stack_file import StackWriter
    from blushcore.simulation.structures import ModelEntry, atom_positions, read_model_table, read_structure
    from blushcore.simulation.truths import MapTruth, ModelTruth, is_map, open_truth, usual_box
    from blushcore.simulation.views import PreferredView

_MODULES = {
    "acquisition": ("Acquisition", "acquisitions"),
    "compose": ("ComposedParticle", "Composition", "compose_particle"),
    "density": ("electron_density", "in_solvent", "particle_mask"),
    "half_maps": (
        "HalfMaps",
        "ReconstructionStatistics",
        "draw_statistics",
        "simulate_half_maps",
        "usual_b_factor",
    ),
    "image_route": ("ImageStatistics", "draw_image_statistics", "half_maps_from_images"),
    "particle_draws": ("ParticleDraws", "draw_particles"),
    "rotations": ("random_rotation",),
    "stack_file": ("StackWriter",),
    "structures": ("ModelEntry", "atom_positions", "read_model_table", "read_structure"),
    "truths": ("MapTruth", "ModelTruth", "is_map", "open_truth", "usual_box"),
    "views": ("PreferredView",),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "Acquisition",
    "ComposedParticle",
    "Composition",
    "HalfMaps",
    "ImageStatistics",
    "MapTruth",
    "ModelEntry",
    "ModelTruth",
    "ParticleDraws",
    "PreferredView",
    "ReconstructionStatistics",
    "StackWriter",
    "acquisitions",
    "atom_positions",
    "compose_particle",
    "draw_image_statistics",
    "draw_particles",
    "draw_statistics",
    "electron_density",
    "half_maps_from_images",
    "in_solvent",
    "is_map",
    "open_truth",
    "particle_mask",
    "random_rotation",
    "read_model_table",
    "read_structure",
    "simulate_half_maps",
    "usual_b_factor",
    "usual_box",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
