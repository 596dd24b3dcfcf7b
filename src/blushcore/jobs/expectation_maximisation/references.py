"""From the sums of an E-step to references: what M-steps of all kinds have in common."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from blushcore.jobs.expectation_maximisation.inputs import Inputs, first_lowpass
from blushcore.jobs.expectation_maximisation.map_curves import MapCurves
from blushcore.jobs.expectation_maximisation.parameters import SearchParameters
from blushcore.reconstruction import HalfSums, Reference, flatten_solvent, ssnr

Map = NDArray[np.float32]
Floats = NDArray[np.float64]


def curves_of(
    sums: HalfSums, weight: Floats, fsc: Floats, tau2: Floats, *, padding: int, tau_fudge: float = 1.0
) -> MapCurves:
    """Return what sums say of the map that is to be made of them, shell by shell.

    Parameters
    ----------
    sums
        Of a half, a class or all.
    weight
        Their `mean_weight`.
    fsc
        Of the halves; zeros where there are none.
    tau2
        Power of the signal.
    padding
        Oversampling in Fourier space.
    tau_fudge
        T, if it is not in `tau2` yet.
    """
    fudged = tau_fudge * tau2
    each = padding**3 * weight
    sigma2 = np.divide(1.0, each, out=np.zeros_like(each), where=each > 0)
    return MapCurves(fsc, ssnr(fudged, weight, padding=padding), tau2, sigma2, _coverage(sums, fudged))


def as_references(
    made: Sequence[Reference], inputs: Inputs, params: SearchParameters, *, low_pass_again: bool
) -> tuple[Map, ...]:
    """Return a prior's maps as the next iteration's references: their solvent flattened, if that is asked for.

    Parameters
    ----------
    made
        By the prior.
    inputs, params
        Mask and grid, the initial resolution.
    low_pass_again
        Whether references are cut to the initial resolution once more, as after a first iteration by
        cross-correlation.
    """
    references = []
    for each in made:
        volume = each.map
        if low_pass_again:
            volume = first_lowpass(volume, params, inputs.size_angstrom)
        if params.flatten_solvent:
            mask = None if inputs.mask is None else torch.from_numpy(inputs.mask).to(volume.device)
            volume = flatten_solvent(
                volume, voxel_size=inputs.voxel_size, diameter_angstrom=params.diameter, mask=mask
            )
        references.append(as_array(volume))
    return tuple(references)


def before_prior(reference: Reference) -> Map | None:
    """Return what the prior began with; None if that is the same map."""
    return None if reference.map_before is reference.map else as_array(reference.map_before)


def denoising_seconds(references: Sequence[Reference]) -> float | None:
    """Return what the denoiser took for all references; None if there was none."""
    taken = [reference.diagnostics.get("denoising_seconds") for reference in references]
    known = [seconds for seconds in taken if seconds is not None]
    return sum(known) if known else None


def warnings_of(references: Sequence[Reference]) -> tuple[str, ...]:
    """Return the sentences for the user about all references."""
    return tuple(text for reference in references for text in reference.warnings)


def as_array(volume: Tensor) -> Map:
    """Return a map in float32 where files are written from."""
    values: Map = volume.cpu().numpy().astype(np.float32, copy=False)
    return values


def _coverage(sums: HalfSums, tau2: Floats) -> Floats:
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
