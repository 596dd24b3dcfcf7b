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
from blushcore.jobs.classify.preflight import ClassifyInputs
from blushcore.jobs.refine.map_curves import MapCurves
from blushcore.jobs.refine.maximisation import Map, as_reference, coverage, denoising_seconds
from blushcore.jobs.refine.schedule import shell_at
from blushcore.projection import FourierVolume
from blushcore.reconstruction import (
    HalfSums,
    Prior,
    Reconstruction,
    Unit,
    mean_weight,
    ssnr,
    symmetrise,
    tau2_from_reference,
)

LEAST_WEIGHT = 1.0
"""A class to which all particles together give less is empty: there is nothing to make a map of."""


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
    inputs: ClassifyInputs,
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
    lowest = shell_at(params.initial_lowpass, inputs.box, inputs.voxel_size) if low_pass_again else None
    mask = None if inputs.mask is None else torch.from_numpy(inputs.mask)
    maps: list[Map] = []
    before: list[Map | None] = []
    curves: list[MapCurves] = []
    empty: list[int] = []
    made = []
    for index, (slices, reference) in enumerate(zip(sums.of_classes, references, strict=True)):
        if float(sums.class_weight[index]) < LEAST_WEIGHT:
            empty.append(index)
            maps.append(reference)
            before.append(None)
            curves.append(_nothing(inputs.box))
            continue
        own = symmetrise(HalfSums.of(slices), inputs.symmetry)
        compared = torch.from_numpy(reference).to(inputs.device)
        tau2 = tau2_from_reference(FourierVolume.of(compared, own.grid.current_size, padding=params.padding))
        curves.append(_curves(own, tau2, params))
        each = Reconstruction(
            own,
            np.zeros_like(tau2),
            tau2,
            inputs.voxel_size,
            params.diameter,
            tau_fudge=params.tau_fudge,
            mask=mask,
            symmetry=inputs.symmetry.name,
            unit=Unit("class", index + 1),
            is_last=is_last,
        )
        (found,) = prior([each])
        made.append(found)
        maps.append(
            as_reference(
                found.map, inputs, params.diameter, flatten=params.flatten_solvent, low_pass_shell=lowest
            )
        )
        other = found.map_before is not found.map
        before.append(found.map_before.cpu().numpy().astype(np.float32, copy=False) if other else None)
    return ClassMaps(
        tuple(maps),
        tuple(before),
        tuple(curves),
        tuple(empty),
        denoising_seconds(made),
        tuple(text for reference in made for text in reference.warnings),
    )


def _curves(sums: HalfSums, tau2: NDArray[np.float64], params: ClassifyParameters) -> MapCurves:
    weight = mean_weight(sums)
    fudged = params.tau_fudge * tau2
    each = params.padding**3 * weight
    sigma2 = np.divide(1.0, each, out=np.zeros_like(each), where=each > 0)
    ratio = ssnr(fudged, weight, padding=params.padding)
    return MapCurves(np.zeros_like(tau2), ratio, tau2, sigma2, coverage(sums, fudged))


def _nothing(box: int) -> MapCurves:
    zeros = np.zeros(box // 2 + 1)
    return MapCurves(zeros, zeros, zeros, zeros, zeros)
