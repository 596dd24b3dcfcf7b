"""Sums of slices on a padded grid: what all images say about each Fourier component of a map."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from blushcore.devices import kernel_threads
from blushcore.projection import insert_kernels, tensor_ops
from blushcore.projection.geometry import SlicePoints, checked_rotations
from blushcore.projection.grid import PaddedGrid
from blushcore.shells.plane import PlaneComponents

_SORTED_BYTES = 1 << 26
_SLAB_BYTES = 1 << 23
"""Slabs much smaller than the cache only cost; much larger ones wait for memory."""


class SliceSums:
    """Accumulators of weighted slices and of their weights, for one unit (class or body) of one half.

    `insert` is the transpose of `FourierVolume.slices`: each component is shared between its eight neighbours.
    The sums hold what was inserted on the half x ≥ 0; on the plane x = 0 the opposites are not yet added to
    each other (`blushcore.reconstruction` does that once, at the end).

    On the processor the result does not depend on the number of threads, bit by bit.

    Parameters
    ----------
    n, current_size, padding
        Of the `PaddedGrid`.
    device
        Where the sums are kept.

    Attributes
    ----------
    grid
        Which components are kept.
    data
        Σ of what was inserted, complex64 ``grid.shape``.
    weight
        Σ of its weights, float32 ``grid.shape``.
    """

    def __init__(
        self, n: int, current_size: int | None = None, padding: int = 2, device: torch.device | str = "cpu"
    ) -> None:
        self.grid = PaddedGrid(n, n + n % 2 if current_size is None else current_size, padding)
        self.data = torch.zeros(self.grid.shape, dtype=torch.complex64, device=device)
        self.weight = torch.zeros(self.grid.shape, dtype=torch.float32, device=device)

    @property
    def device(self) -> torch.device:
        """Where the sums are."""
        return self.data.device

    def insert(
        self,
        rotations: Tensor,
        data: Tensor,
        weights: Tensor,
        plane: PlaneComponents,
        *,
        magnification: Tensor | None = None,
    ) -> None:
        """Add slices.

        Parameters
        ----------
        rotations
            ``(O, 3, 3)``, from object to image frame.
        data
            complex64 ``(O, P)``: Σ Γ·s·CTF·X/σ² of each orientation.
        weights
            float32 ``(O, P)``: Σ Γ·(s·CTF)²/σ².
        plane
            The components they hold; those beyond the current size are left out.
        magnification
            2×2 matrix that takes the images' (kx, ky) to the volume's, or None if they are the same.

        Raises
        ------
        ValueError
            If a matrix is no rotation, or the shapes do not fit.
        """
        count = len(rotations), plane.count
        if data.shape != count or weights.shape != count:
            raise ValueError(
                f"data {tuple(data.shape)} and weights {tuple(weights.shape)} are not both {count}"
            )
        turned = checked_rotations(rotations, self.device)
        points = SlicePoints.of(plane, self.grid, magnification)
        data = data.to(self.device, torch.complex64)[:, : points.count].resolve_conj()
        weights = weights.to(self.device, torch.float32)[:, : points.count]
        if points.outside is not None:
            data = data.masked_fill(points.outside, 0)
            weights = weights.masked_fill(points.outside, 0)
        if kernel_threads.has_kernels(self.device):
            self._insert_compiled(turned, points, data, weights)
        else:
            tensor_ops.insert_from(
                self.data, self.weight, self.grid.reach, turned, points.kx, points.ky, data, weights
            )

    def add(self, other: SliceSums) -> None:
        """Add the sums of other images, on the same grid."""
        if other.grid != self.grid:
            raise ValueError(f"sums on {other.grid} cannot be added to sums on {self.grid}")
        self.data += other.data.to(self.device)
        self.weight += other.weight.to(self.device)

    def take(self) -> tuple[Tensor, Tensor]:
        """Hand over data and weight without copying; the sums are empty afterwards, and no longer of use."""
        taken = self.data, self.weight
        self.data, self.weight = self.data.new_empty(0), self.weight.new_empty(0)
        return taken

    def _insert_compiled(self, rotations: Tensor, points: SlicePoints, data: Tensor, weights: Tensor) -> None:
        kernel_threads.use_torch_threads()
        planes, rows, columns = self.grid.shape
        reach = np.float32(self.grid.reach)
        kx, ky = points.kx.numpy(), points.ky.numpy()
        flat_data = torch.view_as_real(self.data).view(-1).numpy()
        flat_weight = self.weight.view(-1).numpy()
        sums_bytes = self.data.nbytes + self.weight.nbytes
        step = max(1, _SORTED_BYTES // (4 * (points.count + planes + 1)))
        for start in range(0, len(rotations), step):
            turned = rotations[start : start + step].numpy()
            axis = _axis_of_most_spread(turned)
            strides = (rows * columns, columns) if axis == 2 else (columns, rows * columns)
            first = np.empty((len(turned), planes + 1), np.int32)
            order = np.empty((len(turned), points.count), np.int32)
            insert_kernels.sort_by_plane(axis, reach, turned, kx, ky, first, order)
            insert_kernels.insert(
                flat_data,
                flat_weight,
                axis,
                strides,
                reach,
                turned,
                kx,
                ky,
                first,
                order,
                _slabs(first, max(torch.get_num_threads(), sums_bytes // _SLAB_BYTES)),
                torch.view_as_real(data[start : start + step].contiguous()).numpy(),
                weights[start : start + step].contiguous().numpy(),
            )


def _axis_of_most_spread(rotations: np.ndarray) -> int:
    """Return the axis, 1 for y or 2 for z, along which the slices' points spread most."""
    along_normal = np.square(rotations[:, 2, :].astype(np.float64)).sum(0)
    return 1 if along_normal[1] < along_normal[2] else 2


def _slabs(first: np.ndarray, count: int) -> np.ndarray:
    """Return the planes at which slabs with about equally many points begin, and the last one's end."""
    below = first.sum(0, dtype=np.int64)
    planes = len(below) - 1
    edges = np.searchsorted(below[:planes], np.linspace(0, below[-1], count + 1))
    edges[0], edges[-1] = 0, planes
    return np.maximum.accumulate(edges).astype(np.int64)
