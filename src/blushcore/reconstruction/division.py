"""From data and weight to a map: the division, with and without a prior, and the way back to real space.

V = data ÷ (W + 1/(Tτ²)) (Scheres 2012, J Struct Biol 180:519), cropped to the box, divided by what the
interpolation multiplied it by; what lies outside a sphere of the box's diameter is set to its mean.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from blushcore.projection import PaddedGrid, map_of, sinc_squared
from blushcore.reconstruction.half_sums import HalfSums
from blushcore.volumes import soft_sphere

Floats = NDArray[np.float64]

_FIRST_SHELL_WITH_PRIOR = 5
_LEAST_WEIGHT = 1e-3
_SPHERE_EDGE_PX = 3.0


def mean_weight(sums: HalfSums) -> Floats:
    """Return ⟨W⟩: the mean weight over the padded components of each shell, float64 ``(n // 2 + 1,)``.

    Each component of the sphere counts once; 0 beyond the current size.
    """
    grid = sums.grid
    shells = grid.last_shell + 1
    total = np.zeros(shells)
    count = np.zeros(shells)
    for planes in grid.plane_blocks():
        shell = grid.shells(planes, sums.weight.device)
        block = sums.weight[planes]
        for on_plane, factor in ((slice(0, 1), 1.0), (slice(1, None), 2.0)):
            index = shell[..., on_plane].flatten()
            values = block[..., on_plane].flatten().double()
            total += factor * torch.bincount(index, values, minlength=shells + 1)[:shells].cpu().numpy()
            count += factor * torch.bincount(index, minlength=shells + 1)[:shells].cpu().numpy()
    return _on_all_shells(total / count, grid)


def unfiltered_map(sums: HalfSums) -> Tensor:
    """Return data ÷ max(W, ⟨W⟩/1000) as a map, float32 ``(n, n, n)``: RELION's unfiltered half-map."""
    weight = mean_weight(sums)
    return _divided(sums, np.zeros_like(weight), _LEAST_WEIGHT * weight)


def unregularised_map(sums: HalfSums) -> Tensor:
    """Return data ÷ (W + 10⁻³⟨W⟩) as a map, float32 ``(n, n, n)``: what Blush denoises.

    Kimanius et al. 2024, IUCrJ 11:801.
    """
    weight = mean_weight(sums)
    return _divided(sums, _LEAST_WEIGHT * weight, np.zeros_like(weight))


def wiener_map(sums: HalfSums, tau2: Floats, *, tau_fudge: float = 1.0) -> Tensor:
    """Return data ÷ (W + 1/(Tτ²)) as a map, float32 ``(n, n, n)``: the most probable under a Gaussian prior.

    Parameters
    ----------
    sums
        Of one half, or of both at last.
    tau2
        Power of the signal in each shell, ``(n // 2 + 1,)``: `tau2_from_fsc`. It acts from shell 5 on; a shell
        without power comes out as 0.
    tau_fudge
        T.
    """
    power = tau_fudge * sums.grid.padding**3 * np.asarray(tau2, dtype=np.float64)
    prior = np.divide(1.0, power, out=np.full_like(power, np.inf), where=power > 0)
    prior[:_FIRST_SHELL_WITH_PRIOR] = 0.0
    return _divided(sums, prior, _LEAST_WEIGHT * mean_weight(sums))


def _divided(sums: HalfSums, added: Floats, least: Floats) -> Tensor:
    """Return data ÷ max(W + added, least) as a map; 0 where that is 0, and beyond the last shell."""
    grid = sums.grid
    curves = np.stack([added, least])[:, : grid.last_shell + 2]
    curves = np.pad(curves, ((0, 0), (0, grid.last_shell + 2 - curves.shape[1])))
    curves[0, grid.last_shell + 1] = np.inf
    add, floor = torch.from_numpy(curves).to(sums.weight.device, torch.float32)
    quotient = torch.empty_like(sums.data)
    for planes in grid.plane_blocks():
        shell = grid.shells(planes, sums.weight.device)
        divisor = torch.maximum(sums.weight[planes] + add[shell], floor[shell])
        factor = torch.where(divisor == 0, 0.0, divisor.reciprocal())
        quotient[planes] = sums.data[planes] * factor
    return _finished(map_of(quotient, grid), grid)


def _finished(volume: Tensor, grid: PaddedGrid) -> Tensor:
    """Level what lies outside the sphere in the box, and undo the damping by the interpolation, in place."""
    n = grid.n
    sphere = soft_sphere((n, n, n), n / 2, _SPHERE_EDGE_PX, device=volume.device)
    outside = 1 - sphere
    level = (volume * outside).sum(dtype=torch.float64) / outside.sum(dtype=torch.float64)
    volume *= sphere
    volume += outside.mul_(level.to(volume.dtype))
    volume /= sinc_squared(n, grid.padding, volume.device)
    return volume


def _on_all_shells(curve: Floats, grid: PaddedGrid) -> Floats:
    """Lengthen a curve over the kept shells by zeros to ``n // 2 + 1``."""
    return np.pad(curve, (0, grid.n // 2 + 1))[: grid.n // 2 + 1]
