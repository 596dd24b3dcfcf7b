"""The Fourier components of a square image that count: each independent one once, sorted by shell.

A real image's transform holds every component twice, as itself and as the conjugate of its opposite. Sums over
an image (Scheres 2012, J Mol Biol 415:406, eq. 3) run over one of the two, so all that compares images with
slices works on flat lists of components ``(…, P)``. They are sorted by shell: the list for a smaller current
size is the beginning of that for a larger one, and a tensor of components is cut down by slicing it.

Conventions: the transform is ``FFT / n²`` with e^(−2πi) forward, of images whose origin is the pixel
``n // 2``; x is the fast axis.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class PlaneComponents:
    """The independent components of real n × n images in shells 1 to ``current_size // 2``.

    The origin is left out, and so are the lines of the Nyquist frequency of an even box (k = n/2), on which a
    shift by a fraction of a pixel is not defined.

    Attributes
    ----------
    n
        Box size of the images in pixels.
    current_size
        Twice the highest shell.
    kx, ky
        Frequencies in units of 1/n per pixel, int64 ``(P,)``: kx > 0, or kx = 0 and ky > 0.
    shell
        ``round(|k|)``, int64 ``(P,)``, ascending.
    """

    n: int
    current_size: int
    kx: Tensor
    ky: Tensor
    shell: Tensor

    @classmethod
    def of(cls, n: int, current_size: int | None = None, device: torch.device | str = "cpu") -> PlaneComponents:
        """Return the components of images of box `n` up to `current_size` (default: `n`); kept for reuse.

        Raises
        ------
        ValueError
            If the current size is not an even number from 2 to `n`, rounded up to even.
        """
        size = n + n % 2 if current_size is None else current_size
        if size % 2 or not 2 <= size <= n + n % 2:
            raise ValueError(f"current size {size} of a box of {n}")
        return _components(n, size, torch.device(device))

    @property
    def count(self) -> int:
        """How many components there are: P."""
        return len(self.shell)

    @property
    def device(self) -> torch.device:
        """Where the lists are."""
        return self.shell.device

    def within(self, current_size: int) -> PlaneComponents:
        """Return the components of a smaller current size: the first ones of these."""
        if current_size > self.current_size:
            raise ValueError(f"current size {current_size} is larger than {self.current_size}")
        return PlaneComponents.of(self.n, current_size, self.device)

    def gather(self, transforms: Tensor) -> Tensor:
        """Take the components ``(…, P)`` out of half transforms ``(…, n, n // 2 + 1)``."""
        return transforms.flatten(-2)[..., self._flat_indices()]

    def scatter(self, components: Tensor) -> Tensor:
        """Return half transforms ``(…, n, n // 2 + 1)`` that hold the components and are 0 elsewhere."""
        n = self.n
        half = components.new_zeros(*components.shape[:-1], n * (n // 2 + 1))
        half[..., self._flat_indices()] = components
        mates = self.kx == 0  # the column x = 0 stores the opposites too
        half[..., ((-self.ky) % n * (n // 2 + 1))[mates]] = components[..., mates].conj()
        return half.reshape(*components.shape[:-1], n, n // 2 + 1)

    def phase_ramps(self, offsets_px: Tensor) -> Tensor:
        """Return e^(−2πi k·t/n) for offsets t ``(…, 2)`` (x, y; pixels), complex64 ``(…, P)``.

        Multiplying an image's components by it moves the image's content by +t.
        """
        turns = offsets_px.double() @ torch.stack((self.kx, self.ky)).double() / self.n
        angle = (-2 * torch.pi * (turns - turns.round())).float()
        return torch.polar(torch.ones_like(angle), angle)

    def shell_sums(self, values: Tensor) -> Tensor:
        """Sum ``(…, P)`` over each shell, ``(…, current_size // 2 + 1)`` in the values' own dtype."""
        sums = values.new_zeros(*values.shape[:-1], self.current_size // 2 + 1)
        return sums.index_add_(-1, self.shell, values)

    def shell_counts(self) -> Tensor:
        """Return how many of the components lie in each shell, int64 ``(current_size // 2 + 1,)``."""
        return torch.bincount(self.shell, minlength=self.current_size // 2 + 1)

    def _flat_indices(self) -> Tensor:
        return self.ky % self.n * (self.n // 2 + 1) + self.kx


def transform_images(images: Tensor, plane: PlaneComponents) -> Tensor:
    """Return the components of real images ``(…, n, n)`` with the origin at ``n // 2``, complex ``(…, P)``."""
    transforms = torch.fft.rfft2(torch.fft.ifftshift(images, dim=(-2, -1)))
    return plane.gather(transforms) / plane.n**2


def images_from(components: Tensor, plane: PlaneComponents) -> Tensor:
    """Return the real images ``(…, n, n)`` that have these components and mean 0."""
    n = plane.n
    images: Tensor = torch.fft.irfft2(plane.scatter(components) * n**2, s=(n, n))
    centred: Tensor = torch.fft.fftshift(images, dim=(-2, -1))
    return centred


@lru_cache(maxsize=64)
def _components(n: int, current_size: int, device: torch.device) -> PlaneComponents:
    last = min(current_size // 2, (n - 1) // 2)
    y = torch.arange(-last, last + 1)[:, None].expand(-1, last + 1).flatten()
    x = torch.arange(last + 1)[None, :].expand(2 * last + 1, -1).flatten()
    # |k|² is whole and (s + ½)² never is, so no component lies halfway between two shells.
    shell = torch.floor(torch.sqrt((x**2 + y**2).double()) + 0.5).long()
    counts = ((x > 0) | (y > 0)) & (shell <= current_size // 2)
    x, y, shell = x[counts], y[counts], shell[counts]
    order = torch.argsort(shell, stable=True)
    return PlaneComponents(n, current_size, x[order].to(device), y[order].to(device), shell[order].to(device))
