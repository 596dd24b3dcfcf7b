"""A map in memory: values, voxel size, and where it lies in space."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from blushcore.protocol import BlushError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

Triple: TypeAlias = tuple[float, float, float]

SAME_VOXEL_SIZE = 1e-3
"""Relative difference up to which the axes' voxel sizes count as one: headers store cells, rounded."""

_LABELS_KEPT = 9
"""A header has room for ten, and writing adds one of its own."""


@dataclass(frozen=True)
class MapHeader:
    """What a written copy of a map keeps of the file that it came from. Triples are in (z, y, x) order.

    Attributes
    ----------
    origin
        MRC2014 ``ORIGIN``: position in Å of voxel (0, 0, 0).
    start
        ``NSTART``: index of the first voxel on the grid of the unit cell. RELION ignores it, EMDB uses it,
        ChimeraX uses it where `origin` is zero.
    labels
        The header's text lines, oldest first; at most ten of 80 characters.
    space_group
        ``ISPG``; 1 for single particles.
    """

    origin: Triple = (0.0, 0.0, 0.0)
    start: tuple[int, int, int] = (0, 0, 0)
    labels: tuple[str, ...] = ()
    space_group: int = 1

    def with_label(self, text: str) -> MapHeader:
        """Return this header with one more label; in a full one, the newest make room, the oldest stay."""
        return replace(self, labels=(*self.labels[: _LABELS_KEPT - 1], text))

    def regridded(
        self,
        shape: tuple[int, ...],
        voxel_size: Triple,
        new_shape: tuple[int, ...],
        new_voxel_size: Triple,
    ) -> MapHeader:
        """Return the header of the same object on another grid whose centre voxel lies at the same place.

        Index ``n // 2`` of each axis keeps its position in Å. A map placed by `start` stays placed by it
        while the voxel size is the same; otherwise the place need not be a whole number of voxels and moves to
        `origin`.
        """
        axes = range(3)
        shift = [(shape[i] // 2) * voxel_size[i] - (new_shape[i] // 2) * new_voxel_size[i] for i in axes]
        shift = [0.0 if abs(shift[i]) < 1e-6 * new_voxel_size[i] else shift[i] for i in axes]
        by_origin = any(self.origin)
        if voxel_size == new_voxel_size:
            cropped = tuple(shape[i] // 2 - new_shape[i] // 2 for i in axes)
            if any(self.start):
                start = (self.start[0] + cropped[0], self.start[1] + cropped[1], self.start[2] + cropped[2])
                kept = replace(self, start=start)
                if not by_origin:
                    return kept
            else:
                kept = self
        else:
            kept = replace(self, start=(0, 0, 0))
            if any(self.start) and not by_origin:
                shift = [shift[i] + self.start[i] * voxel_size[i] for i in axes]
        origin = self.origin
        return replace(kept, origin=(origin[0] + shift[0], origin[1] + shift[1], origin[2] + shift[2]))


@dataclass(frozen=True, eq=False)
class Volume:
    """A three-dimensional map.

    Attributes
    ----------
    data
        float32, C-contiguous, indexed ``[z, y, x]``.
    voxel_size
        Å along (z, y, x).
    header
        Position, labels and space group; a written copy keeps them.
    warnings
        Sentences for the user, found while reading.
    """

    data: NDArray[np.float32]
    voxel_size: Triple
    header: MapHeader = field(default_factory=MapHeader)
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.data.ndim != 3:
            raise ValueError(f"a volume has three axes, got shape {self.data.shape}")
        if self.data.dtype != np.float32 or not self.data.flags.c_contiguous:
            raise ValueError("a volume's data is C-contiguous float32")
        if len(self.voxel_size) != 3 or not all(0 < size < float("inf") for size in self.voxel_size):
            raise ValueError(f"a voxel size is three positive numbers of Å, got {self.voxel_size}")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels along (z, y, x)."""
        z, y, x = self.data.shape
        return z, y, x

    @property
    def is_isotropic(self) -> bool:
        """Whether the voxels are cubes to within 0.1 %."""
        return max(self.voxel_size) <= min(self.voxel_size) * (1 + SAME_VOXEL_SIZE)

    @property
    def isotropic_voxel_size(self) -> float:
        """Edge of the cubic voxels in Å.

        Raises
        ------
        BlushError
            If the axes differ by more than 0.1 %.
        """
        if not self.is_isotropic:
            z, y, x = self.voxel_size
            raise BlushError(
                f"The voxels are not cubes: {x:.4g} × {y:.4g} × {z:.4g} Å along x, y, z.",
                "Resample the map to one voxel size along all axes first.",
            )
        if len(set(self.voxel_size)) == 1:
            return self.voxel_size[0]
        return sum(self.voxel_size) / 3

    @property
    def position(self) -> Triple:
        """Position of voxel (0, 0, 0) in Å, (z, y, x): the origin, or the start indices where it is zero."""
        if any(self.header.origin):
            return self.header.origin
        start, size = self.header.start, self.voxel_size
        return start[0] * size[0], start[1] * size[1], start[2] * size[2]

    def with_data(self, data: ArrayLike, voxel_size: Triple | None = None) -> Volume:
        """Return this map with other values, on this or another grid about the same centre.

        Parameters
        ----------
        data
            Any real array ``[z, y, x]``. Where its shape or `voxel_size` differ from this map's, index
            ``n // 2`` of each axis is taken to be the same point of the object in both, as `fourier_resample`
            and `pad_or_crop` have it, and the header's origin follows.
        voxel_size
            Å along (z, y, x); this map's if not given.
        """
        values = np.ascontiguousarray(data, dtype=np.float32)
        size = self.voxel_size if voxel_size is None else voxel_size
        header = self.header
        if values.shape != self.data.shape or size != self.voxel_size:
            header = header.regridded(self.data.shape, self.voxel_size, values.shape, size)
        return replace(self, data=values, voxel_size=size, header=header, warnings=())
