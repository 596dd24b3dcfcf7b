"""Reconstruction: from sums of slices to maps, and the priors that make references of them.

The order of an M-step: `HalfSums.of` (Hermitian), `symmetrise`, `join_halves`, `fsc`, at last `HalfSums.plus`,
`mean_weight` and `tau2_from_fsc`, `Reconstruction`, a prior, `flatten_solvent`.
"""

from __future__ import annotations

from blushcore.reconstruction.blush import (
    BlushPrior,
    crossover_weights,
    cutoff_shell,
    last_denoised_shell,
    trailing_weights,
)
from blushcore.reconstruction.division import mean_weight, unfiltered_map, unregularised_map, wiener_map
from blushcore.reconstruction.half_sums import HalfSums, join_halves
from blushcore.reconstruction.reconstruction import Prior, Reconstruction, Reference, Unit
from blushcore.reconstruction.reference_power import tau2_from_reference
from blushcore.reconstruction.safeguards import Safeguards, safeguards_of
from blushcore.reconstruction.solvent import flatten_solvent
from blushcore.reconstruction.spectra import fsc, ssnr, tau2_from_fsc
from blushcore.reconstruction.symmetrise import symmetrise
from blushcore.reconstruction.wiener import WienerPrior

__all__ = [
    "BlushPrior",
    "HalfSums",
    "Prior",
    "Reconstruction",
    "Reference",
    "Safeguards",
    "Unit",
    "WienerPrior",
    "crossover_weights",
    "cutoff_shell",
    "flatten_solvent",
    "fsc",
    "join_halves",
    "last_denoised_shell",
    "mean_weight",
    "safeguards_of",
    "ssnr",
    "symmetrise",
    "tau2_from_fsc",
    "tau2_from_reference",
    "trailing_weights",
    "unfiltered_map",
    "unregularised_map",
    "wiener_map",
]
