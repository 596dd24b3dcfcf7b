"""Local resolution: the FSC of two halves within a small window, from place to place.

Cardone, Heymann & Steven 2013, J Struct Biol 184:226.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from blushcore.protocol import BlushError
from blushcore.shells.correlation import fsc
from blushcore.shells.geometry import half_axis_weights, shell_count, shell_indices
from blushcore.shells.resolution import resolution
from blushcore.shells.transforms import VolumeLike, as_cubes
from blushcore.volumes import soft_sphere

LOCAL_THRESHOLD = 0.5
"""A window has few components a shell: 0.143 would often be crossed by chance."""
WINDOW_OVER_RESOLUTION = 6.0
"""Usual size of a window, in units of the resolution of the whole map."""
_LEAST_WINDOW = 12
_SAMPLES_PER_WINDOW = 6
_BATCH_VOXELS = 1 << 21


@dataclass(frozen=True, eq=False)
class LocalResolution:
    """The resolution from place to place.

    Attributes
    ----------
    map
        In Å, float32 ``(n, n, n)``. Outside the mask it is the lowest resolution inside, so that no surface
        that is coloured by it looks better at its rim than it is.
    inside
        Where it was asked for, bool ``(n, n, n)``.
    window_voxels, step_voxels
        Edge of the windows, and their distance; between them the spatial frequency is interpolated.
    threshold
        The FSC at which the resolution is read.
    """

    map: NDArray[np.float32]
    inside: NDArray[np.bool_]
    window_voxels: int
    step_voxels: int
    threshold: float

    def percentiles(self, *shares: float) -> list[float]:
        """Return the resolution in Å that these percentages of the inside reach or surpass."""
        return [float(value) for value in np.percentile(self.map[self.inside], shares)]


class LocalResolutionMeasurement:
    """Two halves on their way to a map of local resolution.

    ::

        measurement = LocalResolutionMeasurement(half1, half2, voxel_size=1.1, window_angstrom=25)
        for done in measurement.run():
            ...
        result = measurement.result()

    Parameters
    ----------
    half1, half2
        Unfiltered halves ``(n, n, n)``; numpy, or torch on any device, where the work is done.
    voxel_size
        In Å.
    window_angstrom
        Edge of the cubic window, whose weight falls as a raised cosine from its centre to its faces (a sharper
        edge would carry strong low frequencies into weak high ones). Five to seven times the resolution of the
        whole map are usual: small windows see little and say too much.
    threshold
        The FSC at which the resolution is read.
    mask
        Where to measure, ``(n, n, n)``: where it is 0.5 or more. By default the sphere in the box.
    step
        Distance of the windows in voxels; by default a sixth of their edge.

    Raises
    ------
    BlushError
        If the halves are not cubes of one size or hold NaN, the window does not fit, or the mask is empty.
    """

    def __init__(
        self,
        half1: VolumeLike,
        half2: VolumeLike,
        *,
        voxel_size: float,
        window_angstrom: float,
        threshold: float = LOCAL_THRESHOLD,
        mask: VolumeLike | None = None,
        step: int | None = None,
    ) -> None:
        first, second = as_cubes(half1, half2)
        halves = torch.stack([first, second]).float()
        if not bool(torch.isfinite(halves).all()):
            raise BlushError("The halves contain NaN or infinite values.", "Recompute or repair the maps.")
        n = first.shape[0]
        self._voxel_size, self._threshold = voxel_size, threshold
        self._window = window = 2 * round(window_angstrom / voxel_size / 2)
        if not _LEAST_WINDOW <= window <= n:
            raise BlushError(
                f"A window of {window_angstrom:g} Å is {window} voxels of {voxel_size:.4g} Å; it should be "
                f"from {_LEAST_WINDOW} to the box of {n}.",
                "Give another size: five to seven times the resolution of the whole map.",
            )
        self._step = max(1, window // _SAMPLES_PER_WINDOW) if step is None else step
        self._inside = _inside(mask, n)
        self._padded = torch.nn.functional.pad(halves, [window // 2] * 6)
        self._taper = soft_sphere((window,) * 3, 0.0, window / 2, device=halves.device)
        shells = shell_indices(window, device=halves.device).long().clamp(max=window // 2 + 1)
        self._shells = shells.flatten()
        along_x = half_axis_weights(window).float().to(halves.device)
        self._weights = along_x.expand(window, window, -1).flatten()
        self._axis = torch.arange(0, n + self._step, self._step)
        self._frequency = torch.full((len(self._axis),) * 3, math.nan)
        self._samples = _samples(self._inside, self._axis, self._step)

    @property
    def total(self) -> int:
        """How many windows there are."""
        return len(self._samples)

    def run(self) -> Iterator[int]:
        """Measure window by window; yields how many are done, after each batch."""
        size = max(1, _BATCH_VOXELS // self._window**3)
        for start in range(0, len(self._samples), size):
            batch = self._samples[start : start + size]
            centres = self._axis[batch].clamp(max=self._padded.shape[-1] - self._window - 1)
            curves = self._fsc_at(centres)
            crossing = torch.tensor([crossing_shell(curve, self._threshold) for curve in curves])
            self._frequency[tuple(batch.T)] = crossing.float() / (self._window * self._voxel_size)
            yield min(start + size, len(self._samples))

    def result(self) -> LocalResolution:
        """Return the map; all windows must have been measured."""
        n = self._inside.shape[0]
        frequency = torch.from_numpy(_interpolated(self._frequency.numpy(), self._step, n))
        resolution = (1.0 / frequency).numpy()
        resolution[~self._inside] = resolution[self._inside].max()
        return LocalResolution(
            resolution.astype(np.float32), self._inside, self._window, self._step, self._threshold
        )

    def _fsc_at(self, centres: Tensor) -> NDArray[np.float64]:
        """Return the FSC within the window about each of some voxels, ``(count, window // 2 + 1)``."""
        size = self._window
        # The padding has shifted all by half a window: a window begins at its centre's old index.
        cut = [self._padded[:, z : z + size, y : y + size, x : x + size] for z, y, x in centres.tolist()]
        windows = torch.stack(cut, dim=1)
        windows = windows - (windows * self._taper).sum((-3, -2, -1), keepdim=True) / self._taper.sum()
        transform = torch.fft.rfftn(windows * self._taper, dim=(-3, -2, -1)).flatten(2)
        one, two = transform
        products = torch.stack([(one * two.conj()).real, one.abs().square(), two.abs().square()])
        sums = products.new_zeros((*products.shape[:2], size // 2 + 2))
        sums.index_add_(2, self._shells, products * self._weights)
        cross, power1, power2 = sums[..., : shell_count(size)].double().cpu()
        curve = cross / (power1.sqrt() * power2.sqrt()).clamp_min(1e-30)
        curve[:, 0] = 1.0
        values: NDArray[np.float64] = curve.numpy()
        return values


def local_resolution(
    half1: VolumeLike,
    half2: VolumeLike,
    *,
    voxel_size: float,
    window_angstrom: float,
    threshold: float = LOCAL_THRESHOLD,
    mask: VolumeLike | None = None,
    step: int | None = None,
) -> LocalResolution:
    """Measure the local resolution in one go; parameters as those of `LocalResolutionMeasurement`."""
    measurement = LocalResolutionMeasurement(
        half1,
        half2,
        voxel_size=voxel_size,
        window_angstrom=window_angstrom,
        threshold=threshold,
        mask=mask,
        step=step,
    )
    for _ in measurement.run():
        pass
    return measurement.result()


def usual_window_angstrom(half1: VolumeLike, half2: VolumeLike, *, voxel_size: float) -> float:
    """Return the usual edge of a window (Å): six times the resolution of the whole map, at most the box.

    Raises
    ------
    BlushError
        If the halves agree nowhere.
    """
    curve = fsc(half1, half2)
    box_angstrom = 2 * (len(curve) - 1) * voxel_size
    whole = resolution(curve, box_angstrom).angstrom
    if not math.isfinite(whole):
        raise BlushError("The halves agree nowhere: there is no resolution to measure.", "Check the files.")
    return min(WINDOW_OVER_RESOLUTION * whole, box_angstrom)


def crossing_shell(curve: NDArray[np.float64], threshold: float) -> float:
    """Return the interpolated shell at which a curve falls below a threshold, at least 1; the last if never."""
    below = np.flatnonzero(curve[1:] < threshold)
    if not below.size:
        return float(len(curve) - 1)
    shell = int(below[0])
    crossing = shell + (curve[shell] - threshold) / (curve[shell] - curve[shell + 1])
    return max(1.0, float(crossing))


def _inside(mask: VolumeLike | None, n: int) -> NDArray[np.bool_]:
    if mask is None:
        chosen: NDArray[np.bool_] = (soft_sphere((n,) * 3, n / 2 - 1, 0.0) > 0).numpy()
        return chosen
    values = np.asarray(mask.detach().cpu() if isinstance(mask, Tensor) else mask, dtype=np.float32)
    if values.shape != (n,) * 3:
        raise BlushError(
            f"The mask has a box of {values.shape[-1]} voxels, the halves of {n}.",
            "Give a mask on the grid of the halves.",
        )
    chosen = values >= 0.5
    if not chosen.any():
        raise BlushError("The mask is below 0.5 everywhere.", "Give one that is 1 in the particle.")
    return chosen


def _samples(inside: NDArray[np.bool_], axis: Tensor, step: int) -> Tensor:
    """Return the grid points that the voxels inside are interpolated from, int64 ``(count, 3)``."""
    cells = np.argwhere(inside) // step
    needed = np.zeros((len(axis),) * 3, bool)
    for corner in itertools.product((0, 1), repeat=3):
        z, y, x = np.minimum(cells + corner, len(axis) - 1).T
        needed[z, y, x] = True
    return torch.from_numpy(np.argwhere(needed))


def _interpolated(values: NDArray[np.float32], step: int, n: int) -> NDArray[np.float32]:
    """Interpolate linearly from every `step`-th voxel to all; NaN where any corner with a share is."""
    for axis in range(3):
        place = np.arange(n) / step
        below = place.astype(int)
        share = (place - below).astype(np.float32).reshape([-1 if i == axis else 1 for i in range(3)])
        low = np.take(values, below, axis)
        high = np.take(values, np.minimum(below + 1, values.shape[axis] - 1), axis)
        values = np.where(share > 0, low * (1 - share) + high * share, low)
    return values
