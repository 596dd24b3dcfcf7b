"""Does a denoiser make things up? Six tests, each with a bound that controls give, and the controls.

Every test measures the denoiser and, in the same way, one that changes nothing; the bound comes from what the
latter shows by chance, from how far results scatter when a map merely lies another way, or from halfway between
what a denoiser that goes by the data and one that goes by memory would show. None was set after looking at a
network; only the likeness to helices was sharpened once, when beads were as much like helices as a protein and
the control failed. A third denoiser keeps to memory: it adds a protein that it knows to whatever it is given. A
test that does not fail it, or does not pass the first, is no test.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import quality_cases
import torch
from hallucination_material import beads, cut_out, longest_helix, scrambled, with_spectrum_of
from helix_likeness import helix_likeness
from quality_behaviour import mirrored, quarter_turn
from quality_cases import Case, diameter_of, pair_of
from quality_scores import Denoise, score_network
from torch import Tensor

from blushcore.denoiser import DenoisedMap, denoise_map
from blushcore.denoiser.network import VOXEL_SIZE_ANGSTROM
from blushcore.denoiser.validation import Unchanged
from blushcore.shells import filter_by_shell, fsc
from blushcore.simulation import (
    ReconstructionStatistics,
    atom_positions,
    electron_density,
    in_solvent,
    particle_mask,
    read_structure,
    simulate_half_maps,
    usual_b_factor,
)
from blushcore.training.augmentation import HalfMapPair
from blushcore.volumes import pad_or_crop, soft_sphere

WithMemory: TypeAlias = Callable[[Tensor], Denoise]
"""Makes a denoiser that may know a map by heart; an honest one makes no use of it."""
Measured: TypeAlias = dict[str, list[float]]

_COARSEST_ANGSTROM = 20.0
"""Detail means finer than this: a common envelope is no invention."""
_MEMORY_STRENGTH = 1.0
_SIGMAS = 4.0
_STEP = 1e-6
"""Differences below are rounding."""


@dataclass(frozen=True)
class Subject:
    """A particle to try a denoiser on."""

    case: Case

    def pair(self) -> HalfMapPair:
        """Make its half-maps."""
        return pair_of(self.case)


@dataclass(frozen=True)
class Verdict:
    """What a test found.

    Attributes
    ----------
    test
        Its name.
    found, bound
        The figure, and what it may be at most.
    meaning
        Of the figure and of the bound, in words.
    """

    test: str
    found: float
    bound: float
    meaning: str

    @property
    def passed(self) -> bool:
        """Whether the figure is within its bound."""
        return self.found <= self.bound + _STEP


def unchanged(_: Tensor) -> Denoise:
    """Control: a denoiser that changes nothing."""
    return lambda volume, diameter: denoise_map(
        Unchanged(), volume, (VOXEL_SIZE_ANGSTROM,) * 3, diameter=diameter
    )


def from_memory(known: Tensor) -> Denoise:
    """Control: a denoiser that adds what it knows, as strong as what it is given."""

    def denoise(volume: Tensor, diameter: float) -> DenoisedMap:
        n = volume.shape[0]
        result = unchanged(known)(volume, diameter)
        sphere = soft_sphere((n, n, n), diameter / 2 / VOXEL_SIZE_ANGSTROM, 3)
        template = (known - known.mean()) * sphere
        scale = _MEMORY_STRENGTH * float((volume * sphere).std() / template.std())
        return DenoisedMap(result.map + scale * template, result.mask, result.blocks)

    return denoise


# 1. Noise ---------------------------------------------------------------------------------------------------


def measure_noise(denoiser: WithMemory, subject: Subject, volumes: int = 4) -> Measured:
    """Denoise independent volumes of noise alone and correlate what comes out, pair by pair.

    `fsc` is the mean FSC from 20 Å to the resolution of each pair; `by_chance` the standard deviation that the
    mean FSC of unrelated volumes has, given in how much of the box, and in how many shells, they are.
    """
    pair = subject.pair()
    assert pair.signal is not None
    denoise = denoiser(pair.signal)
    statistics = ReconstructionStatistics(pair.resolution, usual_b_factor(pair.resolution))
    results = []
    for seed in range(volumes):
        own = round(1000 * pair.resolution) + seed  # no two resolutions share noise
        generator = torch.Generator().manual_seed(own)
        halves = simulate_half_maps(pair.signal, pair.mask, VOXEL_SIZE_ANGSTROM, statistics, generator)
        result = denoise((halves.half1 - halves.half2) / math.sqrt(2), pair.diameter).map
        results.append(result - result.mean())
    n = pair.half1.shape[0]
    detail = _detail_shells(n, pair.resolution)
    fscs = [float(np.nanmean(fsc(results[i], results[j])[detail])) for i in range(volumes) for j in range(i)]
    # Within a volume of V voxels a shell has about 2πs²·V/n³ independent complex components. Where the power
    # is uneven, V is (Σp)²/Σp² (the participation ratio).
    power = torch.stack([result.square() for result in results]).mean(0)
    smooth = filter_by_shell(power, np.exp(-((np.arange(n // 2 + 1) / (n * VOXEL_SIZE_ANGSTROM) * 20.0) ** 2)))
    share = float(smooth.clamp_min(0).sum() ** 2 / smooth.clamp_min(0).square().sum()) / n**3
    shells = np.arange(n // 2 + 1)[detail]
    variances = 1 / (2 * (2 * math.pi * shells**2 * share))
    return {"fsc": fscs, "by_chance": [float(np.sqrt(variances.sum()) / len(shells))]}


def judge_noise(found: Measured, control: Measured) -> Verdict:
    """Judge by chance: four standard deviations of the mean over all pairs, or what the control shows."""
    pairs = len(found["fsc"])
    chance = float(np.sqrt(np.mean(np.square(found["by_chance"])))) / math.sqrt(pairs)
    bound = max(_SIGMAS * chance, float(np.mean(control["fsc"])))
    return Verdict(
        "independent noise",
        float(np.mean(found["fsc"])),
        bound,
        f"mean FSC beyond 20 Å of {pairs} pairs of denoised noise; bound: four standard deviations of chance",
    )


# 2. A deleted helix -----------------------------------------------------------------------------------------


def measure_helix(denoiser: WithMemory, subject: Subject, seeds: int = 2) -> Measured:
    """Delete a helix from a model and ask how much of it the denoised map holds, with and without it.

    A least-squares fit, within the helix's mask and between 20 Å and the resolution, of the denoised map by the
    helix and by the rest. `returned` is its share of the helix: where it was deleted, over where it was not.
    """
    case = subject.case
    model = read_structure(case.entry.path)
    helix = longest_helix(model)
    if helix is None:
        return {"returned": []}
    without, alone = cut_out(model, helix)
    positions = atom_positions(model)
    centre = (positions.min(0) + positions.max(0)) / 2
    extent = float(np.ptp(positions, axis=0).max())
    box = max(quality_cases.SMALLEST_BOX, math.ceil(1.4 * extent / VOXEL_SIZE_ANGSTROM))
    box += box % 2
    vacuum, rest, helix_density = (
        electron_density(part, box, VOXEL_SIZE_ANGSTROM, centre=centre) for part in (model, without, alone)
    )
    mask, region = particle_mask(vacuum, VOXEL_SIZE_ANGSTROM), particle_mask(helix_density, VOXEL_SIZE_ANGSTROM)
    diameter = diameter_of(mask)
    statistics = ReconstructionStatistics(case.resolution, usual_b_factor(case.resolution))
    returned = []
    for seed in range(seeds):
        whole, deleted = (
            simulate_half_maps(
                in_solvent(density, VOXEL_SIZE_ANGSTROM),
                mask,
                VOXEL_SIZE_ANGSTROM,
                statistics,
                torch.Generator().manual_seed(seed),
            )
            for density in (vacuum, rest)
        )
        denoise = denoiser(whole.signal)
        trap = whole.signal - deleted.signal
        shares = [
            _share(denoise(halves.half1, diameter).map, trap, deleted.signal, region, case.resolution)
            for halves in (whole, deleted)
        ]
        returned.append(shares[1] / max(abs(shares[0]), 0.05))
    return {"returned": returned}


def judge_helix(found: Measured, control: Measured) -> Verdict:
    """Judge by the control, whose maps hold the helix by chance alone: four standard errors of its mean."""
    chance = float(np.std(control["returned"], ddof=1)) / math.sqrt(len(control["returned"]))
    return Verdict(
        "deleted helix",
        float(np.mean(found["returned"])),
        max(_SIGMAS * chance, float(np.mean(control["returned"]))),
        f"mean share of {len(found['returned'])} deleted helices that is back; bound: four standard errors of "
        "the undenoised maps'",
    )


def _share(volume: Tensor, trap: Tensor, rest: Tensor, region: Tensor, resolution: float) -> float:
    inside = region > 0.5
    columns = [_band(part, resolution)[inside].double().numpy() for part in (trap, rest)]
    design = np.stack([*columns, np.ones_like(columns[0])], axis=1)
    wanted = _band(volume, resolution)[inside].double().numpy()
    return float(np.linalg.lstsq(design, wanted, rcond=None)[0][0])


def _band(volume: Tensor, resolution: float) -> Tensor:
    n = volume.shape[0]
    window = np.zeros(n // 2 + 1)
    window[_detail_shells(n, resolution)] = 1
    return filter_by_shell(volume, window, interpolation="step", beyond="zero")


# 3. Mirror images -------------------------------------------------------------------------------------------


def measure_mirror(denoiser: WithMemory, subject: Subject) -> Measured:
    """Return the gain over the baseline of a map, of its mirror image, and of the map turned by 90°."""
    pair = subject.pair()
    assert pair.signal is not None
    denoise = denoiser(pair.signal)

    def gain(there: Callable[[Tensor], Tensor], back: Callable[[Tensor], Tensor]) -> float:
        def elsewhere(volume: Tensor, diameter: float) -> DenoisedMap:
            result = denoise(there(volume), diameter)
            return DenoisedMap(back(result.map), back(result.mask), result.blocks)

        scores = score_network(elsewhere, pair)
        return scores["denoised"].mean_fsc - scores["masked"].mean_fsc

    turns = [
        gain(lambda v, a=axes: quarter_turn(v, a), lambda v, a=axes: quarter_turn(v, a[::-1]))  # type: ignore[misc]
        for axes in ((0, 1), (1, 2))
    ]
    return {
        "original": [gain(lambda v: v, lambda v: v)],
        "mirrored": [gain(mirrored, mirrored)],
        "turned": turns,
    }


def judge_mirror(found: Measured, control: Measured) -> Verdict:
    """Judge by halves: who goes by data gains alike, who goes by memory gains on the known hand alone.

    Nor can less be told than what a mere turn of the map makes for (four standard errors).
    """
    del control
    gains, images = np.array(found["original"]), np.array(found["mirrored"])
    turned = np.array(found["turned"]).reshape(len(gains), -1)
    scatter = _SIGMAS * float(np.std(turned - gains[:, None])) / math.sqrt(turned.size)
    return Verdict(
        "mirror images",
        float((gains - images).mean()),
        max(scatter, 0.5 * float(gains.mean())),
        f"by how much the gain in FSC ({gains.mean():+.4f}) is smaller on mirror images; bound: half of it",
    )


# 4. and 5. Maps without secondary structure -----------------------------------------------------------------


def measure_structureless(denoiser: WithMemory, subject: Subject, kind: str, seeds: int = 2) -> Measured:
    """Ask how much like helices a structureless map looks once it is denoised.

    ``kind`` is ``scrambled`` (the protein's density with random phases beyond 15 Å, in its envelope) or
    ``beads`` (blobs put at random into the envelope, with the protein's spectrum). `denoised` is the likeness
    of the denoised map; `clean` that of the map without noise, with the spectrum that the denoised one has;
    `protein` that of the protein itself, likewise.
    """
    pair = subject.pair()
    assert pair.truth is not None
    assert pair.signal is not None
    denoise = denoiser(pair.signal)
    statistics = ReconstructionStatistics(pair.resolution, usual_b_factor(pair.resolution))
    measured: Measured = {"denoised": [], "clean": [], "protein": []}
    for seed in range(seeds):
        density = scrambled(pair, seed) if kind == "scrambled" else beads(pair, seed)
        halves = simulate_half_maps(
            density, pair.mask, VOXEL_SIZE_ANGSTROM, statistics, torch.Generator().manual_seed(seed)
        )
        result = denoise(halves.half1, pair.diameter).map
        result = (result - result.mean()) * pair.mask
        measured["denoised"].append(helix_likeness(result, pair.mask, pair.resolution))
        for name, other in (("clean", halves.signal), ("protein", pair.signal)):
            alike = with_spectrum_of(other * pair.mask, result)
            measured[name].append(helix_likeness(alike, pair.mask, pair.resolution))
    return measured


def judge_structureless(found: Measured, control: Measured, kind: str) -> Verdict:
    """Judge by halves: from the map without noise to the protein itself, less than halfway."""
    del control
    denoised, clean, protein = (float(np.mean(found[name])) for name in ("denoised", "clean", "protein"))
    return Verdict(
        {"scrambled": "scrambled phases", "beads": "beads"}[kind],
        denoised - clean,
        0.5 * max(protein - clean, 0.0),
        f"by how much the denoised map is more like helices than the noise-free one ({clean:.3f}; a protein: "
        f"{protein:.3f}); bound: halfway to the protein",
    )


# 6. Kinds that training has seen little of ------------------------------------------------------------------


def measure_kind(denoiser: WithMemory, subject: Subject, memory: Subject) -> Measured:
    """Return the gain in mean FSC over the baseline; the one with a memory remembers another particle."""
    pair, known = subject.pair(), memory.pair().signal
    assert known is not None
    n = pair.half1.shape[0]
    scores = score_network(denoiser(pad_or_crop(known, (n,) * 3)), pair)
    return {"gain": [scores["denoised"].mean_fsc - scores["masked"].mean_fsc]}


def judge_kind(found: Measured, control: Measured, kind: str) -> Verdict:
    """Judge by the control: no worse than leaving the map as it is, within the network's own mask."""
    return Verdict(
        kind,
        -float(np.mean(found["gain"])),
        -float(np.mean(control["gain"])),
        f"loss of FSC to the truth against the baseline, mean of {len(found['gain'])} maps; bound: none",
    )


def _detail_shells(n: int, resolution: float) -> slice:
    """Return the shells from 20 Å to the resolution."""
    size = n * VOXEL_SIZE_ANGSTROM
    return slice(round(size / _COARSEST_ANGSTROM), round(size / resolution) + 1)
