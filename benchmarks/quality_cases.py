"""The cases of denoiser_quality.py: a model, a resolution, an anisotropy and a route to half-maps."""

from __future__ import annotations

import shutil
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from blushcore.denoiser.network import BLOCK_SIZE, VOXEL_SIZE_ANGSTROM
from blushcore.simulation import (
    Composition,
    ModelEntry,
    PreferredView,
    acquisitions,
    compose_particle,
    draw_image_statistics,
    draw_statistics,
    half_maps_from_images,
    simulate_half_maps,
)
from blushcore.training.augmentation import HalfMapPair
from blushcore.training.pair_files import load_pair, read_pairs, save_pair
from blushcore.training.samples import simulate_pair

PROTOCOL = 2
"""To be raised when cases change: results of another protocol are not mixed in."""
ROUTES = ("fast", "images")
ANISOTROPIES = {"even": (0.0, 0.0), "uneven": (5.0, 4.0), "one view": (15.0, 15.0)}
"""Concentration κ and weight of a cluster of views beside uniform ones of weight 1."""
DRAWN = "drawn"
"""In place of an anisotropy: views are drawn as in training, uniform or in up to three clusters."""
BOX_OVER_EXTENT = 1.5
SMALLEST_BOX = BLOCK_SIZE + 16


@dataclass(frozen=True)
class Case:
    """One pair of half-maps. Seed and case alone decide it, so that every set of weights gets the same."""

    entry: ModelEntry
    resolution: float
    anisotropy: str = "even"
    route: str = "fast"
    seed: int = 0

    @property
    def name(self) -> str:
        """What its files are called."""
        views = self.anisotropy.replace(" ", "-")
        return f"{self.entry.name}-{self.resolution:g}A-{views}-{self.route}-{self.seed}"

    def generator(self) -> np.random.Generator:
        """Source of all that is drawn for it."""
        words = [self.seed, zlib.crc32(self.entry.name.encode()), round(1000 * self.resolution)]
        if self.anisotropy != DRAWN:
            words.append(list(ANISOTROPIES).index(self.anisotropy))
        return np.random.default_rng(words)


def all_cases(
    entries: Sequence[ModelEntry],
    resolutions: Sequence[float],
    by_images: Sequence[ModelEntry],
    seed: int,
    views: Sequence[str] = tuple(ANISOTROPIES),
) -> list[Case]:
    """Return every model at every resolution and anisotropy by the fast route, and some by way of images."""
    return [
        Case(entry, resolution, anisotropy, route, seed)
        for route, models in zip(ROUTES, (entries, by_images), strict=True)
        for entry in models
        for resolution in resolutions
        for anisotropy in views
    ]


def box_of(entry: ModelEntry) -> int:
    """Return about how large the box will be."""
    return max(SMALLEST_BOX, int(entry.extent_angstrom * BOX_OVER_EXTENT / VOXEL_SIZE_ANGSTROM) + 1)


def spread(entries: Sequence[ModelEntry], count: int) -> list[ModelEntry]:
    """Return so many of them, evenly spread."""
    if count >= len(entries):
        return list(entries)
    return [entries[round(i)] for i in np.linspace(0, len(entries) - 1, count)] if count else []


@lru_cache(maxsize=2)
def pair_of(case: Case, kept: Path | None = None) -> HalfMapPair:
    """Make a case's half-maps, or read them: those by way of images take long and are kept."""
    folder = kept / case.name if kept and case.route == "images" else None
    if folder and (folder / "pairs.tsv").is_file():
        return load_pair(read_pairs(folder)[0])
    pair = _make(case)
    if folder:
        shutil.rmtree(folder, ignore_errors=True)  # what a killed run left
        save_pair(folder, "pair", pair, "test")
    return pair


def views_of(case: Case, generator: np.random.Generator) -> tuple[PreferredView, ...]:
    """Draw the axis of a case's preferred views."""
    concentration, weight = ANISOTROPIES[case.anisotropy]
    x, y, z = generator.normal(size=3)
    norm = float(np.sqrt(x * x + y * y + z * z))
    return (PreferredView((x / norm, y / norm, z / norm), concentration, weight),) if weight else ()


def _make(case: Case) -> HalfMapPair:
    generator = case.generator()
    if case.anisotropy == DRAWN:
        pair = simulate_pair(
            case.entry,
            generator,
            resolution=case.resolution,
            size_factor=BOX_OVER_EXTENT,
            from_images=case.route == "images",
        )
        return replace(pair, diameter=diameter_of(pair.mask))
    particle = compose_particle(
        case.entry,
        (),
        generator,
        Composition(),
        voxel_size=VOXEL_SIZE_ANGSTROM,
        smallest_box=SMALLEST_BOX,
        size_factor=BOX_OVER_EXTENT,
        relative_b_factors=bool(generator.random() < 0.5),
        solvent_contrast=float(generator.uniform()),
    )
    views, density, mask = views_of(case, generator), particle.density, particle.mask
    if case.route == "images":
        known = acquisitions()
        acquisition = known[int(generator.integers(len(known)))]
        images = replace(draw_image_statistics(case.resolution, generator), views=views)
        halves = half_maps_from_images(density, mask, VOXEL_SIZE_ANGSTROM, acquisition, images, generator)
    else:
        statistics = replace(draw_statistics(case.resolution, generator, anisotropy=0.0), views=views)
        noise = torch.Generator().manual_seed(int(generator.integers(2**63)))
        halves = simulate_half_maps(density, mask, VOXEL_SIZE_ANGSTROM, statistics, noise)
    diameter = diameter_of(mask)
    return HalfMapPair(halves.half1, halves.half2, mask, case.resolution, diameter, halves.signal, density)


def diameter_of(mask: torch.Tensor) -> float:
    """Diameter (Å) of the sphere about the centre that holds the particle: what a user would give."""
    offsets = (mask > 0.5).nonzero() - torch.tensor([n // 2 for n in mask.shape])
    return 2 * float(offsets.double().norm(dim=1).max()) * VOXEL_SIZE_ANGSTROM
