"""Filters given by a curve over shells."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from blushcore.shells.geometry import Floats, mirrored, radius_octant, shell_count, shell_octant
from blushcore.shells.transforms import VolumeLike, as_cube, plane_blocks

Interpolation: TypeAlias = Literal["linear", "step"]
Beyond: TypeAlias = Literal["hold", "zero"]


def filter_by_shell(
    volume: VolumeLike, curve: Floats, *, interpolation: Interpolation = "linear", beyond: Beyond = "hold"
) -> Tensor:
    """Multiply a map's transform by a curve over shells.

    Parameters
    ----------
    volume
        Map ``(n, n, n)``.
    curve
        One factor a shell, ``(n // 2 + 1,)``.
    interpolation
        ``"linear"`` interpolates at each component's exact |k|; ``"step"`` gives a whole shell one factor.
    beyond
        What the corners of the box get, above shell ``n // 2``: the last factor, or nothing (with
        ``"linear"`` it falls to 0 over one shell).

    Returns
    -------
    Tensor ``(n, n, n)`` of the map's dtype, on its device. A curve of ones gives the map back.

    Raises
    ------
    BlushError
        If the map is not a cube.
    ValueError
        If the curve's length does not fit the box.
    """
    cube = as_cube(volume)
    n = cube.shape[0]
    transform = torch.fft.rfftn(cube)
    multiply_by_shell(transform, curve, interpolation=interpolation, beyond=beyond)
    filtered: Tensor = torch.fft.irfftn(transform, s=(n, n, n))
    return filtered


def multiply_by_shell(
    transform: Tensor, curve: Floats, *, interpolation: Interpolation = "linear", beyond: Beyond = "hold"
) -> None:
    """Multiply a half transform ``(n, n, n // 2 + 1)`` in place; see `filter_by_shell`."""
    n = transform.shape[0]
    factors = np.asarray(curve, dtype=np.float64)
    if factors.shape != (shell_count(n),):
        raise ValueError(f"a box of {n} has {shell_count(n)} shells; the curve has shape {factors.shape}")
    padded = torch.from_numpy(np.append(factors, factors[-1] if beyond == "hold" else 0.0))
    last = len(padded) - 1
    if interpolation == "step":
        octant = padded[shell_octant(n, torch.device("cpu")).long().clamp(max=last)]
    else:
        radius = radius_octant(n).clamp(max=float(last))
        below = radius.floor().long().clamp(max=last - 1)
        octant = torch.lerp(padded[below], padded[below + 1], radius - below)
    octant = octant.to(transform.real.dtype).to(transform.device)
    mirror = mirrored(n, transform.device)
    for planes in plane_blocks(n, transform.device):
        transform[planes] *= octant.index_select(0, mirror[planes]).index_select(1, mirror)
