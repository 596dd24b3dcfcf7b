"""All views that images are compared with: one reference or several classes, each from all orientations.

A search goes through the orientations of a grid, and in a classification through those of every class. With the
class counted as the slowest part of an orientation's number, several classes are no more than a longer list of
views: the posterior is normalised over classes, orientations and offsets at once (Scheres 2012, J Mol Biol
415:406, eq. 7) by the same code that normalises it for one reference.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from blushcore.poses import OrientationGrid
from blushcore.projection import FourierVolume, SliceSums
from blushcore.shells import PlaneComponents

_CHILDREN = 8


@dataclass(frozen=True)
class Views:
    """K references from all orientations of a grid.

    View ``c · grid.count + o`` is reference c in coarse orientation o; its children are those of o likewise,
    ``8 · (c · grid.count + o)`` and the 7 that follow.

    Attributes
    ----------
    volumes
        The references, of one box and current size, on one device.
    grid
        The orientations.
    """

    volumes: tuple[FourierVolume, ...]
    grid: OrientationGrid

    @property
    def device(self) -> torch.device:
        """Where the references are."""
        return self.volumes[0].device

    @property
    def n(self) -> int:
        """Box of the references in voxels."""
        return self.volumes[0].n

    @property
    def current_size(self) -> int:
        """Twice the highest shell of slices."""
        return self.volumes[0].current_size

    @property
    def classes(self) -> int:
        """How many references there are: K."""
        return len(self.volumes)

    @property
    def direction_count(self) -> int:
        """How many directions there are in all classes: K · D."""
        return self.classes * self.grid.direction_count

    @property
    def psi_count(self) -> int:
        """How many in-plane angles there are: S."""
        return self.grid.psi_count

    def class_of(self, indices: Tensor, oversampling: int) -> Tensor:
        """Return which reference, from 0 on, views are of."""
        return indices // self._each(oversampling)

    def euler_deg(self, indices: Tensor, oversampling: int) -> Tensor:
        """Return rot, tilt, psi of views, float64 ``(…, 3)``."""
        return self.grid.euler_deg(indices % self._each(oversampling), oversampling)

    def slices(
        self, indices: Tensor, oversampling: int, plane: PlaneComponents, *, magnification: Tensor | None = None
    ) -> Tensor:
        """Return the views ``(O,)`` as complex64 ``(O, P)``; see `FourierVolume.slices`."""
        out = torch.empty(len(indices), plane.count, dtype=torch.complex64, device=self.device)
        for volume, rows in self._by_class(indices, oversampling):
            rotations = self._rotations(indices[rows], oversampling)
            if isinstance(rows, slice):
                volume.slices(rotations, plane, magnification=magnification, out=out[rows])
            else:
                out[rows] = volume.slices(rotations, plane, magnification=magnification)
        return out

    def slices_real(
        self,
        indices: Tensor,
        oversampling: int,
        plane: PlaneComponents,
        *,
        magnification: Tensor | None = None,
        out: Tensor | None = None,
    ) -> Tensor:
        """Return the views as float32 ``(O, 2P)``: P real parts, then P imaginary parts; in `out` if given."""
        if out is None:
            out = torch.empty(len(indices), 2 * plane.count, device=self.device)
        for volume, rows in self._by_class(indices, oversampling):
            rotations = self._rotations(indices[rows], oversampling)
            if isinstance(rows, slice):
                volume.slices_real(rotations, plane, magnification=magnification, out=out[rows])
            else:
                out[rows] = volume.slices_real(rotations, plane, magnification=magnification)
        return out

    def insert(
        self,
        sums: Sequence[SliceSums],
        indices: Tensor,
        oversampling: int,
        data: Tensor,
        weights: Tensor,
        plane: PlaneComponents,
        *,
        magnification: Tensor | None = None,
    ) -> None:
        """Add slices ``(O, P)`` in the orientations of ascending views to the sums of their classes."""
        for own, rows in zip(sums, self._ranges(indices, oversampling), strict=True):
            if rows.start < rows.stop:
                rotations = self._rotations(indices[rows], oversampling)
                own.insert(rotations, data[rows], weights[rows], plane, magnification=magnification)

    def _each(self, oversampling: int) -> int:
        """How many views each reference has."""
        count: int = self.grid.count * _CHILDREN**oversampling
        return count

    def _rotations(self, indices: Tensor, oversampling: int) -> Tensor:
        if self.classes > 1:
            indices = indices % self._each(oversampling)
        return self.grid.rotations(indices, oversampling)

    def _ranges(self, indices: Tensor, oversampling: int) -> list[slice]:
        """Return where each class lies among ascending views."""
        if self.classes == 1:
            return [slice(0, len(indices))]
        limits = torch.arange(self.classes + 1, device=indices.device) * self._each(oversampling)
        ends = torch.searchsorted(indices.contiguous(), limits).tolist()
        return [slice(first, last) for first, last in itertools.pairwise(ends)]

    def _by_class(self, indices: Tensor, oversampling: int) -> list[tuple[FourierVolume, slice | Tensor]]:
        """Return the references that views are of, and which of the views are theirs."""
        if self.classes == 1:
            return [(self.volumes[0], slice(0, len(indices)))]
        if bool((indices[1:] >= indices[:-1]).all()):
            ranges = self._ranges(indices, oversampling)
            return [
                (volume, rows)
                for volume, rows in zip(self.volumes, ranges, strict=True)
                if rows.start < rows.stop
            ]
        which = self.class_of(indices, oversampling)
        found = [(volume, (which == c).nonzero()[:, 0]) for c, volume in enumerate(self.volumes)]
        return [(volume, rows) for volume, rows in found if len(rows)]
