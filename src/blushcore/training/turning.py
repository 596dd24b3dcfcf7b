"""Half-maps from files, turned: the affine A of the training's augmentation (Kimanius et al. 2024, Methods).

Simulated particles are drawn in any orientation. Maps that come from files lie as they lie; they are turned
about their centre by interpolation with cubic B-splines, whose coefficients are found in Fourier space. What
lay outside the box comes in as 0, beyond the sphere that touches its faces: as in RELION's maps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from blushcore.training.augmentation import HalfMapPair

_AT_ONCE = 4
"""Maps that are interpolated together: the weights of a place are found once."""


@dataclass(frozen=True)
class SplinePair:
    """A pair of half-maps as coefficients of cubic B-splines: turned any number of times, they are found once.

    Attributes
    ----------
    coefficients
        Those of the halves, the mask and the signal, in place of the maps; no truth: training needs none.
    """

    coefficients: HalfMapPair

    def turned(self, rotation: NDArray[np.float64]) -> HalfMapPair:
        """Return the pair with its content turned about the centre ``n // 2``.

        Parameters
        ----------
        rotation
            Of the content, ``(3, 3)``, for vectors (x, y, z).
        """
        half1, half2, mask, *signal = interpolated(maps_of(self.coefficients), rotation)
        return replace(
            self.coefficients,
            half1=half1,
            half2=half2,
            mask=mask.clamp(0, 1),
            signal=signal[0] if signal else None,
        )


def spline_pair(pair: HalfMapPair) -> SplinePair:
    """Return a pair on the CPU as it can be turned."""
    half1, half2, mask, *signal = (spline_coefficients(volume) for volume in maps_of(pair))
    signal_or_none = signal[0] if signal else None
    return SplinePair(replace(pair, half1=half1, half2=half2, mask=mask, signal=signal_or_none, truth=None))


def maps_of(pair: HalfMapPair) -> list[Tensor]:
    """Return what training needs of a pair: halves, mask and, where it is known, the signal."""
    return [pair.half1, pair.half2, pair.mask, *([] if pair.signal is None else [pair.signal])]


def turned_pair(pair: HalfMapPair, rotation: NDArray[np.float64]) -> HalfMapPair:
    """Return a pair of half-maps on the CPU with its content turned, once; see `SplinePair`."""
    return spline_pair(pair).turned(rotation)


def turned_maps(maps: Sequence[Tensor], rotation: NDArray[np.float64]) -> list[Tensor]:
    """Turn up to four cubic maps ``(z, y, x)`` on the CPU about their centre; float32."""
    return interpolated([spline_coefficients(volume) for volume in maps], rotation)


def interpolated(coefficients: Sequence[Tensor], rotation: NDArray[np.float64]) -> list[Tensor]:
    """Return up to four cubic maps turned, given their `spline_coefficients`; float32.

    What lies at x comes from Rᵀx, between voxels by cubic B-splines.
    """
    n = coefficients[0].shape[0]
    stacked = np.zeros((n, n, n, _AT_ONCE), np.float32)
    for index, volume in enumerate(coefficients):
        stacked[..., index] = volume.numpy()
    out = np.empty_like(stacked)
    _interpolate(stacked, np.ascontiguousarray(rotation.T[::-1, ::-1]), out)
    return [torch.from_numpy(np.ascontiguousarray(out[..., index])) for index in range(len(coefficients))]


def spline_coefficients(volume: Tensor) -> Tensor:
    """Return the coefficients of the cubic B-splines that pass through a map's values."""
    n = volume.shape[0]
    spectrum = torch.fft.rfftn(volume.float())
    for axis, frequency in enumerate((torch.fft.fftfreq(n), torch.fft.fftfreq(n), torch.fft.rfftfreq(n))):
        smoothing = (2 + torch.cos(2 * torch.pi * frequency)) / 3
        spectrum /= smoothing.view([-1 if i == axis else 1 for i in range(3)])
    result: Tensor = torch.fft.irfftn(spectrum, s=volume.shape)
    return result


@numba.njit(fastmath=True, cache=True, error_model="numpy", nogil=True)
def _interpolate(coefficients: Any, turn: Any, out: Any) -> None:
    """Fill `out` with the values at ``turn @ (place − middle) + middle``; arrays are ``(n, n, n, 4)``."""
    n = len(coefficients)
    middle = n // 2
    at = np.empty((3, 4), np.int64)
    weights = np.empty((3, 4), np.float32)
    for z in range(n):
        for y in range(n):
            for x in range(n):
                inside = True
                for axis in range(3):
                    row = turn[axis]
                    place = row[0] * (z - middle) + row[1] * (y - middle) + row[2] * (x - middle) + middle
                    inside &= -0.5 <= place <= n - 0.5
                    low = int(np.floor(place))
                    f = np.float32(place - low)
                    g = np.float32(1) - f
                    weights[axis, 0] = g * g * g / np.float32(6)
                    weights[axis, 1] = np.float32(2 / 3) - f * f * (np.float32(1) - f / np.float32(2))
                    weights[axis, 2] = np.float32(2 / 3) - g * g * (np.float32(1) - g / np.float32(2))
                    weights[axis, 3] = f * f * f / np.float32(6)
                    for tap in range(4):
                        at[axis, tap] = (low + tap - 1) % n
                one, two, three, four = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
                for a in range(4 if inside else 0):
                    for b in range(4):
                        line = coefficients[at[0, a], at[1, b]]
                        share = weights[0, a] * weights[1, b]
                        for c in range(4):
                            weight = share * weights[2, c]
                            values = line[at[2, c]]
                            one += weight * values[0]
                            two += weight * values[1]
                            three += weight * values[2]
                            four += weight * values[3]
                out[z, y, x, 0] = one
                out[z, y, x, 1] = two
                out[z, y, x, 2] = three
                out[z, y, x, 3] = four
