"""From the sums of both halves to the next references, in the order of the M-step.

Hermitian sums → point group → joining of the halves at low resolution → FSC → (at last: halves added) → τ² →
prior → solvent (Scheres 2012, J Struct Biol 180:519; Scheres & Chen 2012, Nat Methods 9:853).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from blushcore.jobs.expectation_maximisation.inputs import Inputs
from blushcore.jobs.expectation_maximisation.map_curves import MapCurves
from blushcore.jobs.expectation_maximisation.references import (
    Map,
    as_array,
    as_references,
    before_prior,
    curves_of,
    denoising_seconds,
    warnings_of,
)
from blushcore.jobs.refine.parameters import RefineParameters
from blushcore.jobs.refine.schedule import Course, joined_shell
from blushcore.projection import SliceSums
from blushcore.reconstruction import (
    HalfSums,
    Prior,
    Reconstruction,
    Safeguards,
    fsc,
    join_halves,
    mean_weight,
    symmetrise,
    tau2_from_fsc,
    unfiltered_map,
)


@dataclass(frozen=True, eq=False)
class Maps:
    """What an M-step yields.

    Attributes
    ----------
    fsc, ssnr
        Of the halves and of the map, float64 ``(box // 2 + 1,)``.
    curves
        What is known of each half's map; at last of the joined one, twice.
    references
        The next references of halves 1 and 2; empty at last.
    before_prior
        What the prior began with, where that is another map.
    joined, unfiltered
        At last: the map of all particles, and those of the halves without any prior.
    denoised
        At last: the map of all particles denoised, to be looked at; None if the prior is no denoiser.
    cutoff_shell
        Where the prior cut the references off, if it did.
    denoising_seconds
        What the denoiser took; None if the prior is none.
    safeguards
        Whether the denoiser keeps to the data; None at last, and where it was not measured.
    warnings
        Sentences for the user.
    """

    fsc: NDArray[np.float64]
    ssnr: NDArray[np.float64]
    curves: tuple[MapCurves, MapCurves]
    references: tuple[Map, ...]
    before_prior: tuple[Map | None, ...] = ()
    joined: Map | None = None
    unfiltered: tuple[Map, ...] = ()
    denoised: Map | None = None
    cutoff_shell: int | None = None
    denoising_seconds: float | None = None
    safeguards: Safeguards | None = None
    warnings: tuple[str, ...] = ()


def maximise(
    slices: tuple[SliceSums, SliceSums],
    inputs: Inputs,
    params: RefineParameters,
    course: Course,
    prior: Prior,
    *,
    is_last: bool,
    low_pass_again: bool,
) -> Maps:
    """Reconstruct both halves, and make references of them; at last, one map of both.

    Parameters
    ----------
    slices
        Of halves 1 and 2; empty afterwards.
    inputs
        Symmetry, mask and grid.
    params
        T, joining and solvent.
    course
        The resolution so far.
    prior
        What makes references of reconstructions.
    is_last
        Whether the halves are joined for good.
    low_pass_again
        Whether references are cut to the initial resolution once more, as after a first iteration by
        cross-correlation.
    """
    first, second = (symmetrise(HalfSums.of(sums), inputs.symmetry) for sums in slices)
    resolution = inputs.size_angstrom / course.resolution_shell
    join_halves(
        first, second, joined_shell(params.low_resolution_join, resolution, inputs.box, inputs.voxel_size)
    )
    agreement = fsc(first, second)
    if is_last:
        unfiltered = tuple(as_array(unfiltered_map(half)) for half in (first, second))
        both = first.plus(second)
        del first, second
        reconstruction, curves = _reconstruction(both, agreement, inputs, params, half=None)
        final = prior([reconstruction])[0]
        return Maps(
            agreement,
            curves.ssnr,
            (curves, curves),
            (),
            joined=as_array(final.map),
            unfiltered=unfiltered,
            denoised=None if final.denoised is None else as_array(final.denoised),
            denoising_seconds=denoising_seconds([final]),
            warnings=final.warnings,
        )

    halves = (
        _reconstruction(first, agreement, inputs, params, half=1),
        _reconstruction(second, agreement, inputs, params, half=2),
    )
    made = prior([reconstruction for reconstruction, _ in halves])
    first_curves, second_curves = (curves for _, curves in halves)
    return Maps(
        agreement,
        first_curves.ssnr,
        (first_curves, second_curves),
        as_references(made, inputs, params, low_pass_again=low_pass_again),
        tuple(before_prior(reference) for reference in made),
        cutoff_shell=made[0].cutoff_shell,
        denoising_seconds=denoising_seconds(made),
        safeguards=made[0].safeguards,
        warnings=warnings_of(made),
    )


def _reconstruction(
    sums: HalfSums,
    agreement: NDArray[np.float64],
    inputs: Inputs,
    params: RefineParameters,
    *,
    half: Literal[1, 2] | None,
) -> tuple[Reconstruction, MapCurves]:
    """Return what a prior is given of one half, or of both."""
    weight = mean_weight(sums)
    tau2 = tau2_from_fsc(
        agreement, weight, tau_fudge=params.tau_fudge, padding=params.padding, is_last=half is None
    )
    reconstruction = Reconstruction(
        sums,
        agreement,
        tau2,
        inputs.voxel_size,
        params.diameter,
        tau_fudge=params.tau_fudge,
        mask=None if inputs.mask is None else torch.from_numpy(inputs.mask),
        symmetry=inputs.symmetry.name,
        half=half,
        is_last=half is None,
    )
    return reconstruction, curves_of(sums, weight, agreement, tau2, padding=params.padding)
