"""Sums and means over Fourier shells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from blushcore.shells.geometry import (
    Counting,
    Floats,
    half_axis_weights,
    mirrored,
    shell_count,
    shell_counts,
    shell_octant,
)
from blushcore.shells.transforms import VolumeLike, as_cube, as_cubes, half_transform, plane_blocks

Norm: TypeAlias = Literal["backward", "ortho", "forward"]


@dataclass(frozen=True, eq=False)
class CrossSums:
    """What two maps share in each shell and what each has, each float64 ``(n // 2 + 1,)``.

    Attributes
    ----------
    cross
        Re Σ F₁F₂*.
    power1, power2
        Σ|F₁|² and Σ|F₂|².

    Each map's transform is taken in the map's own arbitrary scale: ratios of the three are what counts.
    """

    cross: Floats
    power1: Floats
    power2: Floats

    def correlation(self) -> Floats:
        """Return cross/√(power1·power2); 0 where a map has nothing in a shell, and 1 at the origin.

        The origin holds a single component, the mean, which says nothing of agreement.
        """
        power = np.sqrt(self.power1) * np.sqrt(self.power2)
        ratio = np.divide(self.cross, power, out=np.zeros_like(power), where=power > 0)
        ratio[0] = 1.0
        correlation: Floats = np.clip(ratio, -1.0, 1.0)
        return correlation


def cross_sums(half1: VolumeLike, half2: VolumeLike, *, counting: Counting = "sphere") -> CrossSums:
    """Return the cross and auto sums of two maps ``(n, n, n)`` over shells 0 to ``n // 2``.

    Raises
    ------
    BlushError
        If they are not cubes of one size, or contain NaN.
    """
    first, second = as_cubes(half1, half2)
    return transform_cross_sums(
        half_transform(first, "The first half").components,
        half_transform(second, "The second half").components,
        counting=counting,
    )


def transform_cross_sums(first: Tensor, second: Tensor, *, counting: Counting = "sphere") -> CrossSums:
    """Return the cross and auto sums of two half transforms, complex ``(n, n, n // 2 + 1)``."""

    def products(planes: slice) -> Tensor:
        a, b = torch.view_as_real(first[planes]), torch.view_as_real(second[planes])
        (ar, ai), (br, bi) = a.unbind(-1), b.unbind(-1)
        return torch.stack([ar * br + ai * bi, ar * ar + ai * ai, br * br + bi * bi])

    return CrossSums(*_sum_blocks(products, first.shape[0], first.device, counting))


def sum_over_shells(values: Tensor, *, counting: Counting = "sphere") -> Floats:
    """Return the sum over each shell of real `values` ``(n, n, n // 2 + 1)`` in the layout of a half transform.

    Values stand for their Friedel mates too. Summed in float64; float64 ``(n // 2 + 1,)``.
    """
    sums: Floats = _sum_blocks(lambda planes: values[planes][None], values.shape[0], values.device, counting)[0]
    return sums


def average_over_shells(values: Tensor, *, counting: Counting = "sphere") -> Floats:
    """Return the mean over each shell of real `values` ``(n, n, n // 2 + 1)``; see `sum_over_shells`."""
    means: Floats = sum_over_shells(values, counting=counting) / shell_counts(values.shape[0], counting)
    return means


def power_spectrum(volume: VolumeLike, *, norm: Norm = "ortho", counting: Counting = "sphere") -> Floats:
    """Return the mean of |F|² over each shell of a map ``(n, n, n)``, float64 ``(n // 2 + 1,)``.

    Parameters
    ----------
    volume
        The map.
    norm
        Scale of F, as in ``torch.fft``: ``"backward"`` is the plain sum, ``"ortho"`` divides it by n^{3/2}
        (white noise then has its own variance in every shell), ``"forward"`` by n³.
    counting
        See `blushcore.shells.Counting`.

    Raises
    ------
    BlushError
        If the map is not a cube or contains NaN.
    """
    cube = as_cube(volume)
    n = cube.shape[0]
    transform = half_transform(cube)
    components = transform.components

    def power(planes: slice) -> Tensor:
        real, imaginary = torch.view_as_real(components[planes]).unbind(-1)
        return (real * real + imaginary * imaginary)[None]

    sums = _sum_blocks(power, n, components.device, counting)[0] * transform.scale**2
    sums[0] = transform.origin**2
    divisor = {"backward": 1.0, "ortho": float(n) ** 3, "forward": float(n) ** 6}[norm]
    spectrum: Floats = sums / shell_counts(n, counting) / divisor
    return spectrum


def _sum_blocks(
    values: Callable[[slice], Tensor], n: int, device: torch.device, counting: Counting
) -> NDArray[np.float64]:
    """Sum ``values(planes)``, real ``(q, planes, n, n // 2 + 1)``, over shells: ``(q, n // 2 + 1)``.

    Block by block, so that products never exist for the whole volume; rows y and −y are added before the
    scatter, which halves it.
    """
    octant = shell_octant(n, device)
    mirror = mirrored(n, device)
    # Metal has no float64: there only a block is summed in float32, the blocks are added up on the host.
    accumulate = torch.float32 if device.type == "mps" else torch.float64
    along_x = half_axis_weights(n, counting).to(accumulate).to(device)
    last = int(octant.max()) + 1
    shells = shell_count(n)
    totals: list[Tensor] = []
    for planes in plane_blocks(n, device):
        block = values(planes)
        index = octant.index_select(0, mirror[planes]).flatten()
        folded = block[..., : n // 2 + 1, :].to(accumulate, copy=True)
        mates = (n - 1) // 2
        folded[..., 1 : mates + 1, :] += block[..., n - mates :, :].flip(-2)
        folded *= along_x
        totals.append(
            torch.stack(
                [torch.bincount(index, weights=one.flatten(), minlength=last)[:shells] for one in folded]
            )
        )
    total: NDArray[np.float64] = torch.stack(totals).cpu().double().sum(0).numpy()
    return total
