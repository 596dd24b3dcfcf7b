"""Adds the images of a tile, weighted by their posterior, to an iteration's sums.

Each orientation is inserted once for all images of the tile: a posterior-weighted sum of images is a slice. The
sum over an image's offsets is a product of its table of weights with the phase ramps; what depends on the image
only through its CTF are products over images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from blushcore.devices import kernel_threads
from blushcore.inference import posterior_kernels
from blushcore.inference.poses_kept import PosesToCompare
from blushcore.inference.posterior import Posterior
from blushcore.inference.views import Views
from blushcore.projection import SliceSums
from blushcore.shells import PlaneComponents

_PARTS = 8
"""Into how many parts an image's orientations are cut, whatever the number of threads."""
_BLOCK_BYTES, _CROSS_BYTES = 16 << 20, 32 << 20
"""Of slices, and of parts of the cross terms, at one time on the CPU: of more, everything waits for memory."""
_LEAST_ROWS = 16


@dataclass(frozen=True)
class TileImages:
    """B images as the sums take them, over P components.

    Attributes
    ----------
    masked, unmasked
        complex64 ``(B, P)``.
    factor
        What unmasked images are multiplied by for the reconstruction: s·CTF/σ², float32 ``(B, P)``.
    power
        (s·CTF)²/σ², float32 ``(B, P)``.
    """

    masked: Tensor
    unmasked: Tensor
    factor: Tensor
    power: Tensor

    def part(self, part: slice) -> TileImages:
        """Return some of the images."""
        return TileImages(self.masked[part], self.unmasked[part], self.factor[part], self.power[part])


@dataclass(frozen=True)
class ResidualParts:
    """ΣΓ Re⟨S, X⟩ and ΣΓ|S|² of each image and component, without any CTF, float32 ``(B, P)``."""

    cross: Tensor
    power: Tensor


def add_posterior_sums(
    sums: Sequence[SliceSums],
    views: Views,
    plane: PlaneComponents,
    poses: PosesToCompare,
    posterior: Posterior,
    images: TileImages,
    ramps: Tensor,
    *,
    slice_bytes: int,
    magnification: Tensor | None = None,
) -> ResidualParts:
    """Add images to the reconstruction's sums: first over the offsets, then over images, then into the volume.

    Parameters
    ----------
    sums
        Those of each class; added to.
    views, plane
        The references in all orientations, and the components.
    poses, posterior
        The fine poses of each image and their weights.
    images
        The images.
    ramps
        Phase ramps of all child offsets, complex64 ``(4T, P)``.
    slice_bytes
        Memory for slices at one time.
    magnification
        As for slices.
    """
    count, device = len(images.masked), images.factor.device
    compiled = kernel_threads.has_kernels(device)
    power = torch.zeros(count, plane.count, device=device)
    kept = poses.orientations[(posterior.of_orientations > 0).to(device)]
    row_bytes = 8 * plane.count
    most_slices = max(_LEAST_ROWS, slice_bytes // (4 * row_bytes))
    if compiled:
        most_slices = min(most_slices, max(_LEAST_ROWS, _BLOCK_BYTES // row_bytes))
    add = (_Compiled if compiled else _Products)(poses, posterior, images, ramps)
    blocks = torch.split(torch.unique(kept), most_slices) if len(kept) else ()
    of_slices, of_data = torch.empty(2, min(most_slices, len(kept)), 2 * plane.count, device=device)
    for block in blocks:
        slices, data = of_slices[: len(block)], of_data[: len(block)].zero_()
        views.slices_real(block, poses.oversampling, plane, magnification=magnification, out=slices)
        share_of = torch.zeros(count, len(block), device=device)
        add(block, slices, data, share_of)
        power += share_of @ (slices[:, : plane.count].square() + slices[:, plane.count :].square())
        views.insert(
            sums,
            block,
            poses.oversampling,
            torch.complex(data[:, : plane.count], data[:, plane.count :]),
            share_of.T @ images.power,
            plane,
            magnification=magnification,
        )
    return ResidualParts(add.cross, power)


class _Compiled:
    """Adds by compiled loops over orientations, then images, then the offsets that have weight."""

    def __init__(self, poses: PosesToCompare, posterior: Posterior, images: TileImages, ramps: Tensor) -> None:
        self.cross = torch.zeros(images.factor.shape)
        self._poses, self._posterior = poses, posterior
        self._value_start = poses.value_start.numpy()
        self._ramps = _real_and_imaginary(ramps).numpy()
        self._unmasked = _real_and_imaginary(images.unmasked * images.factor).numpy()
        self._masked = _real_and_imaginary(images.masked).numpy()
        self._at_once = max(1, _CROSS_BYTES // (4 * _PARTS * images.factor.shape[1]))

    def __call__(self, block: Tensor, slices: Tensor, data: Tensor, share_of: Tensor) -> None:
        poses = self._poses
        kernel_threads.use_torch_threads()
        for first in range(0, len(self.cross), self._at_once):
            some = slice(first, first + self._at_once)
            parts = torch.zeros(_PARTS, *self.cross[some].shape)
            posterior_kernels.add_images(
                block.numpy(),
                slices.numpy(),
                poses.orientations.numpy(),
                poses.orientation_start.numpy(),
                poses.offsets.numpy(),
                poses.offset_start.numpy(),
                self._posterior.weights.numpy(),
                self._value_start,
                self._posterior.of_orientations.numpy(),
                self._ramps,
                self._unmasked,
                self._masked,
                first,
                data.numpy(),
                parts.numpy(),
                share_of.numpy(),
            )
            self.cross[some] += parts.sum(0)


class _Products:
    """Adds by matrix products of an image's weights with the phase ramps: for any device."""

    def __init__(self, poses: PosesToCompare, posterior: Posterior, images: TileImages, ramps: Tensor) -> None:
        self.cross = torch.zeros_like(images.factor)
        self._shares = [_Share.of(b, poses, posterior) for b in range(len(images.masked))]
        self._ramps = _real_and_imaginary(ramps)
        self._unmasked = _real_and_imaginary(images.unmasked * images.factor)
        self._masked = _real_and_imaginary(images.masked)

    def __call__(self, block: Tensor, slices: Tensor, data: Tensor, share_of: Tensor) -> None:
        limits = np.array([int(block[0]), int(block[-1]) + 1])
        for b, share in enumerate(self._shares):
            some = share.within(limits)
            table = share.weights[some]
            rows = torch.searchsorted(block, share.orientations[some])
            share_of[b, rows] = table.sum(1)
            moved = torch.mm(table, self._ramps[share.offsets])
            _add_moved(slices, rows, moved, self._unmasked[b], self._masked[b], data, self.cross[b])


@dataclass(frozen=True)
class _Share:
    """The poses of one image that have weight: its orientations × its offsets."""

    orientations: Tensor
    offsets: Tensor
    weights: Tensor

    @classmethod
    def of(cls, b: int, poses: PosesToCompare, posterior: Posterior) -> _Share:
        start = poses.value_start
        o0, o1 = poses.orientation_start[b : b + 2].tolist()
        t0, t1 = poses.offset_start[b : b + 2].tolist()
        device = posterior.weights.device
        rows = posterior.of_orientations[o0:o1].nonzero()[:, 0].to(device)
        columns = posterior.of_offsets[t0:t1].nonzero()[:, 0].to(device)
        table = posterior.weights[start[b] : start[b + 1]].view(o1 - o0, t1 - t0)[rows]
        if len(columns) < t1 - t0:
            table = table[:, columns]
        return cls(poses.orientations[o0:o1][rows], poses.offsets[t0:t1][columns], table)

    def within(self, limits: np.ndarray) -> slice:
        """Return which of the orientations lie within `limits`."""
        first, last = np.searchsorted(self.orientations.cpu().numpy(), limits).tolist()
        return slice(first, last)


def _real_and_imaginary(values: Tensor) -> Tensor:
    """Return complex ``(B, P)`` as float32 ``(B, 2P)``, real parts first."""
    return torch.cat((values.real, values.imag), 1)


def _add_moved(
    slices: Tensor, rows: Tensor, moved: Tensor, unmasked: Tensor, masked: Tensor, data: Tensor, cross: Tensor
) -> None:
    """Add one image, moved by all its offsets at once, to `data` of its slices `rows`; and to `cross`.

    slices, data ``(K, 2P)``, moved ``(R, 2P)`` and the images ``(2P,)`` have their real parts first; `cross` is
    ``(P,)``.
    """
    count = len(cross)
    real, imaginary = moved[:, :count], moved[:, count:]

    def product(image: Tensor) -> Tensor:
        return torch.cat(
            (
                real * image[:count] - imaginary * image[count:],
                real * image[count:] + imaginary * image[:count],
            ),
            1,
        )

    data.index_add_(0, rows, product(unmasked))
    overlap = product(masked) * slices[rows]
    cross += (overlap[:, :count] + overlap[:, count:]).sum(0)
