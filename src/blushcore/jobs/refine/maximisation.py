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
from torch import Tensor

from blushcore.jobs.refine.map_curves import MapCurves
from blushcore.jobs.refine.parameters import RefineParameters
from blushcore.jobs.refine.preflight import Inputs
from blushcore.jobs.refine.schedule import Course, joined_shell, shell_at
from blushcore.projection import SliceSums
from blushcore.reconstruction import (
    HalfSums,
    Prior,
    Reconstruction,
    Reference,
    Safeguards,
    flatten_solvent,
    fsc,
    join_halves,
    mean_weight,
    ssnr,
    symmetrise,
    tau2_from_fsc,
    unfiltered_map,
)
from blushcore.volumes import lowpass_at_shell

Map = NDArray[np.float32]


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
    resolution = inputs.box * inputs.voxel_size / course.resolution_shell
    join_halves(
        first, second, joined_shell(params.low_resolution_join, resolution, inputs.box, inputs.voxel_size)
    )
    agreement = fsc(first, second)
    if is_last:
        unfiltered = tuple(_array(unfiltered_map(half)) for half in (first, second))
        both = first.plus(second)
        del first, second
        reconstruction, curves = _reconstruction(both, agreement, inputs, params, half=None)
        final = prior([reconstruction])[0]
        return Maps(
            agreement,
            curves.ssnr,
            (curves, curves),
            (),
            joined=_array(final.map),
            unfiltered=unfiltered,
            denoised=None if final.denoised is None else _array(final.denoised),
            denoising_seconds=denoising_seconds([final]),
            warnings=final.warnings,
        )

    halves = (
        _reconstruction(first, agreement, inputs, params, half=1),
        _reconstruction(second, agreement, inputs, params, half=2),
    )
    references = prior([reconstruction for reconstruction, _ in halves])
    lowest = shell_at(params.initial_lowpass, inputs.box, inputs.voxel_size) if low_pass_again else None
    maps = [
        as_reference(
            reference.map, inputs, params.diameter, flatten=params.flatten_solvent, low_pass_shell=lowest
        )
        for reference in references
    ]
    before = tuple(
        None if reference.map_before is reference.map else _array(reference.map_before)
        for reference in references
    )
    curves_of = (halves[0][1], halves[1][1])
    return Maps(
        agreement,
        curves_of[0].ssnr,
        curves_of,
        tuple(maps),
        before,
        cutoff_shell=references[0].cutoff_shell,
        denoising_seconds=denoising_seconds(references),
        safeguards=references[0].safeguards,
        warnings=tuple(text for reference in references for text in reference.warnings),
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
    each = params.padding**3 * weight
    sigma2 = np.divide(1.0, each, out=np.zeros_like(each), where=each > 0)
    curves = MapCurves(
        agreement, ssnr(tau2, weight, padding=params.padding), tau2, sigma2, coverage(sums, tau2)
    )
    return reconstruction, curves


def coverage(sums: HalfSums, tau2: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the share of each shell's components in which the data outweighs the prior: p³Wτ² ≥ 1."""
    grid = sums.grid
    last = grid.last_shell + 1
    least = np.divide(1.0, grid.padding**3 * tau2, out=np.full_like(tau2, np.inf), where=tau2 > 0)
    threshold = torch.full((last + 1,), np.inf, dtype=torch.float32)
    threshold[:last] = torch.from_numpy(least[:last])
    threshold = threshold.to(sums.weight.device)
    seen = torch.zeros(last + 1, dtype=torch.float64)
    count = torch.zeros(last + 1, dtype=torch.float64)
    for planes in grid.plane_blocks():
        shell = grid.shells(planes, sums.weight.device).clamp_(max=last)
        has = (sums.weight[planes] >= threshold[shell]).double().flatten()
        seen += torch.bincount(shell.flatten(), has, minlength=last + 1).cpu()
        count += torch.bincount(shell.flatten(), minlength=last + 1).cpu()
    share = np.zeros(len(tau2))
    share[:last] = (seen / count.clamp(min=1))[:last].numpy()
    return share


def as_reference(
    volume: Tensor, inputs: Inputs, diameter_angstrom: float, *, flatten: bool, low_pass_shell: int | None
) -> Map:
    """Return a prior's map as the next iteration's reference: low-passed if asked to, its solvent flattened."""
    if low_pass_shell is not None:
        volume = lowpass_at_shell(volume, low_pass_shell)
    if flatten:
        mask = None if inputs.mask is None else torch.from_numpy(inputs.mask).to(volume.device)
        volume = flatten_solvent(
            volume, voxel_size=inputs.voxel_size, diameter_angstrom=diameter_angstrom, mask=mask
        )
    return _array(volume)


def denoising_seconds(references: list[Reference]) -> float | None:
    """Return what the denoiser took for all references; None if there was none."""
    taken = [reference.diagnostics.get("denoising_seconds") for reference in references]
    known = [seconds for seconds in taken if seconds is not None]
    return sum(known) if known else None


def _array(volume: Tensor) -> Map:
    values: Map = volume.cpu().numpy().astype(np.float32, copy=False)
    return values
