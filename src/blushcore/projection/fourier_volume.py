"""A map's padded transform, and central slices out of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from blushcore.devices import kernel_threads
from blushcore.projection import slice_kernels, tensor_ops
from blushcore.projection.geometry import SlicePoints, checked_rotations
from blushcore.projection.grid import PaddedGrid, padded_transform, sinc_squared
from blushcore.shells.plane import PlaneComponents


@dataclass(frozen=True, eq=False)
class FourierVolume:
    """The transform of a map on a padded grid, up to a current size.

    A slice in orientation A holds V̂(Aᵀ(kx, ky, 0)): the transform of the map turned by A and summed along z,
    in the scale of images (FFT/n²). Interpolation is trilinear; the map was divided by what that does to it
    (Scheres 2012, J Struct Biol 180:519).

    Attributes
    ----------
    grid
        What is kept of the transform.
    components
        complex64 ``grid.shape``.
    """

    grid: PaddedGrid
    components: Tensor

    @classmethod
    def of(
        cls,
        volume: Tensor,
        current_size: int | None = None,
        *,
        padding: int = 2,
        correct_gridding: bool = True,
    ) -> FourierVolume:
        """Transform a map.

        Parameters
        ----------
        volume
            Real ``(n, n, n)`` with its origin at ``n // 2``; the transform lies on its device.
        current_size
            Twice the highest shell that slices will have; `n` (rounded up to even) by default.
        padding
            How much larger the padded box is.
        correct_gridding
            Divide the map by sinc²(r/(pn)) first, so that slices come out right.

        Raises
        ------
        ValueError
            If the map is no cube, or the current size does not fit it.
        """
        if volume.ndim != 3 or len(set(volume.shape)) != 1:
            raise ValueError(f"the map has shape {tuple(volume.shape)}, not (n, n, n)")
        n = volume.shape[0]
        grid = PaddedGrid(n, n + n % 2 if current_size is None else current_size, padding)
        values = volume.to(torch.float32)
        if correct_gridding:
            values = values / sinc_squared(n, padding, values.device)
        return cls(grid, padded_transform(values, grid))

    @property
    def n(self) -> int:
        """Box size of the map in voxels."""
        return self.grid.n

    @property
    def current_size(self) -> int:
        """Twice the highest shell of slices; they are 0 beyond it."""
        return self.grid.current_size

    @property
    def device(self) -> torch.device:
        """Where the transform is."""
        return self.components.device

    def slices(
        self,
        rotations: Tensor,
        plane: PlaneComponents,
        *,
        magnification: Tensor | None = None,
        out: Tensor | None = None,
    ) -> Tensor:
        """Return central slices, complex64 ``(O, P)``.

        Parameters
        ----------
        rotations
            ``(O, 3, 3)``, from object to image frame.
        plane
            The components wanted, on the volume's device; 0 beyond the volume's current size.
        magnification
            2×2 matrix that takes the images' (kx, ky) to the volume's, or None if they are the same.
        out
            Where to put them: complex64 ``(O, P)``, contiguous.

        Raises
        ------
        ValueError
            If a matrix is no rotation, or `out` has another shape.
        """
        count = len(rotations), plane.count
        slices = torch.empty(count, dtype=torch.complex64, device=self.device) if out is None else out
        if slices.shape != count or slices.dtype != torch.complex64 or not slices.is_contiguous():
            raise ValueError(f"the place for slices must be contiguous complex64 {count}")
        self._fill(slices, rotations, plane, magnification)
        return slices

    def slices_real(
        self,
        rotations: Tensor,
        plane: PlaneComponents,
        *,
        magnification: Tensor | None = None,
        out: Tensor | None = None,
    ) -> Tensor:
        """Return central slices as float32 ``(O, 2P)``: P real parts, then P imaginary parts. See `slices`."""
        count = len(rotations), 2 * plane.count
        slices = torch.empty(count, dtype=torch.float32, device=self.device) if out is None else out
        if slices.shape != count or slices.dtype != torch.float32 or not slices.is_contiguous():
            raise ValueError(f"the place for slices must be contiguous float32 {count}")
        self._fill(slices, rotations, plane, magnification)
        return slices

    def _fill(
        self, slices: Tensor, rotations: Tensor, plane: PlaneComponents, magnification: Tensor | None
    ) -> None:
        turned = checked_rotations(rotations, self.device)
        points = SlicePoints.of(plane, self.grid, magnification)
        split = not slices.is_complex()
        parts = slices.view(-1, 2, plane.count) if split else torch.view_as_real(slices)
        if kernel_threads.has_kernels(self.device):
            kernel_threads.use_torch_threads()
            volume = torch.view_as_real(self.components).numpy()
            fill = slice_kernels.slices_split if split else slice_kernels.slices_complex
            reach = np.float32(self.grid.reach)
            fill(volume, reach, turned.numpy(), points.kx.numpy(), points.ky.numpy(), parts.numpy())
        by_part = parts if split else parts.mT
        inside = by_part[..., : points.count]
        if not kernel_threads.has_kernels(self.device):
            tensor_ops.slice_into(inside, self.components, self.grid.reach, turned, points.kx, points.ky)
        by_part[..., points.count :] = 0
        if points.outside is not None:
            inside.masked_fill_(points.outside, 0)
