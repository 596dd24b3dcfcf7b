"""The denoiser applied to a whole map, block by block (METHOD: Kimanius et al. 2024, Methods, "Application").

Resample to 1.5 Å, standardise, multiply by a soft sphere, denoise blocks, blend them, and all the way back.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from blushcore.denoiser.denoiser import BlockDenoiser, call_within_memory
from blushcore.denoiser.local_std import local_standard_deviation
from blushcore.denoiser.network import BLOCK_SIZE, VOXEL_SIZE_ANGSTROM
from blushcore.denoiser.tiling import Origin, Tiling, add, blending_window, cover, cut
from blushcore.protocol import BlushError, Progress
from blushcore.volumes.fourier import fourier_resample
from blushcore.volumes.masks import soft_sphere
from blushcore.volumes.resampling import grid_of_voxel_size

SPHERE_EDGE_ANGSTROM = 10.0
"""Width of the soft edge outside the particle's sphere."""
SMALLEST_BOX = 8
VOXEL_SIZE_RANGE = (0.3, 10.0)
"""Å; what maps may come with."""
_SMALLEST_WEIGHT = 1e-6


@dataclass(frozen=True)
class DenoisedMap:
    """A denoised map on the grid of its input, float32 ``(z, y, x)`` each, on the CPU."""

    map: Tensor
    mask: Tensor
    """The network's own idea of where the particle is, 0 to 1."""
    blocks: int
    """How many blocks it took."""


@dataclass(frozen=True)
class Slice:
    """A slice through the map as given: across `axis` (0, 1, 2 for z, y, x) at `index`."""

    axis: int
    index: int


class MapDenoising:
    """One map on its way through the denoiser.

    ::

        denoising = MapDenoising(denoiser, data, voxel_size, diameter=120)
        for progress in denoising.run():
            ...
        result = denoising.result()

    The result does not depend on the scale of the map, and an offset only adds to it.

    Parameters
    ----------
    denoiser
        The network on its device.
    data
        The map, real ``(z, y, x)``, any axis of at least 8 voxels, cubic or not.
    voxel_size
        Å along (z, y, x), 0.3 to 10.
    diameter
        Of the particle, Å: all beyond its sphere (plus a soft edge of 10 Å outwards) is flat. None for the
        largest sphere in the box.
    mask
        Soft mask ``(z, y, x)`` to use together with the sphere, 0 to 1.
    focus
        Asked before each batch for the slice somebody looks at: its blocks come first.
    stride
        See `cover`.

    Raises
    ------
    BlushError
        For a map that is too small, has another voxel size than that, or is constant.
    """

    def __init__(
        self,
        denoiser: BlockDenoiser,
        data: Tensor,
        voxel_size: tuple[float, float, float],
        *,
        diameter: float | None = None,
        mask: Tensor | None = None,
        focus: Callable[[], Slice | None] = lambda: None,
        stride: int | None = None,
    ) -> None:
        _check(data, voxel_size)
        self._denoiser = denoiser
        self._focus = focus
        self._shape: tuple[int, int, int] = (data.shape[0], data.shape[1], data.shape[2])
        grid, exact = grid_of_voxel_size(self._shape, voxel_size, VOXEL_SIZE_ANGSTROM)
        # The mean goes first: it would meet the zeros outside the box in the local standard deviation.
        offset = float(data.mean(dtype=torch.float64))
        raw = fourier_resample(data.float() - offset, grid)
        local_std = local_standard_deviation(raw)
        self._std = float(raw.std())
        self._mask = _sphere(grid, exact, diameter)
        if mask is not None:
            self._mask *= fourier_resample(mask.float(), grid).clamp_(0, 1)
        if not bool((self._mask > 0).any()):
            raise BlushError(
                "The mask is empty.", "Give a mask that is positive somewhere within the diameter."
            )
        outside = 1 - self._mask
        weight = float(outside.sum())
        background = float((raw * outside).sum()) / weight if weight > 1 else 0.0
        self._offset, self._background = offset, background
        self._standardised = raw.div_(self._std).mul_(self._mask)
        self._local_std = local_std.mul_(self._mask)
        self._tiling = cover(self._mask, stride=stride)
        self._left = set(self._tiling.origins)
        self._window = blending_window(denoiser.device)
        self._sum, self._mask_sum, self._weight = (torch.zeros(grid) for _ in range(3))

    @property
    def tiling(self) -> Tiling:
        """Where the blocks lie on the network's grid."""
        return self._tiling

    def run(self) -> Iterator[Progress]:
        """Denoise block by block, a batch between two yields; stop iterating to cancel."""
        total = len(self._tiling.origins)
        started = time.monotonic()
        yield Progress(stage="denoising", done=0, total=total, unit="blocks")
        while self._left:
            batch = self._next_batch()
            self._denoise(batch)
            self._left.difference_update(batch)
            done = total - len(self._left)
            eta = (time.monotonic() - started) * len(self._left) / done
            yield Progress(stage="denoising", done=done, total=total, unit="blocks", eta_seconds=eta)

    def result(self) -> DenoisedMap:
        """Return the denoised map. Before `run` has ended, what is missing is the input under the sphere."""
        weight = self._weight.clamp_min(_SMALLEST_WEIGHT)
        seen = self._weight > _SMALLEST_WEIGHT
        blended = torch.where(seen, self._sum / weight, self._standardised)
        blended.mul_(self._std).sub_(self._background * self._mask).mul_(self._mask)
        inside = torch.where(seen, self._mask_sum / weight, 0).mul_(self._mask)
        back = fourier_resample(blended, self._shape).add_(self._offset + self._background)
        return DenoisedMap(back, fourier_resample(inside, self._shape).clamp_(0, 1), len(self._tiling.origins))

    def _next_batch(self) -> list[Origin]:
        focus = self._focus()
        ordered = sorted(self._left)
        if focus is not None:
            middle = tuple(n // 2 for n in self._tiling.shape)
            place = (focus.index + 0.5) / self._shape[focus.axis] * self._tiling.shape[focus.axis]

            def far(origin: Origin) -> float:
                centre = [start + BLOCK_SIZE / 2 for start in origin]
                across = abs(centre[focus.axis] - place)
                return 1000 * (across > BLOCK_SIZE / 2) + across + math.dist(centre, middle) / 10

            ordered.sort(key=far)
        return ordered[: self._denoiser.batch_size]

    def _denoise(self, batch: list[Origin]) -> None:
        device = self._denoiser.device
        blocks, stds = (
            torch.stack([cut(volume, origin) for origin in batch]).to(device)
            for volume in (self._standardised, self._local_std)
        )
        denoised = call_within_memory(self._denoiser, blocks, stds)
        weighted = (denoised.blocks * self._window).to(self._sum.device)
        masks = (torch.sigmoid(denoised.mask_logits) * self._window).to(self._sum.device)
        window = self._window.to(self._sum.device)
        for origin, block, inside in zip(batch, weighted, masks, strict=True):
            add(self._sum, origin, block)
            add(self._mask_sum, origin, inside)
            add(self._weight, origin, window)


def denoise_map(
    denoiser: BlockDenoiser,
    data: Tensor,
    voxel_size: tuple[float, float, float],
    *,
    diameter: float | None = None,
    mask: Tensor | None = None,
    stride: int | None = None,
) -> DenoisedMap:
    """Denoise a map in one go; parameters as those of `MapDenoising`."""
    denoising = MapDenoising(denoiser, data, voxel_size, diameter=diameter, mask=mask, stride=stride)
    for _ in denoising.run():
        pass
    return denoising.result()


def _check(data: Tensor, voxel_size: tuple[float, float, float]) -> None:
    low, high = VOXEL_SIZE_RANGE
    if min(data.shape) < SMALLEST_BOX:
        raise BlushError(
            f"The map has {' × '.join(map(str, data.shape))} voxels (z, y, x).",
            f"The denoiser needs at least {SMALLEST_BOX} along each axis.",
        )
    if not all(low <= size <= high for size in voxel_size):
        sizes = ", ".join(f"{size:g}" for size in voxel_size)
        raise BlushError(
            f"The voxel size is {sizes} Å (z, y, x); the denoiser takes {low:g} to {high:g} Å.",
            "Check the map's header; the voxel size can be given by hand.",
        )
    if not bool(torch.isfinite(data).all()):
        raise BlushError(
            "The map holds values that are not numbers (NaN or infinity).", "Write it again without."
        )
    if float(data.max()) == float(data.min()):
        raise BlushError(
            "The map is constant: there is nothing to denoise.", "Check that it is the right file."
        )


def _sphere(
    grid: tuple[int, int, int], voxel_size: tuple[float, float, float], diameter: float | None
) -> Tensor:
    """The soft sphere on the network's grid, within the box along its longest axis."""
    size = sum(voxel_size) / 3
    edge = SPHERE_EDGE_ANGSTROM / size
    largest = max(max(grid) / 2 - edge, max(grid) / 4)
    radius = largest if diameter is None else min(diameter / 2 / size, largest)
    return soft_sphere(grid, radius, edge)
