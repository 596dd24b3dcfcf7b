"""The denoiser applied to a whole map, block by block (METHOD: Kimanius et al. 2024, Methods, "Application").

Resample to 1.5 Å, standardise, multiply by a soft sphere, denoise blocks, blend them, and all the way back.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from blushcore.denoiser.acceptance import require_denoisable, require_finite
from blushcore.denoiser.denoiser import BlockDenoiser, call_within_memory
from blushcore.denoiser.local_std import local_standard_deviation
from blushcore.denoiser.network import BLOCK_SIZE, VOXEL_SIZE_ANGSTROM
from blushcore.denoiser.placement import fits, host_with_room, volumes_peak_bytes, with_room
from blushcore.denoiser.region import mask_on_grid, particle_sphere
from blushcore.denoiser.tiling import MARGIN, Origin, Tiling, add, blending_window, cover, cut
from blushcore.protocol import BlushError, Progress
from blushcore.volumes import describe_box
from blushcore.volumes.fourier import fourier_resample
from blushcore.volumes.resampling import grid_of_voxel_size

_SMALLEST_WEIGHT = 1e-6
_SMALLEST_CONTRAST = 1e-6
"""Least standard deviation on the network's grid, relative to the largest value of the map."""


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
    """A slice through the map as given: across `axis` (0, 1, 2 for z, y, x) at `index`.

    It means the same place in space on the network's grid, whose number of voxels is another. `centre` is where
    in the slice the eye rests, in the map's voxels along the two other axes; None for the middle.
    """

    axis: int
    index: int
    centre: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.axis not in (0, 1, 2):
            raise ValueError(f"a slice is across axis 0, 1 or 2, not {self.axis}")


@dataclass
class Volumes:
    """What stays in memory of a map on its way, float32 on the network's grid, all on one device."""

    standardised: Tensor
    """The input to the blocks."""
    local_std: Tensor
    """Their second channel."""
    mask: Tensor
    estimate: Tensor
    """The result so far: begins as the input, and each block adds its share of the difference it makes."""
    inside: Tensor
    """Likewise for the network's mask, beginning with 0."""
    weight: Tensor
    """Sum of the windows of all blocks."""
    window: Tensor
    """A block's window."""

    def move_to(self, device: torch.device) -> None:
        """Move all of them to a device."""
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name).to(device))


class MapDenoising:
    """One map on its way through the denoiser.

    ::

        denoising = MapDenoising(denoiser, data, voxel_size, diameter=120)
        for progress in denoising.run():
            ...
        result = denoising.result()

    The result does not depend on the scale of the map, and an offset only adds to it. Outside the sphere (and
    outside `mask`) it is flat at the mean that the map has there.

    Six volumes on the network's grid stay in memory, five more on the larger of the two grids come and go. They
    live beside the network on a CUDA device that has room for them, and on the host otherwise; when the device
    runs out of memory, batches become smaller, then the volumes move to the host, and then it is an error. The
    network itself never moves.

    Parameters
    ----------
    denoiser
        The network on its device.
    data
        The map, real ``(z, y, x)``, any axis of at least 8 voxels, cubic or not.
    voxel_size
        Å along (z, y, x), 0.3 to 10.
    diameter
        Of the particle, Å; None for the largest sphere in the box. See `particle_sphere`.
    mask
        Soft mask ``(z, y, x)`` to use together with the sphere, 0 to 1. Blocks outside are not computed.
    focus
        Asked before each batch, in the thread that iterates, for the slice somebody looks at: its blocks come
        first. What it returns may be set by another thread at any time.
    stride
        See `cover`.
    name, mask_name
        What sentences call the map and the mask: their files, say.

    Raises
    ------
    BlushError
        For a map or mask that cannot be used, or that the memory is too small for.
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
        name: str = "The map",
        mask_name: str = "The mask",
    ) -> None:
        _check(data, voxel_size, mask, name, mask_name)
        self._name, self._mask_name = name, mask_name
        self._denoiser = denoiser
        self._focus = focus
        self._shape: tuple[int, int, int] = (data.shape[0], data.shape[1], data.shape[2])
        self._grid, self._grid_voxel_size = grid_of_voxel_size(self._shape, voxel_size, VOXEL_SIZE_ANGSTROM)
        place = with_room(self._peak_bytes, denoiser.device)
        if not fits(place, lambda: self._set_up(data, mask, diameter, stride, place)):
            self._set_up(data, mask, diameter, stride, host_with_room(self._peak_bytes))
        self._left = set(self._tiling.origins)

    @property
    def _peak_bytes(self) -> int:
        return volumes_peak_bytes(self._shape, self._grid)

    def _set_up(
        self,
        data: Tensor,
        mask: Tensor | None,
        diameter: float | None,
        stride: int | None,
        place: torch.device,
    ) -> None:
        # Values of order one first: float32 holds the square of neither 1e-25 nor 1e25. And without their mean,
        # which would meet the zeros outside the box in the local standard deviation.
        self._offset = float(data.mean(dtype=torch.float64))
        scale = max(float(data.max()) - self._offset, self._offset - float(data.min()))
        raw = fourier_resample((data.to(place).float() - self._offset).div_(scale), self._grid)
        std = float(raw.std())
        if not std > _SMALLEST_CONTRAST:
            raise BlushError(
                f"{self._name} is constant on the denoiser's grid of {VOXEL_SIZE_ANGSTROM:g} Å: "
                f"all it holds is finer than {2 * VOXEL_SIZE_ANGSTROM:g} Å.",
                "Check its voxel size.",
            )
        self._std = std * scale
        local_std = local_standard_deviation(raw)
        region = particle_sphere(self._grid, self._grid_voxel_size, diameter, device=place)
        if mask is not None:
            region.mul_(mask_on_grid(mask.to(place), self._grid))
            if not bool((region > 0).any()):
                raise BlushError(
                    f"{self._mask_name} is empty within the particle's sphere.",
                    "Give a mask that is positive somewhere in there, or a larger diameter.",
                )
        self._background = _mean_outside(raw, region) * scale
        self._tiling = cover(region, stride=stride)
        window = blending_window(place)
        weight = torch.zeros_like(region)
        for origin in self._tiling.origins:
            add(weight, origin, window)
        local_std.mul_(region)
        standardised = raw.div_(std).mul_(region)
        self._volumes = Volumes(
            standardised=standardised,
            local_std=local_std,
            mask=region,
            estimate=standardised.clone(),
            inside=torch.zeros_like(region),
            weight=weight,
            window=window,
        )

    @property
    def tiling(self) -> Tiling:
        """Where the blocks lie on the network's grid."""
        return self._tiling

    @property
    def volumes_device(self) -> torch.device:
        """Where the map's volumes are: the network's device, or the host where that is too small for them."""
        return self._volumes.mask.device

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels along (z, y, x) of the map as given."""
        return self._shape

    @property
    def left(self) -> frozenset[Origin]:
        """The blocks that are still to be done."""
        return frozenset(self._left)

    @property
    def volumes(self) -> Volumes:
        """The volumes as they stand, lent until the next batch: to be read, not written."""
        return self._volumes

    @property
    def scale(self) -> float:
        """What a standardised value is multiplied with on its way back to the map's units."""
        return self._std

    @property
    def background(self) -> float:
        """Mean outside the sphere and mask, in the map's units, relative to `offset`."""
        return self._background

    @property
    def offset(self) -> float:
        """Mean of the map as given."""
        return self._offset

    def place(self, where: Slice) -> tuple[float, float, float]:
        """Return the point of the network's grid that a slice's `centre` lies at, in voxels (z, y, x)."""
        wanted = [float(n // 2) for n in self._shape]
        wanted[where.axis] = where.index
        if where.centre is not None:
            first, second = (axis for axis in range(3) if axis != where.axis)
            wanted[first], wanted[second] = where.centre
        # As `fourier_resample` has it: centre on centre.
        z, y, x = (
            m // 2 + (place - n // 2) * m / n
            for place, n, m in zip(wanted, self._shape, self._tiling.shape, strict=True)
        )
        return z, y, x

    def across(self, where: Slice) -> frozenset[Origin]:
        """Return the blocks, done or not, that contribute to a slice."""
        place = self.place(where)[where.axis]
        return frozenset(origin for origin in self._tiling.origins if _contributes(origin[where.axis], place))

    def run(self) -> Iterator[Progress]:
        """Denoise block by block, a batch between two yields; stop iterating to cancel."""
        total = len(self._tiling.origins)
        started, before = time.monotonic(), total - len(self._left)
        yield Progress(stage="denoising", done=before, total=total, unit="blocks")
        while self._left:
            batch = self._next_batch()
            self._denoise(batch)
            self._left.difference_update(batch)
            done = total - len(self._left)
            eta = (time.monotonic() - started) * len(self._left) / (done - before)
            yield Progress(stage="denoising", done=done, total=total, unit="blocks", eta_seconds=eta)

    def result(self) -> DenoisedMap:
        """Return the denoised map. Before `run` has ended, what is missing is the input under the sphere."""
        volumes = self._volumes
        flat = self._offset + self._background
        blended = (volumes.estimate * self._std).sub_(self._background * volumes.mask).mul_(volumes.mask)
        back = fourier_resample(blended, self._shape).add_(flat).cpu()
        inside = mask_on_grid(volumes.inside * volumes.mask, self._shape).cpu()
        return DenoisedMap(back, inside, len(self._tiling.origins))

    def _next_batch(self) -> list[Origin]:
        focus = self._focus()
        ordered = sorted(self._left)
        if focus is not None:
            place = self.place(focus)

            def far(origin: Origin) -> tuple[bool, float]:
                centre = [start + (BLOCK_SIZE - 1) / 2 for start in origin]
                return not _contributes(origin[focus.axis], place[focus.axis]), math.dist(centre, place)

            ordered.sort(key=far)
        return ordered[: self._denoiser.batch_size]

    def _denoise(self, batch: list[Origin]) -> None:
        device = self.volumes_device
        if not fits(device, lambda: self._denoise_once(batch)):
            self._volumes.move_to(host_with_room(self._peak_bytes))
            torch.cuda.empty_cache()
            self._denoise_once(batch)

    def _denoise_once(self, batch: list[Origin]) -> None:
        volumes, device = self._volumes, self.volumes_device
        blocks = torch.stack([cut(volumes.standardised, origin) for origin in batch])
        stds = torch.stack([cut(volumes.local_std, origin) for origin in batch])
        denoised = call_within_memory(self._denoiser, blocks, stds)
        shares = [volumes.window / cut(volumes.weight, origin).clamp_min(_SMALLEST_WEIGHT) for origin in batch]
        changes = denoised.blocks.to(device) - blocks
        inside = torch.sigmoid(denoised.mask_logits).to(device)
        # All that takes memory has been done: a batch counts once or not at all.
        for index, origin in enumerate(batch):
            add(volumes.estimate, origin, changes[index].mul_(shares[index]))
            add(volumes.inside, origin, shares[index].mul_(inside[index]))


def denoise_map(
    denoiser: BlockDenoiser,
    data: Tensor,
    voxel_size: tuple[float, float, float],
    *,
    diameter: float | None = None,
    mask: Tensor | None = None,
    stride: int | None = None,
    name: str = "The map",
) -> DenoisedMap:
    """Denoise a map in one go; parameters as those of `MapDenoising`."""
    denoising = MapDenoising(denoiser, data, voxel_size, diameter=diameter, mask=mask, stride=stride, name=name)
    for _ in denoising.run():
        pass
    return denoising.result()


def _contributes(start: int, place: float) -> bool:
    """Whether a block that starts at `start` along an axis has a say at `place` along it."""
    return abs(start + (BLOCK_SIZE - 1) / 2 - place) < BLOCK_SIZE / 2 - MARGIN


def _check(
    data: Tensor, voxel_size: tuple[float, float, float], mask: Tensor | None, name: str, mask_name: str
) -> None:
    if data.ndim != 3:
        raise ValueError(f"a map has three axes, got shape {tuple(data.shape)}")
    require_denoisable(tuple(data.shape), voxel_size, _value_range(data), name)
    if mask is None:
        return
    if mask.shape != data.shape:
        raise BlushError(
            f"{mask_name} has {describe_box(mask.shape)} voxels, {name} {describe_box(data.shape)} (x, y, z).",
            "Resample the mask to the map's grid.",
        )
    require_finite(_value_range(mask), mask_name)


def _value_range(data: Tensor) -> tuple[float, float]:
    lowest, highest = (float(bound) for bound in torch.aminmax(data))  # NaN if any is
    return lowest, highest


def _mean_outside(volume: Tensor, mask: Tensor) -> float:
    """Mean of a volume of mean 0 where the mask is not; 0 where the mask leaves nothing out."""
    outside = 1 - mask
    weight = float(outside.sum())
    return float(outside.mul_(volume).sum()) / weight if weight > 1 else 0.0
