"""Adds the images of a tile, weighted by their posterior, to an iteration's sums.

Each orientation is inserted once for all images of the tile: a posterior-weighted sum of images is a slice. The
sum over an image's offsets is a product of its table of weights with the phase ramps; what depends on the image
only through its CTF are products over images.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from blushcore.devices import kernel_threads
from blushcore.inference import ragged_kernels
from blushcore.inference.poses_kept import PosesToCompare
from blushcore.inference.posterior import Posterior
from blushcore.inference.views import Views
from blushcore.projection import SliceSums
from blushcore.shells import PlaneComponents

_PARTS = 8
"""Into how many parts an image's orientations are cut, whatever the number of threads."""
_BLOCK_BYTES, _MOVED_BYTES = 16 << 20, 2 << 20
"""Of slices and of moved images at one time on the CPU: in larger blocks everything waits for memory."""
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
    cross = torch.zeros(count, plane.count, device=device)
    power = torch.zeros_like(cross)
    shares = [_Share.of(b, poses, posterior) for b in range(count)]
    kept = torch.cat([share.orientations for share in shares])
    if len(kept) == 0:
        return ResidualParts(cross, power)
    flat_ramps = _real_and_imaginary(ramps)
    unmasked = _real_and_imaginary(images.unmasked * images.factor)
    masked = _real_and_imaginary(images.masked)
    row_bytes = 8 * plane.count
    most_slices = max(_LEAST_ROWS, slice_bytes // (4 * row_bytes))
    most_rows = most_slices
    if device.type == "cpu":
        most_slices = min(most_slices, max(_LEAST_ROWS, _BLOCK_BYTES // row_bytes))
        most_rows = min(most_rows, max(_LEAST_ROWS, _MOVED_BYTES // row_bytes))
    blocks = torch.split(torch.unique(kept), most_slices)
    of_slices, of_data = torch.empty(2, len(blocks[0]), 2 * plane.count, device=device)
    of_moved = torch.empty(most_rows, 2 * plane.count, device=device)
    for block in blocks:
        slices, data = of_slices[: len(block)], of_data[: len(block)].zero_()
        views.slices_real(block, poses.oversampling, plane, magnification=magnification, out=slices)
        share_of = torch.zeros(count, len(block), device=device)
        limits = np.array([int(block[0]), int(block[-1]) + 1])
        for b, share in enumerate(shares):
            for some in share.runs(limits, most_rows):
                table = share.weights[some]
                rows = torch.searchsorted(block, share.orientations[some])
                share_of[b, rows] = table.sum(1)
                moved = torch.mm(table, flat_ramps[share.offsets], out=of_moved[: len(rows)])
                _add_moved(slices, rows, moved, unmasked[b], masked[b], data, cross[b])
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
    return ResidualParts(cross, power)


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

    def runs(self, limits: np.ndarray, most_rows: int) -> Iterator[slice]:
        """Yield which of the orientations lie within `limits`, no more than so many at a time."""
        first, last = np.searchsorted(self.orientations.cpu().numpy(), limits).tolist()
        for begin in range(first, last, most_rows):
            yield slice(begin, min(begin + most_rows, last))


def _real_and_imaginary(values: Tensor) -> Tensor:
    """Return complex ``(B, P)`` as float32 ``(B, 2P)``, real parts first."""
    return torch.cat((values.real, values.imag), 1)


def _add_moved(
    slices: Tensor, rows: Tensor, moved: Tensor, unmasked: Tensor, masked: Tensor, data: Tensor, cross: Tensor
) -> None:
    """See `ragged_kernels.add_moved`; `cross` is ``(P,)``."""
    if not kernel_threads.has_kernels(slices.device):
        add_moved_on_device(slices, rows, moved, unmasked, masked, data, cross)
        return
    parts = torch.zeros(_PARTS, len(cross))
    kernel_threads.use_torch_threads()
    ragged_kernels.add_moved(
        slices.numpy(),
        rows.numpy(),
        moved.numpy(),
        unmasked.numpy(),
        masked.numpy(),
        data.numpy(),
        parts.numpy(),
    )
    cross += parts.sum(0)


def add_moved_on_device(
    slices: Tensor, rows: Tensor, moved: Tensor, unmasked: Tensor, masked: Tensor, data: Tensor, cross: Tensor
) -> None:
    """Do what `ragged_kernels.add_moved` does, by plain tensor operations: for any device."""
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
