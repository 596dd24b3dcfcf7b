"""The padded half transform that slices are taken out of and put into: its extent, its memory, its transforms.

A map of n³ voxels is padded with zeros to (pn)³ before it is transformed, so that linear interpolation between
its Fourier components does well. Of that transform only what slices up to the current size can reach is kept:
x from 0 to the reach, y and z from minus the reach to the reach, in units of 1/(pn) per voxel. Maps have their
origin at voxel ``n // 2``; components have the scale FFT/n², that of the images (a slice is the transform of
the sum along z).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

_BLOCK_BYTES = 1 << 26


@dataclass(frozen=True)
class PaddedGrid:
    """Which components of a padded transform are kept.

    Attributes
    ----------
    n
        Box size in voxels.
    current_size
        Twice the highest shell that is kept, at most `n` (rounded up to even).
    padding
        How many times larger the padded box is: a whole number, 2 in RELION.
    """

    n: int
    current_size: int
    padding: int = 2

    def __post_init__(self) -> None:
        if self.current_size % 2 or not 2 <= self.current_size <= self.n + self.n % 2:
            raise ValueError(f"current size {self.current_size} of a box of {self.n}")
        if self.padding < 1:
            raise ValueError(f"padding {self.padding}")

    @property
    def padded_size(self) -> int:
        """Edge of the padded box in voxels: pn."""
        return self.padding * self.n

    @property
    def last_shell(self) -> int:
        """The highest shell that is kept."""
        return self.current_size // 2

    @property
    def reach(self) -> int:
        """Largest padded frequency kept: neighbours of all points of the last shell, and one to spare."""
        return math.floor(self.padding * (self.last_shell + 0.5)) + 2

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape (z, y, x) of the kept half transform; component k = 0 is at ``(reach, reach, 0)``."""
        full = 2 * self.reach + 1
        return full, full, self.reach + 1

    @property
    def count(self) -> int:
        """How many components are kept."""
        return math.prod(self.shape)

    def shells(self, planes: slice, device: torch.device | str = "cpu") -> Tensor:
        """Return the shell of each component of some z planes, int64 ``(planes, 2·reach + 1, reach + 1)``.

        It is ``round(|k|/p)``, halves rounded up, and ``last_shell + 1`` for all beyond the radius
        ``p·last_shell``: slices end there, and what lies outside has only part of its neighbours.
        """
        full = torch.arange(-self.reach, self.reach + 1, dtype=torch.float32, device=device).square()
        squared = full[planes, None, None] + full[:, None] + full[self.reach :]  # whole, exact in float32
        beyond = squared > (self.padding * self.last_shell) ** 2
        shells = squared.sqrt_().div_(self.padding).add_(0.5).long()
        return shells.masked_fill_(beyond, self.last_shell + 1)

    def plane_blocks(self) -> Iterator[slice]:
        """Yield slices of z planes that together cover the transform, each some tens of megabytes."""
        planes = max(1, _BLOCK_BYTES // (8 * math.prod(self.shape[1:])))
        for start in range(0, self.shape[0], planes):
            yield slice(start, min(start + planes, self.shape[0]))


def slices_bytes(n: int, current_size: int, padding: int = 2) -> int:
    """Return the bytes that one `FourierVolume` keeps."""
    return 8 * PaddedGrid(n, current_size, padding).count


def sums_bytes(n: int, current_size: int, padding: int = 2) -> int:
    """Return the bytes that the accumulators of one unit and half keep: data and weight."""
    return 12 * PaddedGrid(n, current_size, padding).count


def padded_transform(volume: Tensor, grid: PaddedGrid) -> Tensor:
    """Return the kept components of the zero-padded transform of a map.

    The transform is taken axis by axis, and each axis is cut to the reach at once: the padded map never exists.

    Parameters
    ----------
    volume
        Real ``(n, n, n)``, float32 or float64.
    grid
        Of the same n.

    Returns
    -------
    complex ``grid.shape``, FFT/n²; 0 beyond the padded box's Nyquist frequency.
    """
    n, padded, reach = grid.n, grid.padded_size, grid.reach
    _, y_size, x_size = grid.shape
    kept = torch.zeros(
        (n, n, x_size), dtype=torch.promote_types(volume.dtype, torch.complex64), device=volume.device
    )
    inside = min(x_size, padded // 2 + 1)
    ramp = _centre_phases(torch.arange(inside), grid, kept)
    for rows in _blocks(n, 8 * n * (padded // 2 + 1)):
        kept[rows, :, :inside] = torch.fft.rfft(volume[rows], n=padded)[..., :inside] * ramp
    k, index = _signed_indices(grid, nyquist=True)
    where = k + reach
    along_y = kept.new_zeros((n, y_size, x_size))
    ramp = _centre_phases(k, grid, kept)[:, None] / n**2
    for rows in _blocks(n, 8 * padded * x_size):
        along_y[rows, where] = torch.fft.fft(kept[rows], n=padded, dim=1)[:, index] * ramp
    del kept
    transform = along_y.new_zeros(grid.shape)
    ramp = _centre_phases(k, grid, along_y)[:, None, None]
    for rows in _blocks(y_size, 8 * padded * x_size):
        transform[where, rows] = torch.fft.fft(along_y[:, rows], n=padded, dim=0)[index] * ramp
    return transform


def map_of(transform: Tensor, grid: PaddedGrid) -> Tensor:
    """Return the map ``(n, n, n)`` whose padded transform this is: the inverse of `padded_transform`, cropped.

    Parameters
    ----------
    transform
        complex ``grid.shape``, Hermitian on the plane x = 0.
    grid
        Its grid.
    """
    n, padded = grid.n, grid.padded_size
    _, y_size, x_size = grid.shape
    inside = min(x_size, (padded + 1) // 2)
    k, index = _signed_indices(grid, nyquist=False)  # +pn/2 and −pn/2 are one: left out
    where = k + grid.reach
    along_z = transform.new_empty((n, y_size, x_size))
    ramp = _centre_phases(k, grid, transform).conj()[:, None, None] / padded
    for rows in _blocks(y_size, 8 * padded * x_size):
        block = transform.new_zeros((padded, rows.stop - rows.start, x_size))
        block[index] = transform[where, rows] * ramp
        along_z[:, rows] = torch.fft.ifft(block, dim=0, norm="forward")[:n]
    volume = torch.empty((n, n, n), dtype=transform.real.dtype, device=transform.device)
    ramp_y = ramp[:, 0]
    ramp_x = _centre_phases(torch.arange(inside), grid, transform).conj() * (n**2 / padded)
    for rows in _blocks(n, 8 * padded * (padded // 2 + 1)):
        block = transform.new_zeros((rows.stop - rows.start, padded, inside))
        block[:, index] = along_z[rows][:, where, :inside] * ramp_y
        lines = torch.fft.ifft(block, dim=1, norm="forward")[:, :n] * ramp_x
        volume[rows] = torch.fft.irfft(lines, n=padded, norm="forward")[..., :n]
    return volume


def sinc_squared(n: int, padding: int, device: torch.device | str = "cpu") -> Tensor:
    """Return what linear interpolation multiplies a map by: sinc²(r/(pn)), float32 ``(n, n, n)``.

    r is the distance to the centre ``n // 2`` in voxels, sinc(u) = sin(πu)/(πu). Interpolating along each axis
    would give a product over the axes; the radial form is RELION's, and as good where the particle is.
    """
    squared = (torch.arange(n, dtype=torch.float32, device=device) - n // 2).square()
    radius = (squared[:, None, None] + squared[:, None] + squared).sqrt_()
    return torch.sinc(radius.div_(padding * n)).square_()


def _signed_indices(grid: PaddedGrid, *, nyquist: bool) -> tuple[Tensor, Tensor]:
    """Return the frequencies kept along a full axis that the padded box has, and their places in its FFT."""
    k = torch.arange(-grid.reach, grid.reach + 1)
    k = k[2 * k.abs() < grid.padded_size + nyquist]
    return k, k % grid.padded_size


def _centre_phases(k: Tensor, grid: PaddedGrid, like: Tensor) -> Tensor:
    """Return e^(2πi k·c/(pn)), which takes the origin of a transform from voxel 0 to c = n // 2."""
    turns = (k * (grid.n // 2) % grid.padded_size).double() / grid.padded_size
    return torch.polar(torch.ones_like(turns), 2 * torch.pi * turns).to(like.device, like.dtype)


def _blocks(length: int, bytes_each: int) -> Iterator[slice]:
    step = max(1, _BLOCK_BYTES // bytes_each)
    for start in range(0, length, step):
        yield slice(start, min(start + step, length))
