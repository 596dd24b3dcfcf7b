"""From the sums of the classes to their next references.

Hermitian sums → point group → τ² → prior → solvent, class by class. Without halves, the power of the signal
is taken to be that of the reference which the images were compared with, noise and all, and T (4 by default)
says how much of it is let through (Scheres 2012, J Struct Biol 180:519).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from blushcore.inference import ExpectationSums
from blushcore.jobs.classify.parameters import ClassifyParameters
from blushcore.jobs.expectation_maximisation.inputs import Inputs
from blushcore.jobs.expectation_maximisation.map_curves import MapCurves
from blushcore.jobs.expectation_maximisation.references import (
    Map,
    as_references,
    before_prior,
    curves_of,
    denoising_seconds,
    warnings_of,
)
from blushcore.projection import FourierVolume
from blushcore.reconstruction import (
    HalfSums,
    Prior,
    Reconstruction,
    Reference,
    Unit,
    mean_weight,
    symmetrise,
    tau2_from_reference,
)

LEAST_WEIGHT = 0.5
"""A class to which all particles together give less than half of one is empty: it is of nothing."""


@dataclass(frozen=True, eq=False)
class ClassMaps:
    """What an M-step yields of each class, in their order.

    Attributes
    ----------
    references
        The next references; that of an empty class is what it was.
    before_prior
        What the prior began with, where that is another map.
    curves
        What is known of each map.
    empty
        Indices of classes without particles.
    denoising_seconds
        What the denoiser took; None if the prior is none.
    warnings
        Sentences for the user.
    """

    references: tuple[Map, ...]
    before_prior: tuple[Map | None, ...]
    curves: tuple[MapCurves, ...]
    empty: tuple[int, ...]
    denoising_seconds: float | None
    warnings: tuple[str, ...]


def maximise(
    sums: ExpectationSums,
    references: NDArray[np.float32],
    inputs: Inputs,
    params: ClassifyParameters,
    prior: Prior,
    *,
    is_last: bool,
    low_pass_again: bool,
) -> ClassMaps:
    """Reconstruct every class that has particles, and make its reference.

    Parameters
    ----------
    sums
        Of all particles; the classes' own are empty afterwards.
    references
        What the images were compared with, ``(K, n, n, n)``.
    inputs, params
        Symmetry, mask and grid; T and solvent.
    prior
        What makes references of reconstructions.
    is_last
        Whether the maps are final.
    low_pass_again
        Whether references are cut to the initial resolution once more, as after a first iteration by
        cross-correlation.
    """
    mask = None if inputs.mask is None else torch.from_numpy(inputs.mask)
    maps: list[Map] = list(references)
    before: list[Map | None] = [None] * len(maps)
    curves = [_nothing(inputs.box)] * len(maps)
    empty: list[int] = []
    made: list[Reference] = []
    for index, (slices, reference) in enumerate(zip(sums.of_classes, references, strict=True)):
        if float(sums.class_weight[index]) < LEAST_WEIGHT:
            empty.append(index)
            continue
        own = symmetrise(HalfSums.of(slices), inputs.symmetry)
        compared = torch.from_numpy(reference).to(inputs.device)
        tau2 = tau2_from_reference(FourierVolume.of(compared, own.grid.current_size, padding=params.padding))
        no_halves = np.zeros_like(tau2)
        curves[index] = curves_of(
            own, mean_weight(own), no_halves, tau2, padding=params.padding, tau_fudge=params.tau_fudge
        )
        each = Reconstruction(
            own,
            no_halves,
            tau2,
            inputs.voxel_size,
            params.diameter,
            tau_fudge=params.tau_fudge,
            mask=mask,
            symmetry=inputs.symmetry.name,
            unit=Unit("class", index + 1),
            is_last=is_last,
        )
        found = prior([each])
        made += found
        (maps[index],) = as_references(found, inputs, params, low_pass_again=low_pass_again)
        before[index] = before_prior(found[0])
    return ClassMaps(
        tuple(maps),
        tuple(before),
        tuple(curves),
        tuple(empty),
        denoising_seconds(made),
        warnings_of(made),
    )


def _nothing(box: int) -> MapCurves:
    zeros = np.zeros(box // 2 + 1)
    return MapCurves(zeros, zeros, zeros, zeros, zeros)
