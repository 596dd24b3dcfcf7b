"""What the tests of hallucination are made of: helices cut out of models, and density without structure."""

from __future__ import annotations

from collections.abc import Sequence

import gemmi
import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from blushcore.denoiser.network import VOXEL_SIZE_ANGSTROM
from blushcore.shells import filter_by_shell, power_spectrum, randomise_phases
from blushcore.training.augmentation import HalfMapPair

_LONGEST_HELIX, _SHORTEST_HELIX = 24, 11
_ENVELOPE_ANGSTROM = 15.0
"""What is coarser keeps its phases when a density is scrambled."""


def longest_helix(model: gemmi.Model) -> list[tuple[str, str]] | None:
    """Find the longest α-helix of at most 24 residues: (chain, residue number) of each, None if there is none.

    By distances of Cα atoms: i to i + 2 of 5.5 Å, i + 3 of 5.2 Å, i + 4 of 6.2 Å, each within 0.8 Å.
    """
    best: list[tuple[str, str]] = []
    for chain in model:
        residues = [
            (residue, atom.pos) for residue in chain if (atom := residue.find_atom("CA", "*")) is not None
        ]
        places = np.array([place.tolist() for _, place in residues]).reshape(-1, 3)
        run: list[int] = []
        for i in range(len(places) - 4):
            gaps = np.linalg.norm(places[[i + 2, i + 3, i + 4]] - places[i], axis=1)
            if np.all(np.abs(gaps - (5.5, 5.2, 6.2)) < 0.8):
                run.append(i)
                continue
            best, run = _longer(best, run, residues, chain.name), []
        best = _longer(best, run, residues, chain.name)
    return best or None


def _longer(
    best: list[tuple[str, str]], run: list[int], residues: Sequence[tuple[gemmi.Residue, object]], chain: str
) -> list[tuple[str, str]]:
    found = list(range(run[0], run[-1] + 5))[:_LONGEST_HELIX] if run else []
    if len(found) < _SHORTEST_HELIX or len(found) <= len(best):
        return best
    return [(chain, str(residues[i][0].seqid)) for i in found]


def cut_out(model: gemmi.Model, helix: list[tuple[str, str]]) -> tuple[gemmi.Model, gemmi.Model]:
    """Return the model without a helix, and the helix alone."""
    wanted = set(helix)
    without, alone = model.clone(), model.clone()
    for part, keeps in ((without, False), (alone, True)):
        for chain in part:
            for index in reversed(range(len(chain))):
                if ((chain.name, str(chain[index].seqid)) in wanted) != keeps:
                    del chain[index]
    return without, alone


def scrambled(pair: HalfMapPair, seed: int) -> Tensor:
    """Give the truth random phases beyond 15 Å, within its mask."""
    assert pair.truth is not None
    from_shell = round(pair.truth.shape[0] * VOXEL_SIZE_ANGSTROM / _ENVELOPE_ANGSTROM)
    return randomise_phases(pair.truth, from_shell, seed=(seed, 7)) * pair.mask


def beads(pair: HalfMapPair, seed: int, spacing_angstrom: float = 4.0) -> Tensor:
    """Put blobs at random places in the mask, at least 4 Å apart, with the truth's spectrum."""
    assert pair.truth is not None
    generator = np.random.default_rng((seed, 8))
    inside = np.argwhere(pair.mask.numpy() > 0.9) * VOXEL_SIZE_ANGSTROM
    candidates = inside[generator.permutation(len(inside))]
    candidates = candidates + generator.uniform(-0.75, 0.75, candidates.shape)
    taken = np.ones(len(candidates), bool)
    neighbours = cKDTree(candidates).query_ball_point(candidates, spacing_angstrom)
    for index, near in enumerate(neighbours):  # the first of each neighbourhood stays
        if taken[index]:
            taken[[other for other in near if other > index]] = False
    n = pair.truth.shape[0]
    places = np.round(candidates[taken] / VOXEL_SIZE_ANGSTROM).astype(int).clip(0, n - 1)
    points = torch.zeros((n, n, n))
    points[places[:, 0], places[:, 1], places[:, 2]] = 1
    return with_spectrum_of(points, pair.truth) * pair.mask


def with_spectrum_of(volume: Tensor, model: Tensor) -> Tensor:
    """Give a map the power of another one, shell by shell."""
    own, wanted = power_spectrum(volume), power_spectrum(model)
    factors = np.sqrt(np.divide(wanted, own, out=np.zeros_like(own), where=own > 1e-12 * own.max()))
    return filter_by_shell(volume, factors, interpolation="step", beyond="zero")
