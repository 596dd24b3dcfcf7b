"""From maps to half transforms that can be summed safely in float32."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from blushcore.protocol import BlushError

VolumeLike: TypeAlias = NDArray[np.generic] | Tensor
"""A cubic volume ``(z, y, x)``. float64 is worked on in float64, everything else in float32."""

_COMPONENTS_PER_BLOCK = {"cpu": 1 << 18}  # what stays in a core's cache
_COMPONENTS_PER_BLOCK_ELSEWHERE = 1 << 25


@dataclass(frozen=True)
class HalfTransform:
    """The transform of a map, without its mean and brought to a harmless scale.

    The map's own transform is ``components * scale``, plus ``origin`` at k = 0.

    Attributes
    ----------
    components
        complex Tensor ``(n, n, n // 2 + 1)``, unnormalised (torch's ``norm="backward"``), of
        ``(map − mean) / scale``.
    scale
        A power of two, so that dividing by it loses nothing.
    origin
        The sum over the map: its mean times n³.
    """

    components: Tensor
    scale: float
    origin: float


def as_cube(volume: VolumeLike, name: str = "The map") -> Tensor:
    """Return `volume` as a floating-point Tensor on its own device.

    Raises
    ------
    BlushError
        If it is not a cube of at least 4 voxels.
    """
    if isinstance(volume, np.ndarray):
        wanted = volume if volume.dtype == np.float64 else volume.astype(np.float32, copy=False)
        if not wanted.flags.writeable or not wanted.dtype.isnative:
            wanted = wanted.astype(wanted.dtype.newbyteorder("="), copy=True)
        tensor = torch.from_numpy(np.ascontiguousarray(wanted))
    else:
        tensor = volume.detach()
        tensor = tensor if tensor.dtype == torch.float64 else tensor.float()
    if tensor.ndim != 3 or len(set(tensor.shape)) != 1 or tensor.shape[0] < 4:
        shape = " x ".join(map(str, tensor.shape))
        raise BlushError(
            f"{name} has {shape} voxels (z, y, x); Fourier shells need a cube of at least 4 voxels a side.",
            "Pad or crop it to a cubic box.",
        )
    return tensor


def as_cubes(half1: VolumeLike, half2: VolumeLike) -> tuple[Tensor, Tensor]:
    """Return two halves as Tensors of one shape and one dtype, on the device of the first.

    Raises
    ------
    BlushError
        If they are not cubes of one size.
    """
    first, second = as_cube(half1, "The first half"), as_cube(half2, "The second half")
    if first.shape != second.shape:
        raise BlushError(
            f"The halves have different boxes, {first.shape[0]} and {second.shape[0]} voxels.",
            "Give two halves of one reconstruction.",
        )
    dtype = torch.promote_types(first.dtype, second.dtype)
    return first.to(dtype), second.to(first.device, dtype)


def half_transform(volume: Tensor, name: str = "The map") -> HalfTransform:
    """Transform a cube ``(n, n, n)``.

    The mean is taken off first: it only concerns k = 0, and a large one costs the other components their
    digits. The scale keeps the squares of maps of any unit within float32.

    Raises
    ------
    BlushError
        If the map holds NaN or infinite values.
    """
    mean = float(volume.mean())
    if not math.isfinite(mean):
        raise BlushError(f"{name} contains NaN or infinite values.", "Recompute or repair the map.")
    centred = volume - mean
    low, high = torch.aminmax(centred)
    peak = max(abs(float(low)), abs(float(high)))
    scale = 2.0 ** math.frexp(peak)[1] if peak > 0 else 1.0
    centred *= 1.0 / scale
    components = torch.fft.rfftn(centred)
    origin = float(components[0, 0, 0].real) * scale + mean * volume.numel()
    components[0, 0, 0] = 0.0
    return HalfTransform(components, scale, origin)


def plane_blocks(n: int, device: torch.device) -> Iterator[slice]:
    """Yield slices of z planes of a half transform, small enough for the cache and for temporaries."""
    wanted = _COMPONENTS_PER_BLOCK.get(device.type, _COMPONENTS_PER_BLOCK_ELSEWHERE)
    step = max(1, wanted // (n * (n // 2 + 1)))
    for start in range(0, n, step):
        yield slice(start, min(start + step, n))
