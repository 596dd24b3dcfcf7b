"""The first look at every pose of a grid: which of them count at all.

With noise that is Gaussian and independent in each component, the log-likelihood of an image X, given the
slice S of the reference in some orientation and that X has to be moved by t, is up to a constant of the image
(Scheres 2012, J Mol Biol 415:406, eq. 5)

    ⟨CTF·Xᵗ/σ², S⟩ − ½⟨CTF²/σ², |S|²⟩

so over many images, offsets and orientations both terms are matrix products. A slice turned by 180° in its
plane is the conjugate of the slice: with the products of the real and of the imaginary parts kept apart, their
sum and their difference are the values of both, and half of the in-plane angles come free.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from blushcore.inference.memory import Workspace
from blushcore.inference.poses_kept import PosePairs
from blushcore.inference.significance import dense_significant
from blushcore.inference.views import Views
from blushcore.shells import PlaneComponents


@dataclass(frozen=True)
class Weighted:
    """B images and their CTFs, weighted by the noise.

    Attributes
    ----------
    images
        CTF·X/σ², complex64 ``(B, P)``.
    powers
        CTF²/σ², float32 ``(B, P)``.
    """

    images: Tensor
    powers: Tensor

    def within(self, count: int) -> Weighted:
        """Return the first `count` components."""
        return Weighted(self.images[:, :count], self.powers[:, :count])

    def part(self, first: int, last: int) -> Weighted:
        """Return images `first` to `last`, not included."""
        return Weighted(self.images[first:last], self.powers[first:last])


class DenseSearch:
    """Compares images with all views of the references.

    Parameters
    ----------
    views
        The references and the orientations.
    plane
        The components to compare by.
    log_direction
        Log-prior of each direction of each class, float32 ``(K · D,)``.
    slice_bytes
        Slices are made once and kept if they take no more than this, and made in pieces of that size otherwise.
    workspace
        For the products.
    magnification
        As for slices.
    """

    def __init__(
        self,
        views: Views,
        plane: PlaneComponents,
        log_direction: Tensor,
        slice_bytes: int,
        workspace: Workspace,
        magnification: Tensor | None = None,
    ) -> None:
        self._views, self.plane, self._workspace = views, plane, workspace
        self._magnification = magnification
        self._half = views.psi_count // 2
        self._columns = views.direction_count * self._half
        self._log_column = log_direction.repeat_interleave(self._half)
        self._at_once = max(1, min(self._columns, slice_bytes // (12 * plane.count)))
        self._kept: tuple[Tensor, Tensor] | None = None

    def images_at_once(self, offsets: int, work_bytes: int) -> int:
        """Return how many images `significant` may be given to work in so much memory."""
        return max(1, work_bytes // (8 * offsets * self._columns))

    def significant(
        self, weighted: Weighted, ramps: Tensor, log_offset: Tensor, *, fraction: float, correlate: bool = False
    ) -> PosePairs:
        """Return the poses of each image that together make up `fraction` of its posterior.

        Parameters
        ----------
        weighted
            B images, over this search's components; with `correlate`, with σ² = 1.
        ramps
            Phase ramps of the offsets, complex64 ``(T, P)``.
        log_offset
            Log-prior of each image's offsets, float32 ``(B, T)``.
        fraction
            Of the posterior, such as 0.999.
        correlate
            Return the one pose with the best normalised correlation instead.
        """
        images, offsets, count = len(weighted.images), len(ramps), self.plane.count
        shifted = (weighted.images[:, None] * ramps).reshape(images * offsets, count)
        parts = shifted.real.contiguous(), shifted.imag.contiguous()
        products = self._workspace.floats(2, images * offsets, self._columns)
        halves = torch.empty(images, self._columns, device=shifted.device)
        half_powers = 0.5 * weighted.powers
        first = 0
        for slices, power in self._slices():
            here = slice(first, first + len(slices))
            for which, of_slices in enumerate((slices[:, :count], slices[:, count:])):
                torch.mm(parts[which], of_slices.T, out=products[which, :, here])
            torch.mm(half_powers, power.T, out=halves[:, here])
            first += len(slices)
        shape = (images, offsets, self._columns)
        return dense_significant(
            products[0].view(shape),
            products[1].view(shape),
            halves,
            self._log_column,
            log_offset,
            half=self._half,
            fraction=fraction,
            correlate=correlate,
        )

    def _slices(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield slices ``(H, 2P)``, real parts before imaginary ones, and their power ``(H, P)``."""
        if self._kept is not None:
            yield self._kept
            return
        count = self.plane.count
        for columns in torch.split(torch.arange(self._columns, device=self._views.device), self._at_once):
            orientations = columns // self._half * self._views.psi_count + columns % self._half
            slices = self._views.slices_real(orientations, 0, self.plane, magnification=self._magnification)
            power = slices[:, :count].square()
            power.addcmul_(slices[:, count:], slices[:, count:])
            if self._at_once == self._columns:
                self._kept = slices, power
            yield slices, power
